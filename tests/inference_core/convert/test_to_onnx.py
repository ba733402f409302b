from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from inference_core.convert import clean_graph
from inference_core.convert.to_onnx import EXPORTER_KEY, OPSET, export_onnx
from inference_core.engines.torch_engine import name_outputs
from inference_core.errors import ModelError
from inference_core.models.package import load_package
from inference_core.models.torch_module import build_module
from tests.asset_packages import mobilenet_package
from tests.exportable_nets import SIDE_PX, build_net, scripted
from tests.format_packages import mobilenet_025_package
from tests.specs import input_spec

FIXED = input_spec({"size_hw": [SIDE_PX, SIDE_PX]})
NATIVE = input_spec({"fit": "native", "size_hw": None, "multiple_px": 8})
TILE_HW = (SIDE_PX, SIDE_PX)
ROOT = Path(__file__).resolve().parents[3]
TOLERANCE = 1e-5
"""Sums in another order."""


def run_graph(graph: bytes, values: torch.Tensor) -> dict[str, NDArray[Any]]:
    """The graph's outputs by name; its input is called image."""
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": values.numpy()}), strict=True))


def assert_same(found: Mapping[str, NDArray[Any]], module: nn.Module, values: torch.Tensor) -> None:
    with torch.no_grad():
        expected = name_outputs(module(values))
    assert list(found) == list(expected)
    for name, output in expected.items():
        np.testing.assert_allclose(found[name], output.numpy(), atol=TOLERANCE)


def random_batch(count: int, height: int = SIDE_PX, width: int = SIDE_PX) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize(
    ("kind", "options", "names"),
    [
        pytest.param("plain", {}, ["output"], id="one tensor"),
        pytest.param("detector", {"by_name": False}, ["0", "1"], id="a tuple"),
        pytest.param("detector", {"by_name": True}, ["pred_boxes", "logits"], id="a mapping"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_outputs_have_the_engines_names_and_any_batch_size(
    kind: str, options: dict[str, Any], names: list[str], count: int
) -> None:
    module = build_net(kind, **options)
    found = run_graph(export_onnx(module, FIXED, tile_hw=TILE_HW), random_batch(count))
    assert list(found) == names
    assert_same(found, module, random_batch(count))


@pytest.mark.parametrize("hw", [(8, 8), (40, 16), (64, 96)], ids=str)
def test_native_leaves_the_size_free(hw: tuple[int, int]) -> None:
    module = build_net("plain")
    graph = export_onnx(module, NATIVE, tile_hw=(64, 72))
    assert_same(run_graph(graph, random_batch(2, *hw)), module, random_batch(2, *hw))


def test_the_graph_is_clean() -> None:
    graph = export_onnx(build_net("plain"), FIXED, tile_hw=TILE_HW, metadata={"millrace.model": "net"})
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    # The padding went into the convolution and the batch norm's arithmetic into its weights.
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"Constant", "ConstantOfShape", "Identity", "Pad", "BatchNormalization", "Dropout"}
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        "millrace.model": "net",
        EXPORTER_KEY: "torch.export",
    }
    assert not any(node.doc_string or node.metadata_props for node in model.graph.node)
    assert str(ROOT).encode() not in graph
    dimensions = model.graph.input[0].type.tensor_type.shape.dim
    assert [axis.dim_param or axis.dim_value for axis in dimensions] == ["batch", 3, SIDE_PX, SIDE_PX]


def test_the_same_module_gives_the_same_bytes() -> None:
    assert len({export_onnx(build_net("plain"), FIXED, tile_hw=TILE_HW) for _ in range(2)}) == 1


@pytest.mark.parametrize(("opset", "written"), [(None, OPSET), (13, 13), (17, 17), (20, 20), (21, 21)])
def test_opset(opset: int | None, written: int) -> None:
    module = build_net("plain")
    graph = export_onnx(module, FIXED, tile_hw=TILE_HW, opset=opset)
    assert [entry.version for entry in onnx.load_from_string(graph).opset_import if entry.domain == ""] == [written]
    assert_same(run_graph(graph, random_batch(2)), module, random_batch(2))


@pytest.mark.parametrize("opset", [5, 99])
def test_an_opset_that_no_exporter_writes(opset: int) -> None:
    with pytest.raises(ModelError, match="give another --opset"):
        export_onnx(build_net("plain"), FIXED, tile_hw=TILE_HW, opset=opset)


def test_a_fixed_batch() -> None:
    module = build_net("looping")
    graph = export_onnx(module, FIXED, tile_hw=TILE_HW, batch=3)
    dimensions = onnx.load_from_string(graph).graph.input[0].type.tensor_type.shape.dim
    assert dimensions[0].dim_value == 3
    assert_same(run_graph(graph, random_batch(3)), module, random_batch(3))


@pytest.mark.parametrize("value", [0.1, 0.9], ids=["dark", "bright"])
def test_a_script_is_traced_and_keeps_its_branches(value: float) -> None:
    module = scripted(build_net("branching"))
    graph = export_onnx(module, FIXED, tile_hw=TILE_HW)
    exporter = clean_graph.read_metadata(graph)[EXPORTER_KEY]
    assert exporter == "torch.jit.trace, since torch.export does not do: its code is TorchScript"
    values = torch.full((2, 3, *TILE_HW), value)
    assert_same(run_graph(graph, values), module, values)


def test_a_trace_is_folded_too(assets: Path, tmp_path: Path) -> None:
    package = load_package(str(mobilenet_package(tmp_path, assets, kind="torchscript")))
    graph = export_onnx(build_module(package).module, package.spec.input, tile_hw=(128, 128))
    kinds = {node.op_type for node in onnx.load_from_string(graph).graph.node}
    assert kinds == {"Conv", "Clip", "ReduceMean", "Gemm"}


@pytest.mark.assets
@pytest.mark.parametrize("kind", ["torch_export", "keras"])
def test_real_graphs(assets: Path, tmp_path: Path, kind: str) -> None:
    package = load_package(str(mobilenet_025_package(tmp_path, assets, kind=kind)))
    module = build_module(package).module
    graph = export_onnx(module, package.spec.input, tile_hw=(128, 128))
    values = random_batch(3, 128, 128)
    values = values if package.spec.input.layout == "BCHW" else values.permute(0, 2, 3, 1).contiguous()
    with torch.no_grad():
        expected = module(values).numpy()
    np.testing.assert_allclose(run_graph(graph, values)["output"], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param("branching", "its code branches on their values", id="a branch on pixels"),
        pytest.param("looping", "must leave batch free.*give --batch N", id="a loop over images"),
    ],
)
def test_what_is_no_graph_is_refused(kind: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        export_onnx(build_net(kind), FIXED, tile_hw=TILE_HW)


def test_what_leaves_torch_is_refused() -> None:
    class ThroughNumpy(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=(2, 3)) * torch.from_numpy(images.numpy().max(keepdims=True)).flatten()

    with pytest.raises(
        ModelError, match=r"a trace may keep what it did for one image \(Converting a tensor to a NumPy"
    ):
        export_onnx(ThroughNumpy().eval(), FIXED, tile_hw=TILE_HW)


def test_the_model_must_take_its_input() -> None:
    with pytest.raises(ModelError, match=r"must take a batch of shape \[2, 1, 32, 32\], but refused it"):
        export_onnx(build_net("plain"), input_spec({"color": "gray", "size_hw": [32, 32]}), tile_hw=TILE_HW)


def test_an_operator_that_onnx_lacks_is_named() -> None:
    class Sorting(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(images).mean(dim=(2, 3))

    with pytest.raises(ModelError, match=r"operators that ONNX has, but tracing failed .*bessel_j0"):
        export_onnx(Sorting().eval(), FIXED, tile_hw=TILE_HW)


def test_a_graph_over_two_gigabytes_is_refused() -> None:
    clean_graph.check_size(2**31 - 1)
    with pytest.raises(ModelError, match=r"smaller than 2 GiB with its weights, got 2.0 GiB"):
        clean_graph.check_size(2**31)
