from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_core import engine_choice
from inference_core.engine_choice import Trial, choose_engine
from inference_core.errors import ConfigError
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage, load_package
from inference_core.pipeline import build_preparer
from tests.drawn_images import png_bytes
from tests.tiny_models import tiny_classifier, tiny_segmenter

pytest.importorskip("openvino", reason="the extra openvino is not installed")


def prepared(package: ModelPackage, count: int) -> list[PreparedItem]:
    preparer = build_preparer(package)
    return [preparer.prepare(png_bytes(index), image_id=str(index)) for index in range(count)]


@pytest.mark.parametrize("build", [tiny_classifier, tiny_segmenter], ids=["classifier", "segmenter"])
def test_all_candidates_are_measured_and_compared(tmp_path: Path, build: Any) -> None:
    package = load_package(str(build(tmp_path)))
    choice = choose_engine(package, prepared(package, 5), device="cpu", precision="fp32", batch_size=2)
    assert [str(one) for one in choice.table] == ["onnxruntime fp32", "openvino fp32"]
    for one in choice.table:
        assert one.images_per_s > 0
        assert one.max_difference is not None
        assert one.max_difference < 1e-4
        assert (one.flips_frac, one.is_finite, one.refusal) == (0.0, True, "")


def test_a_candidate_that_does_not_run_says_why_and_is_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = load_package(str(tiny_classifier(tmp_path)))
    candidates = (("onnxruntime", "fp32"), ("openvino", "fp16"))
    monkeypatch.setattr(engine_choice, "list_candidates", lambda *_, **__: candidates)
    choice = choose_engine(package, prepared(package, 2), device="cpu", batch_size=2)
    assert choice.engine == "onnxruntime"
    assert choice.table[1].refusal.startswith("precision: must be fp32, bf16 or auto on the CPU")


def test_bad_images_are_left_out_and_none_at_all_is_refused(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path)))
    bad = build_preparer(package).prepare(b"no image", image_id="bad")
    assert choose_engine(package, [bad, *prepared(package, 1)], device="cpu", batch_size=2).table[0].images_per_s > 0
    for items in ([], [bad]):
        with pytest.raises(ConfigError, match="engine: must be named where no image of the sample can be read"):
            choose_engine(package, items, device="cpu", batch_size=2)


@pytest.mark.parametrize(("max_round_s", "expected"), [(1e-9, 2), (1e9, 5)], ids=["slow-model", "fast-model"])
def test_a_slow_model_is_measured_on_one_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_round_s: float, expected: int
) -> None:
    monkeypatch.setattr(engine_choice, "MAX_ROUND_S", max_round_s)
    package = load_package(str(tiny_classifier(tmp_path)))
    trial = Trial(package, prepared(package, 5), device="cpu", batch_size=2, num_threads=1)
    trial.measure_reference("onnxruntime", "fp32")
    assert trial.num_images == expected
