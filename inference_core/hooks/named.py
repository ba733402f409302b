"""Which functions a package names, and what their code is, for its digest."""

from __future__ import annotations

from collections.abc import Iterable

from inference_core.hook_spec import HookSpec, package_file
from inference_core.hooks.package_code import PackageCode, collect_code
from inference_core.hooks.source import source_sha256
from inference_core.spec import ModelSpec


def hooks_of(spec: ModelSpec) -> list[HookSpec]:
    """Filters, the decoder and steps that are functions of the user's."""
    candidates = (*spec.input.filters, spec.output.decoder, *spec.postprocess)
    return [candidate for candidate in candidates if isinstance(candidate, HookSpec)]


def import_paths(spec: ModelSpec) -> list[str]:
    """All import paths: those of hooks, and that of the architecture."""
    of_hooks = [hook.import_path for hook in hooks_of(spec)]
    of_architecture = spec.architecture.import_path if spec.architecture is not None else None
    return [*of_hooks, *([of_architecture] if of_architecture is not None else [])]


def package_files(paths: Iterable[str]) -> list[str]:
    """The files below the package that import paths name."""
    return sorted({file for path in paths if (file := package_file(path)) is not None})


def code_digests(spec: ModelSpec, code: PackageCode) -> dict[str, str | None]:
    """SHA-256 of the code that a spec names, without running any of it.

    Args:
        spec: of the package.
        code: that lies in the package; files that the spec does not need do not count.

    Returns:
        By path, ``./hooks.py``, the files of the package; by name, ``package.module``, the modules of this environment,
        None where they are not to be found, and then not to be run either. Empty where the spec names no function.

    Raises:
        ConfigError: ``code`` lacks a file.
    """
    paths = import_paths(spec)
    needed = collect_code(package_files(paths), read=code.get)
    modules = sorted({path.partition(":")[0] for path in paths if package_file(path) is None})
    return {
        **{f"./{path}": digest for path, digest in PackageCode(files=needed).digests().items()},
        **{name: source_sha256(name) for name in modules},
    }
