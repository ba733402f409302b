from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from onnx import helper

from inference_core.convert.parity import compare_packages, fault_of
from inference_core.convert.reference import Row
from inference_core.convert.sample import read_sample
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_preparer
from tests.drawn_images import draw_folder, png_bytes
from tests.onnx_graphs import channel_means, graph_bytes
from tests.specs import package_of
from tests.tiny_models import tiny_classifier

GOOD = Row(engine="torch", num_bytes=1)


@pytest.mark.parametrize(
    ("changes", "half", "is_needed", "fault"),
    [
        pytest.param({}, False, True, "", id="equal"),
        pytest.param({"difference": 5e-4, "relative": 0.5}, False, True, "", id="a small difference"),
        pytest.param({"difference": 5.0, "relative": 5e-4}, False, True, "", id="small for large outputs"),
        pytest.param(
            {"difference": 0.5, "relative": 0.01}, False, True, "the outputs differ by 0.5 (0.01 of", id="more"
        ),
        pytest.param({"difference": 0.5, "relative": 0.01}, True, True, "", id="more in half"),
        pytest.param({"difference": None, "relative": None}, False, True, "other shapes", id="other shapes"),
        pytest.param({"flips_frac": 0.001}, False, True, "", id="equal pixels but for rounding"),
        pytest.param(
            {"flips_frac": 1 / 64}, False, True, "1.56% of the answers differ, more than 0.1%", id="one label"
        ),
        pytest.param({"flips_frac": 0.01}, True, True, "", id="few labels in half"),
        pytest.param(
            {"flips_frac": 0.02}, True, True, "2.00% of the answers differ, more than 1.0%", id="many in half"
        ),
        pytest.param({"is_finite": False}, True, True, "gets inf or nan", id="not finite"),
        pytest.param({"refusal": "no such operator"}, False, True, "no such operator", id="refused"),
        pytest.param({"refusal": "no such operator"}, False, False, "", id="refused by an engine beside"),
        pytest.param({"flips_frac": 1.0}, False, False, "100.00% of the answers", id="wrong on an engine beside"),
    ],
)
def test_fault(changes: dict, half: bool, is_needed: bool, fault: str) -> None:
    found = fault_of(replace(GOOD, **changes), half=half, is_needed=is_needed)
    assert found.startswith(fault) or fault in found
    assert bool(found) == bool(fault)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(str(tiny_classifier(tmp_path_factory.mktemp("package"))))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), 5)


def test_a_package_agrees_with_itself_on_every_engine(package: ModelPackage, images: Path) -> None:
    found = compare_packages(package, package, read_sample(package, [str(images)]))
    assert [row.engine for row in found.after] == ["onnxruntime", "openvino"]
    assert found.faults == ()
    assert found.num_images == 5
    assert found.before.images_per_s > 0
    own, other = found.after
    assert own.difference == 0
    assert other.difference is not None
    assert other.difference < 1e-5


def test_other_weights_are_at_fault_on_every_engine(package: ModelPackage, images: Path, tmp_path: Path) -> None:
    other = load_package(str(tiny_classifier(tmp_path, seed=1)))
    found = compare_packages(package, other, read_sample(package, [str(images)]))
    assert [fault.partition(":")[0] for fault in found.faults] == ["onnxruntime", "openvino"]
    assert "the outputs differ by" in found.faults[0]


def test_an_answer_that_is_lost_is_a_fault() -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["means"], axes=[2, 3], keepdims=0),
        helper.make_node("Neg", ["means"], ["negative"]),
        helper.make_node("Log", ["negative"], ["scores"]),
    ]
    shape = ["batch", 3, "height", "width"]
    logs = package_of(graph_bytes(nodes, inputs={"image": shape}, outputs={"scores": ["batch", 3]}))
    means = package_of(channel_means())
    item = build_preparer(means).prepare(png_bytes(0), image_id="0")
    found = compare_packages(means, logs, [item], half=True)
    assert found.faults[0] == "onnxruntime: an image that the original answers gets inf or nan"
