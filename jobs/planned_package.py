"""The package of a run, as its workers read it."""

from __future__ import annotations

from inference_core.errors import ModelError
from inference_core.models.package import ModelPackage, load_package
from jobs.stage_settings import StageSettings


def read_package(settings: StageSettings) -> ModelPackage:
    """The run's package.

    Raises:
        ModelError: it is no longer the one that was planned.
    """
    package = load_package(settings.model_uri, trusts_code=settings.trusts_code)
    if package.digest != settings.model_digest:
        raise ModelError(
            f"{settings.model_uri} must be the planned model {settings.model_digest[:12]}, got "
            f"{package.digest[:12]}: it was changed while the run went on, or the code that it names is another on "
            "this worker; restore it and run the same command again"
        )
    return package
