"""A package with other views or dropout than it declares: another package, with a digest of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory

from inference_core.enhance_spec import DropoutSpec, TtaSpec
from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage, model_digest
from inference_core.models.write_package import write_package
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings, plain_facts
from inference_core.view_spec import IDENTITY


def override_forwards(
    package: ModelPackage, *, tta: TtaSpec | None = None, dropout: DropoutSpec | None = None
) -> ModelPackage:
    """The package as if its ``model.yaml`` said so: its answers count as another model's, by their digest.

    Args:
        package: as read.
        tta: in the place of what it declares; the view ``identity`` alone takes views away. None keeps them.
        dropout: likewise; None keeps it.

    Raises:
        ConfigError: the package is an ensemble, or what is asked for does not fit it.
    """
    if tta is None and dropout is None:
        return package
    if package.members:
        raise ConfigError("must go with a single model, got an ensemble; declare views in its members", key="tta")
    facts = plain_facts(package.spec)
    if tta is not None:
        facts["tta"] = plain_facts(tta) if tta.views != (IDENTITY,) else None
    if dropout is not None:
        facts["dropout"] = plain_facts(dropout)
    spec = build_settings(ModelSpec, facts, origin=f"{package.spec.name} with other views")
    return replace(
        package, spec=spec, digest=model_digest(spec, weights_sha256=package.weights.sha256, code=package.code)
    )


@contextmanager
def written_elsewhere(package: ModelPackage) -> Iterator[ModelPackage]:
    """A package that says what this one does in a folder of its own, gone when the context ends.

    Its weights stay where they are; its golden images are not taken along, since they were sealed for other answers.
    """
    spec = package.spec.model_copy(update={"weights": package.weights_uri})
    with TemporaryDirectory(prefix="millrace-model-") as folder:
        yield write_package(
            f"{folder}/model", spec, files=dict(package.code.files), trusts_code=package.code.is_trusted
        )
