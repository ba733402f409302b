"""A package with other views, statistics or rules than it declares: another package, with a digest of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

from inference_core.enhance_spec import DropoutSpec, TtaSpec
from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage, model_digest
from inference_core.models.write_package import write_package
from inference_core.quality_spec import QualitySpec, StatisticsSpec
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings, plain_facts
from inference_core.view_spec import IDENTITY


def override_package(
    package: ModelPackage,
    *,
    tta: TtaSpec | None = None,
    dropout: DropoutSpec | None = None,
    statistics: StatisticsSpec | None = None,
    quality: QualitySpec | None = None,
) -> ModelPackage:
    """The package as if its ``model.yaml`` said so: its answers count as another model's, by their digest.

    Args:
        package: as read.
        tta: in the place of what it declares; the view ``identity`` alone takes views away. None keeps them.
        dropout: likewise, and so the others; None keeps it.
        statistics: beside the answer.
        quality: rules for the verdict.

    Raises:
        ConfigError: the package is an ensemble and has no views of its own, or what is asked for does not fit it.
    """
    asked = {"tta": tta, "dropout": dropout, "statistics": statistics, "quality": quality}
    said = {key: plain_facts(value) for key, value in asked.items() if value is not None}
    if not said:
        return package
    if package.members and (tta is not None or dropout is not None):
        raise ConfigError("must go with a single model, got an ensemble; declare views in its members", key="tta")
    return with_spec(package, override_spec(package.spec, said))


def with_spec(package: ModelPackage, spec: ModelSpec) -> ModelPackage:
    """The package with another spec, and the digest of that."""
    digest = model_digest(
        spec,
        weights_sha256=package.weights.sha256,
        code=package.code,
        members=[member.digest for member in package.members],
    )
    return replace(package, spec=spec, digest=digest)


def override_spec(spec: ModelSpec, said: Mapping[str, dict[str, Any]]) -> ModelSpec:
    """The spec with other facts by key.

    Raises:
        ConfigError: they do not fit it.
    """
    facts = {**plain_facts(spec), **said}
    if "tta" in said and tuple(said["tta"]["views"]) == (IDENTITY,):
        facts["tta"] = None
    return build_settings(ModelSpec, facts, origin=f"{spec.name} with other {' and '.join(said)}")


def num_views(spec: ModelSpec) -> int:
    """How many views a package has, the image as it is included."""
    return len(spec.tta.views) if spec.tta is not None else 1


def fewest_views(spec: ModelSpec) -> int:
    """With how many of its views a package still works: one, unless what it tells needs several forwards."""
    if spec.tta is None:
        return 1
    try:
        override_spec(spec, {"tta": plain_facts(first_views(spec.tta, 1))})
    except ConfigError:
        return min(2, num_views(spec))
    return 1


def with_first_views(package: ModelPackage, count: int) -> ModelPackage:
    """The package with the first of its views alone: itself with all of them.

    Args:
        package: a single model, as read.
        count: from ``fewest_views`` to ``num_views``.
    """
    tta = package.spec.tta
    if tta is None or count == len(tta.views):
        return package
    return override_package(package, tta=first_views(tta, count))


def first_views(tta: TtaSpec, count: int) -> TtaSpec:
    """The first of its views; what merges them stays."""
    return tta.model_copy(update={"views": tta.views[:count]})


@contextmanager
def written_elsewhere(package: ModelPackage) -> Iterator[ModelPackage]:
    """A package that says what this one does in a folder of its own, gone when the context ends.

    Its weights stay where they are; its golden images are not taken along, since they were sealed for other answers.
    """
    changes: dict[str, object] = {"weights": package.weights_uri}
    if package.spec.ensemble is not None:
        declared = zip(package.spec.ensemble.members, package.members, strict=True)
        members = tuple(member.model_copy(update={"package": found.uri}) for member, found in declared)
        changes["ensemble"] = package.spec.ensemble.model_copy(update={"members": members})
    spec = package.spec.model_copy(update=changes)
    with TemporaryDirectory(prefix="millrace-model-") as folder:
        yield write_package(
            f"{folder}/model", spec, files=dict(package.code.files), trusts_code=package.code.is_trusted
        )
