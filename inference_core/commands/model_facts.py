"""What commands share that take a model by a short name: the facts that the user adds, and what was assumed beside."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inference_core.models.package import ModelPackage

MODEL_HELP = "Model package, or what can be imported: folder, file, URI, timm:NAME or hf:NAME."

FactsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A fact of a model that is no package yet, as key.subkey=value or preset=NAME; may be repeated.",
    ),
]

TrustOption = Annotated[
    bool, typer.Option("--trust-package-code", help="Run Python files that lie in the model package itself.")
]


@contextmanager
def open_named_model(
    model: str, assignments: Sequence[str] | None, *, trusts_code: bool = False
) -> Iterator[ModelPackage]:
    """The package, imported on the fly where it is none; then standard error says what was assumed.

    Raises:
        ConfigError: there is no model, or it does not tell all facts; see ``open_model``.
    """
    from inference_core.importing.given import read_assignments
    from inference_core.importing.importer import open_model

    with open_model(model, said=read_assignments(assignments or []), trusts_code=trusts_code) as (package, findings):
        if findings is not None:
            sys.stderr.write("".join(f"{line}\n" for line in findings.assumption_lines()))
        yield package
