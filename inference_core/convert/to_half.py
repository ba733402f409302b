"""An ONNX graph in half precision: weights and arithmetic, its inputs and outputs stay float32."""

from __future__ import annotations

from collections.abc import Sequence

from inference_core.convert.clean_graph import import_onnx
from inference_core.convert.quiet import quiet
from inference_core.errors import ConfigError, ModelError


def halve_graph(graph: bytes, *, keep_nodes: Sequence[str] = ()) -> bytes:
    """The graph with fp16 inside; operators that have no fp16 keep fp32.

    Args:
        graph: the bytes of an ``.onnx`` file in fp32.
        keep_nodes: names of nodes that keep fp32 too.

    Raises:
        ConfigError: onnx or ONNX Runtime is not installed.
        ModelError: the graph cannot be written so.
    """
    onnx = import_onnx()
    try:
        import onnx_ir
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as exc:
        raise ConfigError("--half needs the exporters; pip install 'millrace[export]'") from exc
    with quiet():
        halved = onnx_ir.serde.deserialize_model(
            convert_float_to_float16(onnx.load_from_string(graph), keep_io_types=True, node_block_list=list(keep_nodes))
        )
    halved.graph.sort()  # the converter puts its casts at the end
    model = onnx_ir.serde.serialize_model(halved)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as exc:
        raise ModelError(f"the graph must stay valid in fp16, got {str(exc)[:300]}; export without --half") from exc
    return bytes(model.SerializeToString(deterministic=True))
