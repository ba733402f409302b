from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from inference_core.convert.to_program import export_program
from inference_core.engines.torch_engine import name_outputs
from inference_core.errors import ModelError
from inference_core.models.exported_program import load_program
from inference_core.models.weights import Weights
from tests.exportable_nets import SIDE_PX, build_net, scripted
from tests.specs import input_spec

FIXED = input_spec({"size_hw": [SIDE_PX, SIDE_PX]})
NATIVE = input_spec({"fit": "native", "size_hw": None, "multiple_px": 8})
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("plain", {}, id="one tensor"),
        pytest.param("detector", {"by_name": False}, id="a tuple"),
        pytest.param("detector", {"by_name": True}, id="a mapping"),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_outputs_keep_their_names_and_any_batch_size(kind: str, options: dict[str, Any], count: int) -> None:
    module = build_net(kind, **options)
    data = export_program(module, FIXED, tile_hw=(SIDE_PX, SIDE_PX))
    program = load_program(Weights(name="net.pt2", files={"net.pt2": data})).module()
    values = torch.rand(count, 3, SIDE_PX, SIDE_PX)
    with torch.no_grad():
        expected, found = name_outputs(module(values)), name_outputs(program(values))
    assert list(found) == list(expected)
    for name, output in expected.items():
        torch.testing.assert_close(found[name], output, atol=1e-6, rtol=1e-6)


def test_native_leaves_the_size_free() -> None:
    module = build_net("plain")
    data = export_program(module, NATIVE, tile_hw=(64, 72))
    values = torch.rand(1, 3, 16, 40)
    with torch.no_grad():
        torch.testing.assert_close(torch.export.load(io.BytesIO(data)).module()(values), module(values))


def test_neither_the_example_nor_places_of_the_source_are_kept() -> None:
    module = build_net("plain")
    large = export_program(module, NATIVE, tile_hw=(1024, 1032))
    assert len(large) < 200_000  # the example has 25 MB
    assert str(ROOT).encode() not in large


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param("branching", "its code branches on their values", id="a branch on pixels"),
        pytest.param("looping", "must leave batch free", id="a loop over images"),
    ],
)
def test_what_is_no_graph_is_refused(kind: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        export_program(build_net(kind), FIXED, tile_hw=(SIDE_PX, SIDE_PX))


def test_scripts_are_refused() -> None:
    with pytest.raises(ModelError, match=r"torch.export captures: its code is TorchScript; export to onnx instead"):
        export_program(scripted(build_net("plain")), FIXED, tile_hw=(SIDE_PX, SIDE_PX))
