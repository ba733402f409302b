from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inference_core.architecture_spec import ArchitectureSpec
from inference_core.engines.build import build_engine
from inference_core.errors import EngineError, ModelError
from inference_core.golden.deviation import Deviation
from inference_core.golden.read import Golden, GoldenImage, load_golden
from inference_core.golden.seal import seal
from inference_core.golden.verify import (
    breaks_contract,
    prepare_images,
    replay,
    verify_engines,
    verify_resamplers,
    with_resampler,
)
from inference_core.models.architectures import build_architecture
from inference_core.models.package import ModelPackage, load_package
from inference_core.records import Uint8Array
from tests.asset_packages import write_package
from tests.inference_core.golden.conftest import MakeSealed
from tests.sealed_packages import edit_record, edit_values, shift_outputs
from tests.tiny_models import tiny_classifier, tiny_segmenter


def tiny_unet(folder: Path) -> Path:
    """Two classes on gray images, with weights by chance."""
    options = {"in_channels": 1, "num_classes": 2, "widths": [4, 8]}
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(build_architecture(ArchitectureSpec(name="unet", options=options)).state_dict(), folder / "unet.pth")
    spec = {
        "name": "unet",
        "task": "segmentation",
        "format": "state_dict",
        "weights": "unet.pth",
        "architecture": {"name": "unet", "options": options},
        "classes": ["background", "cell"],
        "input": {"fit": "stretch", "size_hw": [16, 16], "color": "gray"},
    }
    return write_package(folder, spec)


def replay_own(package: ModelPackage, *, max_s: float = float("inf")) -> Deviation:
    golden = load_golden(package)
    engine = build_engine(package, device="cpu", precision="fp32", num_threads=1)
    return replay(package, golden, prepare_images(package, golden.images), engine, max_s=max_s)


@pytest.mark.parametrize("build", [tiny_classifier, tiny_segmenter], ids=["classifier", "segmenter"])
def test_every_engine_passes(make_sealed: MakeSealed, build: Any) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    package = make_sealed(build)
    found = verify_engines(package, load_golden(package), precisions=["fp32"], device="cpu")
    assert [str(one) for one in found] == ["onnxruntime fp32", "openvino fp32"]
    for one in found:
        assert one.passed, one.faults
        assert (one.num_images, one.prepared_frac, one.answers_frac, one.num_failed) == (3, 0.0, 0.0, 0)
        assert one.outputs_largest is not None
        assert one.outputs_largest < 1e-4
    assert found[0].outputs_largest == 0


def test_a_named_engine_that_does_not_run_the_format_says_so(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    (found,) = verify_engines(package, load_golden(package), engines=["torch"], device="cpu")
    assert not found.passed
    assert "engine: must be" in found.refusal


def test_a_precision_that_is_named_is_tried(make_sealed: MakeSealed) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    package = make_sealed()
    found = verify_engines(package, load_golden(package), precisions=["fp16"], device="cpu")
    assert [str(one) for one in found] == ["onnxruntime fp32", "openvino fp32", "openvino fp16"]
    assert found[2].refusal.startswith("precision: must be fp32, bf16 or auto on the CPU")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")  # torch's own use of it
def test_the_compiler_is_tried_where_it_is_asked_for(tmp_path: Path, images: list[GoldenImage]) -> None:
    package = load_package(str(tiny_unet(tmp_path)))
    golden = seal(package, images[:1])
    found = verify_engines(package, golden, precisions=["fp32"], device="cpu", compiles=True)
    assert [str(one) for one in found] == ["torch fp32", "torch compiled fp32"]
    for one in found:
        assert one.passed, one.faults


def test_other_sealed_scores_fail(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    shift_outputs(package, by=0.01)
    found = replay_own(package)
    assert found.outputs_largest == pytest.approx(0.01, rel=1e-3)
    assert found.outputs_frac == pytest.approx(1 / 3)
    assert found.faults == ("33.3 % of raw outputs are off, by up to 0.01; allowed is 1e-05 + 0.0001 x the largest",)


def test_a_tolerance_in_the_file_is_the_one_that_counts(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    shift_outputs(package, by=0.01)
    edit_record(package, lambda record: record["tolerance"].update(outputs_abs=0.02))
    assert replay_own(package).passed


def test_another_decision_fails_also_where_scores_are_near(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    edit_values(package, lambda arrays: arrays.update({"01.decision": np.int32([2])}))
    found = replay_own(package)
    assert found.answers_frac == pytest.approx(1 / 3)
    assert found.faults == ("33.3 % of answers differ, more than 0.1 %",)


def test_in_another_precision_only_answers_count(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    edit_record(package, lambda record: record.update(precision="fp16"))
    shift_outputs(package, by=0.01)
    found = replay_own(package)
    assert found.passed
    assert not found.judges_outputs
    assert found.outputs_largest == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf], ids=["nan", "inf"])
def test_values_that_are_not_finite_are_no_agreement(make_sealed: MakeSealed, value: float) -> None:
    package = make_sealed()
    edit_values(package, lambda arrays: arrays.update({"00.output.0": np.full(3, value, np.float32)}))
    found = replay_own(package)
    assert found.outputs_largest is None
    assert found.faults == (
        "33.3 % of raw outputs have no common size or are not finite; allowed is 1e-05 + 0.0001 x the largest",
    )


def test_an_output_of_another_size_fails(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    edit_record(package, lambda record: record["images"][0]["outputs"][0].update(num_values=4))
    assert replay_own(package).outputs_largest is None


def test_another_number_of_outputs_fails(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    edit_record(package, lambda record: record["images"][0].update(outputs=[]))
    assert not replay_own(package).passed


class Refusing:
    """An engine whose model refuses what is bright."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.facts = engine.facts

    def run(self, batch: Uint8Array) -> Any:
        if batch[..., 1].mean() > 100:
            raise EngineError("too green")
        return self._engine.run(batch)


def test_an_image_without_an_answer_fails(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    golden = load_golden(package)
    engine = Refusing(build_engine(package, device="cpu", precision="fp32", num_threads=1))
    found = replay(package, golden, prepare_images(package, golden.images), engine)
    assert found.num_failed == 1
    assert found.faults[-1] == "1 of 3 images have no answer: the model refused the image: too green"


@pytest.mark.parametrize(("max_s", "count"), [(0.0, 1), (60.0, 3)], ids=["no-time", "time"])
def test_a_job_replays_as_many_as_it_has_time_for(make_sealed: MakeSealed, max_s: float, count: int) -> None:
    assert replay_own(make_sealed(), max_s=max_s).num_images == count


def sealed_with_other_resampler(package: ModelPackage, images: list[GoldenImage]) -> Golden:
    """As a machine whose libraries resize otherwise would have sealed it."""
    elsewhere = with_resampler(package, "opencv")
    seal(elsewhere, images, force=True)
    edit_record(package, lambda record: record["versions"].update(pillow="1.0"))
    return load_golden(package)


def test_libraries_that_resize_otherwise_are_found(make_sealed: MakeSealed, images: list[GoldenImage]) -> None:
    package = make_sealed()
    found = verify_engines(package, sealed_with_other_resampler(package, images), precisions=["fp32"], device="cpu")
    for one in found:
        assert not one.passed
        assert one.prepared_frac > 0.1
        assert one.prepared_largest is not None
        assert one.prepared_largest > 1
        assert "of prepared values differ, by up to" in one.faults[0]


def test_what_another_resampler_would_change_is_shown_and_not_judged(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    found = {one.resampler: one for one in verify_resamplers(package, load_golden(package))}
    assert set(found) == {"torch", "opencv"}
    assert 0 < found["torch"].prepared_frac < found["opencv"].prepared_frac
    assert found["torch"].prepared_largest == 1
    assert found["opencv"].outputs_largest is not None
    assert found["opencv"].outputs_largest > 0


def test_a_resampler_without_the_interpolation_is_left_out(tmp_path: Path, images: list[GoldenImage]) -> None:
    package = load_package(str(tiny_classifier(tmp_path)))
    changed = package.spec.input.model_copy(update={"interpolation": "lanczos"})
    package = replace(package, spec=package.spec.model_copy(update={"input": changed}))
    assert [one.resampler for one in verify_resamplers(package, seal(package, images))] == ["opencv"]


def test_one_prepared_value_of_many_is_enough(
    tmp_path: Path, images: list[GoldenImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference_core.golden.seal.MAX_TILE_VALUES", 10)
    package = load_package(str(tiny_classifier(tmp_path)))
    golden = seal(package, images)
    items = prepare_images(package, golden.images)
    prepared = items[0].prepared
    assert prepared is not None
    tiles = prepared.tiles.copy()
    tiles[0, 0, 0, 1] ^= 1  # not among what is kept
    items[0] = replace(items[0], prepared=replace(prepared, tiles=tiles))
    found = replay(package, golden, items, build_engine(package, device="cpu", precision="fp32", num_threads=1))
    assert found.prepared_frac == pytest.approx(1 / (3 * tiles.size))
    assert found.faults[0].startswith("under 0.1 % of prepared values differ, by up to 1 of 255")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: image["placement"].update(offset_yx=[1, 0]), id="place"),
        pytest.param(lambda image: image.update(tiles_shape=[1, 16, 15, 3]), id="size"),
    ],
)
def test_another_place_in_the_input_fails(make_sealed: MakeSealed, change: Callable[[Any], None]) -> None:
    package = make_sealed()
    edit_record(package, lambda record: change(record["images"][1]))
    found = replay_own(package)
    assert found.prepared_largest is None
    assert found.faults == ("an image gets another size or place in the input",)


def test_a_package_that_was_changed_is_not_replayed(make_sealed: MakeSealed) -> None:
    package = make_sealed()
    with pytest.raises(ModelError, match="must be sealed for digest"):
        verify_engines(replace(package, digest="0" * 64), load_golden(package))


PASSED = Deviation(engine="torch", precision="fp32", resampler="pillow", num_images=1)


@pytest.mark.parametrize(
    ("found", "is_wanted", "is_strict", "expected"),
    [
        pytest.param(PASSED, True, True, False, id="passed"),
        pytest.param(replace(PASSED, faults=("x",)), False, False, True, id="failed"),
        pytest.param(replace(PASSED, faults=("x",), judges_outputs=False), True, False, False, id="low-precision"),
        pytest.param(
            replace(PASSED, faults=("x",), judges_outputs=False), False, True, True, id="low-precision-strict"
        ),
        pytest.param(replace(PASSED, refusal="x"), False, True, False, id="an-engine-that-does-not-run"),
        pytest.param(replace(PASSED, refusal="x"), True, False, True, id="the-engine-that-was-named"),
    ],
)
def test_what_breaks_the_contract(found: Deviation, is_wanted: bool, is_strict: bool, expected: bool) -> None:
    assert breaks_contract(found, is_wanted=is_wanted, is_strict=is_strict) is expected
