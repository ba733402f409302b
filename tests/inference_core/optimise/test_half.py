from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.contender import Contender
from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage, load_package
from inference_core.optimise.half import halve_arithmetic, halve_stored
from inference_core.pipeline import build_preparer
from tests.asset_packages import mobilenet_package
from tests.drawn_images import png_bytes
from tests.exportable_nets import net_package
from tests.format_packages import mobilenet_025_package
from tests.tiny_models import tiny_classifier

onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
pytest.importorskip("openvino", reason="the extra openvino is not installed")


def outputs(package: ModelPackage, engine: Any) -> Any:
    item = build_preparer(package).prepare(png_bytes(3, image_hw=(120, 160)), image_id="a")
    contender = Contender(package, engine, device="cpu", precision="fp32", batch_size=4, num_threads=1)
    (found,) = contender.raw_outputs(item).values()
    return found


@pytest.mark.assets
@pytest.mark.parametrize("halve", [halve_stored, halve_arithmetic], ids=["weights", "graph"])
def test_mobilenet_at_half_its_size_in_both_engines(assets: Path, tmp_path: Path, halve: Any) -> None:
    package = load_package(str(mobilenet_package(tmp_path, assets)))
    halved, _ = halve(package)
    assert halved.weights.num_bytes == pytest.approx(package.weights.num_bytes / 2, rel=0.03)
    expected = outputs(package, "onnxruntime")
    for engine in ("onnxruntime", "openvino"):
        np.testing.assert_allclose(outputs(halved, engine), expected, atol=0.2)  # of logits up to 20
    model = onnx.load_from_string(halved.weights.data)
    ports = [port.type.tensor_type.elem_type for port in (*model.graph.input, *model.graph.output)]
    assert ports == [onnx.TensorProto.FLOAT] * 2


@pytest.mark.assets
def test_a_saved_model_becomes_a_compressed_ir(assets: Path, tmp_path: Path) -> None:
    package = load_package(str(mobilenet_025_package(tmp_path, assets, kind="savedmodel")))
    halved, _ = halve_stored(package)
    assert (halved.spec.format, halved.spec.weights) == ("openvino", "model.xml")
    np.testing.assert_allclose(outputs(halved, "openvino"), outputs(package, "openvino"), atol=0.2)
    again, _ = halve_stored(halved)
    assert again.weights.num_bytes == pytest.approx(halved.weights.num_bytes, rel=0.05)
    assert halved.weights.num_bytes < 1.4e6  # 470,000 weights of 2 bytes, and the graph as XML


def test_a_torch_package_stays_one(tmp_path: Path) -> None:
    halved, _ = halve_stored(load_package(str(net_package(tmp_path, "plain"))))
    assert halved.spec.format == "state_dict"


def test_nodes_that_are_named_stay_in_float(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path, depth=2)))
    model = onnx.load_from_string(package.weights.data)
    for index, node in enumerate(model.graph.node):
        node.name = f"node{index}"
    named = package.weights.files | {"tiny.onnx": model.SerializeToString()}  # type: ignore[operator]
    package = ModelPackage(
        uri="",
        spec=package.spec,
        weights_uri="",
        digest="",
        weights=type(package.weights)(name="tiny.onnx", files=named),
    )
    half, full = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    for names, expected in (((), (half, half)), (("node0",), (full, half))):
        halved, _ = halve_arithmetic(package, keep_float=names)
        kinds = {entry.name: entry.data_type for entry in onnx.load_from_string(halved.weights.data).graph.initializer}
        assert (kinds["kernel0"], kinds["kernel1"]) == expected
        assert np.isfinite(outputs(halved, "onnxruntime")).all()
    with pytest.raises(ConfigError, match="--keep-float: must name a layer of the model, got 'other'"):
        halve_arithmetic(package, keep_float=("other",))
