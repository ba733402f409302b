"""Make a model package of what training left behind, or say what is missing for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.importing.drafters import draft_source
from inference_core.importing.findings import Findings, MissingFactsError, overlay
from inference_core.importing.given import read_given
from inference_core.importing.source import find_source
from inference_core.models.package import SPEC_FILE, ModelPackage, load_package
from inference_core.models.write_package import check_is_free, write_package
from inference_core.pipeline import build_runner, check_runner
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A package that was made of another model."""

    package: ModelPackage
    findings: Findings


def import_model(source: str, *, out: str, said: Mapping[str, Any], flag: str = "--set ") -> Imported:
    """Write a package and prove that it works.

    Args:
        source: name on a hub, path or URI.
        out: new or empty folder or prefix.
        said: the user's facts: keys of ``model.yaml``, nested or dotted, and ``preset``.
        flag: how the user says a fact, for messages.

    Raises:
        ConfigError: the source is none, it is a package already, a fact is wrong, or ``out`` holds files.
        MissingFactsError: it does not tell all that a package needs; nothing is written.
        ModelError: the model does not load or does not work with these facts.
    """
    folder = storage.normalise(out)
    check_is_free(folder)
    found = find_source(source)
    given = read_given(said)
    draft = draft_source(found, given=given)
    findings = overlay(draft, given, source=found.text)
    if findings.missing:
        raise MissingFactsError(findings, flag=flag)
    spec = build_settings(ModelSpec, findings.settings(), origin=f"what is known of {found.text}")
    with TemporaryDirectory(prefix="millrace-import-") as trial:  # proven before a byte is written to the folder
        package = write_package(f"{trial}/model", spec, files=draft.files)
        check_runner(package, build_runner(package, device="cpu", batch_size=1, num_threads=1))
    return Imported(package=write_package(folder, spec, files=draft.files), findings=findings)


@contextmanager
def open_model(
    model: str, *, said: Mapping[str, Any], flag: str = "--set ", trusts_code: bool = False
) -> Iterator[tuple[ModelPackage, Findings | None]]:
    """A package as it is, or one imported on the fly, whose folder is gone when the context ends.

    Args:
        model: a package, or whatever can be imported.
        said: see ``import_model``; for a package nothing.
        flag: how the user says a fact, for messages.
        trusts_code: whether code that lies in a package may be run.

    Yields:
        The package, and what was found where it was imported.

    Raises:
        ConfigError: facts are said of a package, which has its own; else see ``import_model``.
    """
    if find_source(model).kind == "package":
        if said:
            raise ConfigError(
                f"must be absent with a model package, which says all facts itself, got {', '.join(said)}; change its "
                f"{SPEC_FILE} instead",
                key=flag.partition(" ")[2].rstrip(".") or flag.strip(),
            )
        yield load_package(model, trusts_code=trusts_code), None
        return
    with TemporaryDirectory(prefix="millrace-model-") as folder:
        imported = import_model(model, out=f"{folder}/model", said=said, flag=flag)
        yield imported.package, imported.findings
