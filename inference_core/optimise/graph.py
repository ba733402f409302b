"""ONNX Runtime's own optimiser, run once and written down."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

from inference_core.convert.clean_graph import import_onnx
from inference_core.convert.repackage import FILE_NAMES, with_weights
from inference_core.engines.onnx_engine import ONLY_FATAL, runtime_errors
from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage
from inference_core.optimise.read_graph import read_graph
from inference_core.optimise.recipe import GraphLevel


def optimise_graph(graph: bytes, *, level: GraphLevel) -> bytes:
    """The graph as ONNX Runtime would run it, without what depends on the machine.

    Args:
        graph: the bytes of an ``.onnx`` file.
        level: ``basic`` folds constants and batch norms and drops what does nothing, in standard operators;
            ``extended`` joins operators to ONNX Runtime's own, which other engines may not know. The third
            level, which lays weights out for one processor, is not offered.

    Raises:
        ConfigError: ONNX Runtime is not installed.
        ModelError: it does not open the graph.
    """
    try:
        import onnxruntime
    except ImportError as exc:
        raise ConfigError("--graph needs ONNX Runtime; pip install 'millrace[export]'") from exc
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ONLY_FATAL
    options.graph_optimization_level = {"basic": levels.ORT_ENABLE_BASIC, "extended": levels.ORT_ENABLE_EXTENDED}[level]
    with tempfile.TemporaryDirectory(prefix="millrace-graph-") as folder:
        path = Path(folder) / "optimised.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except runtime_errors() as exc:
            reason = " ".join(str(exc).split())[:300]
            raise ModelError(f"weights must be a graph that ONNX Runtime optimises: {reason}; export it again") from exc
        return path.read_bytes()


def optimise_package(package: ModelPackage, *, level: GraphLevel) -> tuple[ModelPackage, str]:
    """The package of format onnx with its graph optimised, and what was done."""
    graph = read_graph(package)
    data = optimise_graph(graph, level=level)
    before, after = count_nodes(graph), count_nodes(data)
    gone = ", ".join(f"{count} {name}" for name, count in sorted((before - after).items())) or "nothing"
    new = ", ".join(f"{count} {name}" for name, count in sorted((after - before).items())) or "nothing"
    note = f"{before.total()} -> {after.total()} nodes: gone {gone}; new {new}"
    return with_weights(package, weights_format="onnx", files={FILE_NAMES["onnx"]: data}), note


def count_nodes(graph: bytes) -> Counter[str]:
    """Nodes by operator."""
    return Counter(node.op_type for node in import_onnx().load_from_string(graph).graph.node)
