"""The code that lies in a model package: the files that it names and those that they import, as bytes."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from inference_core.errors import ConfigError
from inference_core.provenance import sha256_hex

TRUST_FLAG = "--trust-package-code"

ReadFile = Callable[[str], bytes | None]
"""Gives the bytes of a file by its path below the package, None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageCode(Mapping[str, bytes]):
    """Python files by path below the package, and whether they may run."""

    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    origin: str = ""
    """URI of the package."""
    is_trusted: bool = False
    """Whether the user said that this code may run."""

    def __getitem__(self, path: str) -> bytes:
        return self.files[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def is_remote(self) -> bool:
        """Whether the package is not a folder of this machine."""
        return "://" in self.origin and not self.origin.startswith("file://")

    def digests(self) -> dict[str, str]:
        """SHA-256 of each file by path, sorted."""
        return {path: sha256_hex(data) for path, data in sorted(self.files.items())}

    def describe(self) -> str:
        """The files with their SHA-256 on one line."""
        return ", ".join(f"{path} (sha256 {digest})" for path, digest in self.digests().items())

    def check_trust(self, import_path: str, *, key: str) -> None:
        """Raise ConfigError unless this code may run."""
        if not self.is_trusted:
            raise ConfigError(
                f"must be importable from your environment, got {import_path!r}, code in the package {self.origin}: "
                f"{self.describe()}; read it, and if you trust it, say so with {TRUST_FLAG} (trust_package_code: true "
                "in a job's file, Predictor.load(..., trust_package_code=True))",
                key=key,
            )


NO_CODE = PackageCode()
"""Of packages that hold none."""


def collect_code(paths: Iterable[str], *, read: ReadFile) -> dict[str, bytes]:
    """Files and, through their relative imports, those that they need; nothing is run.

    Args:
        paths: of the files that ``model.yaml`` names, below the package.
        read: gives their bytes.

    Raises:
        ConfigError: a file is missing, is no Python, or imports what lies outside the package.
    """
    found: dict[str, bytes] = {}
    waiting = [(path, "model.yaml") for path in paths]
    while waiting:
        path, origin = waiting.pop()
        if path in found:
            continue
        data = read(path)
        if data is None:
            raise ConfigError(
                f"{path}, which {origin} names, must be a file of the package; add it or correct {origin}"
            )
        found[path] = data
        waiting += [(needed, path) for needed in needed_files(path, data, read=read)]
    return found


def needed_files(path: str, data: bytes, *, read: ReadFile) -> Iterator[str]:
    """Files that a file imports, as ``from .blocks import Block``, ``from .parts.blocks import Block`` or ``from .
    import blocks``.
    """
    try:
        tree = ast.parse(data, filename=path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise ConfigError(f"{path} must be Python, got {type(exc).__name__}: {exc}; correct the file") from exc
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            folders = path.split("/")[:-1]
            if node.level - 1 > len(folders):
                raise ConfigError(
                    f"{path} must import files below the package, got line {node.lineno}, which leads out of it; copy "
                    "what it needs into the package, or install it"
                )
            names = folders[: len(folders) - node.level + 1] + (node.module.split(".") if node.module else [])
            module = "/".join(names)
            if node.module and read(f"{module}.py") is not None:
                yield f"{module}.py"
            else:
                yield from ("/".join([*names, f"{alias.name}.py"]) for alias in node.names)
