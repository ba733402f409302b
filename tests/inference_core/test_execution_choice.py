from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.choice_lines import describe_execution
from inference_core.engine_choice import guard_precision, lower_precision
from inference_core.engines.cpu_features import has_bf16
from inference_core.execution_choice import ExecutionChoice, choose_execution, is_sample_needed
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_preparer
from tests.drawn_images import png_bytes
from tests.failing_modules import POISON_RGB, fragile_package
from tests.tiny_models import tiny_classifier

SETTINGS: dict[str, Any] = {
    "device": "cpu",
    "engine": "default",
    "precision": "auto",
    "guard": "fall_back",
    "batch_size": None,
}


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(str(tiny_classifier(tmp_path_factory.mktemp("onnx"))))


@pytest.fixture(scope="module")
def torch_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(str(fragile_package(tmp_path_factory.mktemp("torch"))))


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """Logits near the largest number of fp32, beyond which bf16 rounds."""
    return load_package(str(fragile_package(tmp_path_factory.mktemp("overflowing"), scale=3.4e38)))


def prepared(package: ModelPackage, count: int) -> list[PreparedItem]:
    preparer = build_preparer(package)
    return [preparer.prepare(png_bytes(index), image_id=str(index)) for index in range(count)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, None, id="fp32"),
        pytest.param({"precision": "fp32"}, None, id="fp32-asked-for"),
        pytest.param({"precision": "bf16"}, "bf16", id="bf16"),
    ],
)
def test_what_is_lower_than_fp32(torch_package: ModelPackage, changes: dict[str, Any], expected: str | None) -> None:
    settings = {"device": "cpu", "engine": "default", "precision": "auto", **changes}
    assert lower_precision(torch_package, **settings) == expected


def test_a_graph_with_a_precision_of_its_own_has_none_that_is_lower(onnx: ModelPackage) -> None:
    assert lower_precision(onnx, engine="default", device="cpu", precision="bf16") is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, False, id="nothing-open"),
        pytest.param({"batch_size": 4}, False, id="all-said"),
        pytest.param({"batch_size": "auto"}, True, id="batch-size"),
        pytest.param({"engine": "auto"}, True, id="engine"),
        pytest.param({"precision": "bf16"}, True, id="lower-precision"),
        pytest.param({"precision": "bf16", "guard": "warn"}, True, id="to-warn"),
        pytest.param({"precision": "bf16", "guard": "off"}, False, id="guard-off"),
    ],
)
def test_when_a_sample_is_needed(torch_package: ModelPackage, changes: dict[str, Any], expected: bool) -> None:
    assert is_sample_needed(torch_package, **{**SETTINGS, **changes}) is expected


def test_nothing_open_is_nothing_chosen(torch_package: ModelPackage) -> None:
    choice = choose_execution(torch_package, [], **SETTINGS)
    assert choice == ExecutionChoice()
    assert describe_execution(choice) == []


def test_a_lower_precision_that_answers_alike_is_kept(torch_package: ModelPackage) -> None:
    choice = guard_precision(torch_package, prepared(torch_package, 6), device="cpu", precision="bf16")
    assert choice is not None
    assert (choice.engine, choice.precision, choice.warnings) == ("torch", "bf16", ())
    assert [str(one) for one in choice.table] == ["torch fp32", "torch bf16"]
    assert choice.table[1].max_difference is not None
    assert 0 < choice.table[1].max_difference < 0.1
    assert choice.reason.startswith("torch bf16; bf16 runs ")


@pytest.mark.parametrize(
    ("guard", "precision", "warning"),
    [
        pytest.param("fall_back", "fp32", "torch bf16 left out for fp32: its outputs hold inf or nan", id="fall-back"),
        pytest.param("warn", "bf16", "torch bf16 is used though its outputs hold inf or nan", id="warn"),
    ],
)
def test_a_lower_precision_that_overflows_trips_the_guard(
    overflowing: ModelPackage, guard: Any, precision: str, warning: str
) -> None:
    white = np.full((16, 16, 3), 255, np.uint8)
    items = [build_preparer(overflowing).prepare(white, image_id="white"), *prepared(overflowing, 3)]
    choice = guard_precision(overflowing, items, device="cpu", precision="bf16", guard=guard)
    assert choice is not None
    assert choice.precision == precision
    assert len(choice.warnings) == 1
    assert choice.warnings[0].startswith(warning)
    assert not choice.table[1].is_finite


def test_images_that_fail_anyway_do_not_trip_the_guard(torch_package: ModelPackage) -> None:
    poison = np.full((16, 16, 3), POISON_RGB, np.uint8)
    items = [build_preparer(torch_package).prepare(poison, image_id="poison"), *prepared(torch_package, 3)]
    choice = guard_precision(torch_package, items, device="cpu", precision="bf16")
    assert choice is not None
    assert (choice.precision, choice.warnings) == ("bf16", ())


@pytest.mark.parametrize("guard", ["off", "fall_back"])
def test_without_a_guard_or_an_image_nothing_is_compared(torch_package: ModelPackage, guard: Any) -> None:
    items = prepared(torch_package, 1) if guard == "off" else []
    assert guard_precision(torch_package, items, device="cpu", precision="bf16", guard=guard) is None


@pytest.mark.skipif(not has_bf16(), reason="the processor has no bf16 arithmetic")
def test_openvino_in_bf16_is_compared_too(onnx: ModelPackage) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    choice = guard_precision(onnx, prepared(onnx, 4), engine="openvino", device="cpu", precision="bf16")
    assert choice is not None
    assert str(choice.table[1]) == "openvino bf16"
    assert choice.precision == "bf16"


def test_engine_and_batch_size_are_chosen_together(onnx: ModelPackage) -> None:
    choice = choose_execution(
        onnx, prepared(onnx, 4), device="cpu", engine="auto", precision="fp32", batch_size="auto", max_batch_size=4
    )
    assert choice.engine is not None
    assert choice.batch is not None
    assert choice.batch.batch_size in (1, 2, 4)
    lines = describe_execution(choice)
    assert lines[0].startswith("engine: ")
    assert any(line.startswith("batch size: batch ") for line in lines)
    assert lines[-1].startswith("  batch ")


def test_the_batch_size_is_chosen_for_the_precision_that_is_used(overflowing: ModelPackage, tmp_path: Path) -> None:
    white = np.full((16, 16, 3), 255, np.uint8)
    items = [build_preparer(overflowing).prepare(white, image_id="white")]
    choice = choose_execution(overflowing, items, device="cpu", precision="bf16", batch_size="auto", max_batch_size=2)
    assert choice.engine is not None
    assert choice.engine.precision == "fp32"
    assert choice.batch is not None
