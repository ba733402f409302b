"""A graph that OpenVINO reads as its own IR: ``model.xml`` and ``model.bin``."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from inference_core.convert.clean_graph import INPUT_NAME
from inference_core.engines.openvino_engine import check_model, open_core, read_model, reason_of
from inference_core.errors import ModelError
from inference_core.input_spec import InputSpec
from inference_core.models.weights import IR_NAMES, Weights


def export_openvino(weights: Weights, spec: InputSpec, *, names: Sequence[str], half: bool = False) -> dict[str, bytes]:
    """The two files of the IR.

    Args:
        weights: an ONNX graph, a SavedModel or a float TFLite graph.
        spec: the package's input, which the graph has to take.
        names: of the outputs, in order; left as they are where their number differs.
        half: keep the weights as fp16, half the size; the arithmetic is the engine's choice.

    Returns:
        By the names of IR_NAMES.

    Raises:
        ConfigError: OpenVINO is not installed.
        ModelError: it does not read the graph, or the graph takes and gives integers that stand for real numbers.
    """
    import openvino

    model = read_model(open_core(precision="fp32"), weights)
    check_model(model, spec)
    model.inputs[0].get_tensor().set_names({INPUT_NAME})
    if len(names) == len(model.outputs):
        for port, name in zip(model.outputs, names, strict=True):
            port.get_tensor().set_names({name})
    with tempfile.TemporaryDirectory(prefix="millrace-ir-") as folder:
        try:
            openvino.save_model(model, str(Path(folder) / IR_NAMES[".xml"]), compress_to_fp16=half)
        except RuntimeError as exc:
            raise ModelError(f"the graph must be one that OpenVINO writes: {reason_of(exc)}; export to onnx") from exc
        return {name: (Path(folder) / name).read_bytes() for name in IR_NAMES.values()}
