"""What of a package can be explained, and how."""

from __future__ import annotations

from inference_core.architecture_spec import LAYERED_FORMATS, Format
from inference_core.errors import ConfigError
from inference_core.explain.explanation import GRADIENT_METHODS, Method
from inference_core.models.package import ModelPackage

GRADIENT_FORMATS: tuple[Format, ...] = (*LAYERED_FORMATS, "torchscript", "torch_export", "keras")
"""Those that torch runs, so that gradients go through them."""


def check_task(package: ModelPackage) -> None:
    """Raise ConfigError for a task without classes."""
    if package.spec.task == "embedding":
        raise ConfigError(
            "must be classification, multilabel, segmentation or detection to be explained, got embedding, which "
            "names no class; explain a model that does",
            key="task",
        )


def default_method(package: ModelPackage) -> Method:
    """Grad-CAM, or occlusion where torch does not run the format, as of ensembles, whose whole answer it asks."""
    return "gradcam" if package.spec.format in GRADIENT_FORMATS else "occlusion"


def check_gradients(package: ModelPackage, *, method: Method) -> None:
    """Raise ConfigError for a method whose gradients a package, or a member of it, does not give."""
    if method not in GRADIENT_METHODS:
        return
    for index, member in enumerate(package.members or (package,)):
        found = member.spec.format
        if found in GRADIENT_FORMATS:
            continue
        who = f"member {index}, {member.uri}, of format {found}" if package.members else f"format {found}"
        raise ConfigError(
            f"{method} needs a model that torch runs, for its gradients (format {', '.join(GRADIENT_FORMATS)}), got "
            f"{who}; take method: occlusion, or a package of format state_dict",
            key="method",
        )
