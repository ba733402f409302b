"""The same package around other weights, in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from inference_core.architecture_spec import Format
from inference_core.hooks.named import import_paths, package_files
from inference_core.hooks.package_code import collect_code
from inference_core.models.package import ModelPackage, model_digest
from inference_core.models.weights import Weights

FILE_NAMES: dict[Format, str] = {
    "state_dict": "model.safetensors",
    "torchscript": "model.torchscript.pt",
    "torch_export": "model.pt2",
    "onnx": "model.onnx",
    "openvino": "model.xml",
}
"""What the weights of a new package are called."""


def with_weights(package: ModelPackage, *, weights_format: Format, files: Mapping[str, bytes]) -> ModelPackage:
    """A package that says the same of other weights, with its own digest.

    Args:
        package: not modified.
        weights_format: of the new weights; without ``state_dict`` the architecture goes, since the weights hold it.
        files: by name: that of FILE_NAMES, and what lies beside it.
    """
    name = FILE_NAMES[weights_format]
    weights = Weights(name=name.removesuffix(".xml"), files=files)
    facts = {
        "format": weights_format,
        "weights": name,
        "weights_sha256": weights.sha256,
        "architecture": package.spec.architecture if weights_format == "state_dict" else None,
    }
    spec = package.spec.model_copy(update=facts)
    # Of the package's own code the part that hooks need: that of an architecture goes with it.
    code = replace(package.code, files=collect_code(package_files(import_paths(spec)), read=package.code.files.get))
    return replace(
        package,
        spec=spec,
        weights=weights,
        weights_uri=name,
        digest=model_digest(spec, weights_sha256=weights.sha256, code=code),
        code=code,
    )
