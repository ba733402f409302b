from __future__ import annotations

import numpy as np
import pytest

from inference_core.convert.to_half import halve_graph
from inference_core.convert.to_onnx import export_onnx
from inference_core.convert.to_openvino import export_openvino
from inference_core.engines.onnx_engine import OnnxEngine
from inference_core.engines.openvino_engine import OpenVinoEngine
from inference_core.errors import ModelError
from inference_core.models.weights import Weights
from tests.exportable_nets import SIDE_PX, build_net
from tests.specs import input_spec

SPEC = input_spec({"size_hw": [SIDE_PX, SIDE_PX]})
PIXELS = np.random.default_rng(0).integers(0, 256, (3, SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def graph() -> bytes:
    return export_onnx(build_net("detector", by_name=True), SPEC, tile_hw=(SIDE_PX, SIDE_PX))


def as_weights(graph: bytes) -> Weights:
    return Weights(name="net.onnx", files={"net.onnx": graph})


def run(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    engine = OpenVinoEngine(Weights(name="model", files=files), SPEC, precision="fp32", num_threads=1)
    return engine.run(PIXELS)


@pytest.mark.parametrize(
    ("names", "written"),
    [
        pytest.param(("pred_boxes", "logits"), ["pred_boxes", "logits"], id="as they are"),
        pytest.param(("boxes", "scores"), ["boxes", "scores"], id="others"),
        pytest.param(("alone",), ["pred_boxes", "logits"], id="of another number"),
    ],
)
def test_outputs_get_their_names(graph: bytes, names: tuple[str, ...], written: list[str]) -> None:
    found = run(export_openvino(as_weights(graph), SPEC, names=names))
    expected = OnnxEngine(graph, SPEC, device="cpu", num_threads=1).run(PIXELS)
    assert list(found) == written
    for one, other in zip(expected.values(), found.values(), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-4)


def test_half_is_half_the_weights() -> None:
    graph = export_onnx(build_net("plain", width=64), SPEC, tile_hw=(SIDE_PX, SIDE_PX))
    whole, half = (
        export_openvino(as_weights(graph), SPEC, names=("output",), half=half)["model.bin"] for half in (False, True)
    )
    assert len(whole) > 7_000
    assert len(half) < 0.6 * len(whole)


def test_what_openvino_does_not_read_is_refused() -> None:
    with pytest.raises(ModelError, match=r"must be a graph that OpenVINO reads, got net\.onnx"):
        export_openvino(as_weights(b"no graph"), SPEC, names=())


def test_a_halved_graph_takes_and_gives_float32(graph: bytes) -> None:
    found = OnnxEngine(halve_graph(graph), SPEC, device="cpu", num_threads=1)
    assert found.facts.precision == "fp32"
    expected = OnnxEngine(graph, SPEC, device="cpu", num_threads=1).run(PIXELS)
    for name, output in found.run(PIXELS).items():
        assert output.dtype == np.float32
        np.testing.assert_allclose(output, expected[name], atol=5e-3)
        assert not np.array_equal(output, expected[name])
