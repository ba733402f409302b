"""The ONNX graph of a package in one piece."""

from __future__ import annotations

from inference_core.convert.clean_graph import check_size, import_onnx
from inference_core.models.package import ModelPackage


def read_graph(package: ModelPackage) -> bytes:
    """The bytes of the graph with its weights inside, also where they lie in files beside it.

    Raises:
        ConfigError: onnx is not installed.
        ModelError: graph and weights together are too large for one file.
    """
    onnx = import_onnx()
    weights = package.weights
    if weights.main is None:
        return weights.data
    check_size(weights.num_bytes)
    with weights.on_disk() as path:
        return bytes(onnx.load(path).SerializeToString(deterministic=True))
