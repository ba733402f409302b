from __future__ import annotations

from typing import Any

import pytest

from inference_core.engines import choose as choose_module
from inference_core.engines.choose import Measurement, choose, judge_precision, list_candidates


def measured(rate: float, **facts: Any) -> Measurement:
    return Measurement(**{"engine": "openvino", "precision": "bf16", "images_per_s": rate, **facts})


REFERENCE = measured(100.0, engine="onnxruntime", precision="fp32")
FAST = measured(200.0)
SAME = measured(150.0, precision="fp32")


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param([], "onnxruntime fp32", id="alone"),
        pytest.param([measured(90.0)], "onnxruntime fp32", id="slower"),
        pytest.param([measured(104.0)], "onnxruntime fp32", id="not-clearly-faster"),
        pytest.param([FAST], "openvino bf16", id="faster"),
        pytest.param([SAME, FAST], "openvino bf16", id="the-fastest"),
        pytest.param([FAST, SAME], "openvino bf16", id="in-any-order"),
        pytest.param([measured(200.0, refusal="no such processor"), SAME], "openvino fp32", id="does-not-run"),
        pytest.param([measured(200.0, flips_frac=0.011), SAME], "openvino fp32", id="flips"),
        pytest.param([measured(200.0, flips_frac=0.01)], "openvino bf16", id="flips-at-the-tolerance"),
        pytest.param([measured(200.0, is_finite=False)], "onnxruntime fp32", id="not-finite"),
        pytest.param([measured(200.0, max_difference=None)], "openvino bf16", id="a-difference-alone-does-not-count"),
    ],
)
def test_the_fastest_that_answers_alike_is_chosen(others: list[Measurement], expected: str) -> None:
    choice = choose((REFERENCE, *others))
    assert f"{choice.engine} {choice.precision}" == expected
    assert choice.table == (REFERENCE, *others)
    assert choice.reason.startswith(f"{expected} runs ")


def test_the_guard_warns_of_each_faster_one_that_it_left_out() -> None:
    flipping, broken = measured(300.0, flips_frac=0.5), measured(200.0, precision="fp16", is_finite=False)
    choice = choose((REFERENCE, broken, flipping, SAME))
    assert choice.warnings == (
        "openvino bf16 left out, though 300 images/s: 50.0% of the sample's answers differ, more than 1.0%",
        "openvino fp16 left out, though 200 images/s: its outputs hold inf or nan",
    )
    assert (
        choice.reason
        == "openvino fp32 runs 150 images/s, 1.50 times onnxruntime fp32; 0.0% of the sample's answers differ"
    )


@pytest.mark.parametrize(
    ("guard", "warnings"),
    [
        ("warn", ("openvino bf16 is used though 50.0% of the sample's answers differ, more than 1.0%; set "
                  "precision_guard to fall_back, or precision to fp32",)),
        ("off", ()),
    ],
)  # fmt: skip
def test_the_guard_may_be_told_to_let_pass(guard: Any, warnings: tuple[str, ...]) -> None:
    choice = choose((REFERENCE, measured(300.0, flips_frac=0.5), SAME), guard=guard)
    assert (choice.precision, choice.warnings) == ("bf16", warnings)


@pytest.mark.parametrize(
    ("lower", "guard", "precision", "warning"),
    [
        pytest.param(FAST, "fall_back", "bf16", "", id="answers-alike"),
        pytest.param(measured(50.0), "fall_back", "bf16", "", id="slower-but-asked-for"),
        pytest.param(measured(9.0, flips_frac=0.02), "fall_back", "fp32", "left out for fp32: 2.0% of", id="flips"),
        pytest.param(measured(9.0, flips_frac=0.02), "warn", "bf16", "is used though 2.0% of", id="flips-told"),
        pytest.param(measured(9.0, is_finite=False), "fall_back", "fp32", "hold inf or nan", id="not-finite"),
        pytest.param(measured(0.0, refusal="no half"), "warn", "fp32", "it does not run: no half", id="does-not-run"),
    ],
)
def test_a_lower_precision_is_judged(lower: Measurement, guard: Any, precision: str, warning: str) -> None:
    choice = judge_precision(REFERENCE, lower, guard=guard)
    assert (choice.precision, bool(choice.warnings)) == (precision, bool(warning))
    assert warning in "".join(choice.warnings)
    assert choice.table == (REFERENCE, lower)


def test_the_tolerance_is_a_choice() -> None:
    assert choose((REFERENCE, measured(200.0, flips_frac=0.5)), max_flips_frac=0.5).engine == "openvino"


@pytest.mark.parametrize(
    ("weights_format", "precision", "bf16", "expected"),
    [
        pytest.param("onnx", "auto", True, ["onnxruntime fp32", "openvino fp32", "openvino bf16"], id="onnx-with-bf16"),
        pytest.param("onnx", "auto", False, ["onnxruntime fp32", "openvino fp32"], id="onnx-without"),
        pytest.param("onnx", "fp32", True, ["onnxruntime fp32", "openvino fp32"], id="onnx-fp32-alone"),
        pytest.param("onnx", "bf16", False, ["onnxruntime fp32", "openvino fp32", "openvino bf16"], id="named"),
        pytest.param("state_dict", "auto", True, ["torch fp32", "torch bf16"], id="state-dict"),
        pytest.param("tflite", "auto", True, ["litert fp32", "openvino fp32", "openvino bf16"], id="tflite"),
    ],
)
def test_candidates_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, weights_format: Any, precision: str, bf16: bool, expected: list[str]
) -> None:
    for module in ("onnxruntime", "openvino", "ai_edge_litert"):
        pytest.importorskip(module)
    monkeypatch.setattr(choose_module, "has_bf16", lambda: bf16)
    found = list_candidates(weights_format, device="cpu", precision=precision)
    assert [f"{engine} {precision}" for engine, precision in found] == expected


def test_candidates_on_cuda() -> None:
    found = list_candidates("onnx", device="cuda:0", precision="auto")
    assert found == (("onnxruntime", "fp32"), ("tensorrt", "fp32"), ("tensorrt", "fp16"))
