"""A copy of a package with what was fitted: calibration, thresholds, the quantile of conformal sets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inference_core import storage
from inference_core.calibration_spec import CalibrationSpec
from inference_core.enhance_spec import ConformalSpec
from inference_core.errors import ConfigError, StorageError
from inference_core.models.package import SPEC_FILE, ModelPackage
from inference_core.models.write_package import CLASSES_FILE, check_is_free, write_package
from inference_core.spec import ModelSpec

RECORD_FILE = "evaluation.json"
"""What was fitted, on what and how well, with the curves of thresholds; no part of the digest."""
GOLDEN_FOLDER = "golden/"
KEY = "--write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What of a package is to change; None and () for what stays."""

    calibration: CalibrationSpec | None = None
    threshold: float | None = None
    thresholds: Mapping[str, float] | None = None
    """Of single classes; those that are not named keep their own."""
    conformal: ConformalSpec | None = None

    def applied(self, spec: ModelSpec) -> ModelSpec:
        """The spec with it, checked as a whole.

        Raises:
            pydantic.ValidationError: it does not fit the task.
        """
        output: dict[str, Any] = {}
        if self.threshold is not None:
            output["threshold"] = self.threshold
        if self.thresholds:
            output["thresholds"] = {**spec.output.thresholds, **self.thresholds}
        update: dict[str, Any] = {"output": spec.output.model_copy(update=output)} if output else {}
        if self.calibration is not None:
            update["calibration"] = self.calibration
        if self.conformal is not None:
            update["conformal"] = self.conformal
        return ModelSpec.model_validate(spec.model_copy(update=update).model_dump(by_alias=True))


def write_fitted(package: ModelPackage, out: str, fitted: Fitted, *, record: Mapping[str, Any]) -> ModelPackage:
    """Write the copy.

    Golden images are left behind: they were sealed for other answers. Weights that lie outside of the package stay
    where they are, and members of an ensemble likewise.

    Args:
        package: as read.
        out: empty or new folder.
        fitted: what changes.
        record: for RECORD_FILE.

    Raises:
        ConfigError: the folder holds files.
    """
    check_target(out)
    spec = fitted.applied(with_far_members(package))
    files = {
        entry.path: storage.read_bytes(entry.uri)
        for entry in storage.list_objects(package.uri)
        if entry.path not in (SPEC_FILE, RECORD_FILE, CLASSES_FILE) and not entry.path.startswith(GOLDEN_FOLDER)
    }
    files[RECORD_FILE] = (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()
    return write_package(out, spec, files=files, trusts_code=package.code.is_trusted)


def check_target(out: str) -> None:
    """Raise ConfigError where a copy cannot be written: the place is none, or holds something."""
    try:
        check_is_free(storage.normalise(out), key=KEY)
    except StorageError as exc:
        raise ConfigError(str(exc), key=KEY) from exc


def has_golden(package: ModelPackage) -> bool:
    """Whether a package holds golden images, which its copy will lack."""
    return next(iter(storage.list_objects(storage.join(package.uri, GOLDEN_FOLDER.rstrip("/")))), None) is not None


def with_far_members(package: ModelPackage) -> ModelSpec:
    """The spec with its members' places as URIs, which mean the same from anywhere."""
    ensemble = package.spec.ensemble
    if ensemble is None:
        return package.spec
    members = tuple(
        member.model_copy(update={"package": found.uri})
        for member, found in zip(ensemble.members, package.members, strict=True)
    )
    return package.spec.model_copy(update={"ensemble": ensemble.model_copy(update={"members": members})})
