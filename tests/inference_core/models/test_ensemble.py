from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from inference_core.errors import ConfigError
from inference_core.models.ensemble import input_blocks
from inference_core.models.package import ModelPackage, load_package, trusted
from inference_core.pipeline import build_preparer
from inference_core.predictor import Predictor
from tests.asset_packages import write_package
from tests.drawn_objects import DECODERS, drawn_package
from tests.hooked_packages import hooked_classifier
from tests.tiny_models import tiny_classifier, tiny_segmenter


def ensemble(folder: Path, *members: dict[str, Any], **spec: Any) -> str:
    facts: dict[str, Any] = {"name": "both", "task": "classification", "format": "ensemble"}
    return str(write_package(folder, {**facts, "ensemble": {"members": list(members)}, **spec}))


def pair(root: Path, **spec: Any) -> str:
    """An ensemble of two classifiers beside it."""
    for seed in (0, 1):
        tiny_classifier(root / f"net{seed}", seed=seed, depth=1)
    return ensemble(root / "both", {"package": "../net0", "weight": 3.0}, {"package": "../net1"}, **spec)


def pictures(count: int) -> list[np.ndarray[Any, Any]]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 20, 30, 3), dtype=np.uint8))


def all_scores(model: str | ModelPackage, images: Any) -> np.ndarray[Any, Any]:
    """(N, K) scores of models that keep all classes."""
    scores = []
    for prediction in Predictor.load(model, device="cpu").predict_batch(images):
        result = prediction.result
        scores.append(dict(zip(result.class_ids.tolist(), result.scores.tolist(), strict=True)))  # type: ignore[union-attr]
    return np.array([[one[k] for k in range(3)] for one in scores])


def test_scores_are_the_weighted_mean_of_the_members(tmp_path: Path) -> None:
    uri = pair(tmp_path, output={"top_k": 3})
    images = pictures(4)
    for seed in (0, 1):
        facts = yaml.safe_load((tmp_path / f"net{seed}" / "model.yaml").read_text())
        write_package(tmp_path / f"net{seed}", {**facts, "output": {"top_k": 3}})
    members = [all_scores(str(tmp_path / f"net{seed}"), images) for seed in (0, 1)]
    np.testing.assert_allclose(all_scores(uri, images), np.average(members, axis=0, weights=[3, 1]), atol=1e-6)


def test_each_member_brings_its_views_and_its_calibration(tmp_path: Path) -> None:
    pair(tmp_path)
    for seed, more in ((0, {"calibration": {"temperature": 3.0}}), (1, {"tta": ["rot90"]})):
        facts = yaml.safe_load((tmp_path / f"net{seed}" / "model.yaml").read_text())
        write_package(tmp_path / f"net{seed}", {**facts, "output": {"top_k": 3}, **more})
    images = pictures(4)
    members = [all_scores(str(tmp_path / f"net{seed}"), images) for seed in (0, 1)]
    found = all_scores(str(tmp_path / "both"), images)
    np.testing.assert_allclose(found, np.average(members, axis=0, weights=[3, 1]), atol=1e-6)


def test_the_ensembles_calibration_holds_for_the_merged_scores(tmp_path: Path) -> None:
    images = pictures(3)
    plain = all_scores(pair(tmp_path, output={"top_k": 3}), images)
    warm = all_scores(pair(tmp_path, output={"top_k": 3}, calibration={"temperature": 2.0}), images)
    expected = plain**0.5 / (plain**0.5).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(warm, expected, atol=1e-5)


def test_it_takes_over_what_it_does_not_say(tmp_path: Path) -> None:
    package = load_package(pair(tmp_path))
    first = package.members[0].spec
    assert (package.spec.classes, package.spec.input, package.spec.output) == (first.classes, first.input, first.output)
    assert load_package(pair(tmp_path, output={"top_k": 1})).spec.output.top_k == 1


def test_the_digest_is_of_members_and_weights_not_of_places(tmp_path: Path) -> None:
    digest = load_package(pair(tmp_path)).digest
    (tmp_path / "net0").rename(tmp_path / "moved")
    moved = ensemble(tmp_path / "both", {"package": str(tmp_path / "moved"), "weight": 3.0}, {"package": "../net1"})
    assert load_package(moved).digest == digest
    other = ensemble(tmp_path / "both", {"package": "../moved", "weight": 2.0}, {"package": "../net1"})
    assert load_package(other).digest != digest
    facts = yaml.safe_load((tmp_path / "net1" / "model.yaml").read_text())
    write_package(tmp_path / "net1", {**facts, "tta": ["hflip"]})
    assert load_package(moved).digest != digest


def test_members_that_are_named_alike_are_told_apart(tmp_path: Path) -> None:
    for place in ("a/net", "b/net"):
        tiny_classifier(tmp_path / place, seed=len(place))
    uri = ensemble(tmp_path / "both", {"package": "../a/net"}, {"package": "../b/net/"})
    prediction = Predictor.load(uri, device="cpu").predict(pictures(1)[0])
    assert [gain.name for gain in prediction.result.spread.gains] == ["net 2"]  # type: ignore[union-attr]
    assert prediction.engine == "ensemble on cpu, fp32"


def test_code_of_the_first_members_filters_is_found(tmp_path: Path) -> None:
    hooked_classifier(
        tmp_path / "net0",
        files={"own.py": "def dim(pixels):\n    return pixels // 2\n"},
        input__filters=[{"import": "./own.py:dim"}],
    )
    hooked_classifier(
        tmp_path / "net1",
        files={"own.py": "def dim(pixels):\n    return pixels // 2\n"},
        input__filters=[{"import": "./own.py:dim"}],
    )
    uri = ensemble(tmp_path / "both", {"package": "../net0"}, {"package": "../net1"})
    package = load_package(uri)
    assert list(package.code) == ["own.py"]
    with pytest.raises(ConfigError, match="read it, and if you trust it"):
        Predictor.load(package, device="cpu")
    assert Predictor.load(package, device="cpu", trust_package_code=True).predict(pictures(1)[0]).is_ok


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        pytest.param({"ensemble": {"members": []}}, "members: .*at least 2", id="none"),
        pytest.param({"ensemble": {"members": [{"package": "../net0"}]}}, "members: .*at least 2", id="one"),
        pytest.param({"ensemble": None}, "members: is required and missing", id="absent"),
        pytest.param(
            {"weights": "net.onnx"}, "weights must be absent with format ensemble, got net.onnx", id="weights"
        ),
        pytest.param({"tta": ["hflip"]}, "tta and dropout must be absent with format ensemble", id="views"),
        pytest.param({"task": "multilabel"}, "must be of the ensemble's task, got classification in", id="task"),
        pytest.param({"classes": ["a", "b", "c"]}, None, id="names of its own"),
        pytest.param(
            {"ensemble": {"members": [{"package": "../net0"}, {"package": "../net1", "weight": 0}]}},
            "members.1.weight: must be greater than 0, got 0",
            id="no weight",
        ),
        pytest.param(
            {"ensemble": {"members": [{"package": "../net0"}, {"package": "../none"}]}},
            "model must be a folder with a model.yaml, got .*none; check the path",
            id="no package",
        ),
    ],
)
def test_what_an_ensemble_must_say(tmp_path: Path, spec: dict[str, Any], message: str | None) -> None:
    uri = pair(tmp_path, **spec)
    if message is None:
        assert load_package(uri).spec.classes == ("a", "b", "c")
        return
    with pytest.raises(ConfigError, match=message):
        load_package(uri)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"classes": ["red", "blue", "green"]}, "got 'blue' for 'green' as class 1 in", id="order"),
        pytest.param({"classes": ["red", "green"]}, "got 2 for 3 classes in", id="number"),
        pytest.param(
            {"input": {"fit": "stretch", "size_hw": [16, 16], "decode": {"alpha": "drop"}}},
            r"input.decode of the first member, .*got input.decode.alpha drop for white in .*; decode alike",
            id="decoding",
        ),
    ],
)
def test_members_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    uri = pair(tmp_path)
    facts = yaml.safe_load((tmp_path / "net1" / "model.yaml").read_text())
    write_package(tmp_path / "net1", {**facts, **changes})
    with pytest.raises(ConfigError, match=f"ensemble.members.1: must have the .*{message}"):
        load_package(uri)


def test_an_input_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"input: must be absent or that of the first member in an ensemble, .*remove"
    ):
        load_package(pair(tmp_path, input={"fit": "stretch", "size_hw": [8, 8]}))


@pytest.mark.parametrize(
    ("changes", "blocks"),
    [
        pytest.param({}, (0, 0), id="the same"),
        pytest.param({"mean": [0.5], "std": [0.25], "scale": 1.0}, (0, 0), id="other normalisation"),
        pytest.param({"color": "bgr"}, (0, 0), id="order of channels"),
        pytest.param({"size_hw": [8, 8]}, (0, 1), id="size"),
        pytest.param({"filters": ["gray"]}, (0, 1), id="filters"),
        pytest.param({"interpolation": "area"}, (0, 1), id="interpolation"),
    ],
)
def test_members_share_what_is_prepared_alike(tmp_path: Path, changes: dict[str, Any], blocks: tuple[int, ...]) -> None:
    uri = pair(tmp_path)
    facts = yaml.safe_load((tmp_path / "net1" / "model.yaml").read_text())
    write_package(tmp_path / "net1", {**facts, "input": {**facts["input"], **changes}})
    package = load_package(uri)
    assert input_blocks(package.members) == blocks
    assert package.has_unlike_inputs == (blocks != (0, 0))
    assert [block.spec.input for block in package.blocks[1:]] == [package.members[1].spec.input] * max(blocks)


def test_filters_of_other_code_prepare_otherwise(tmp_path: Path) -> None:
    for index, code in enumerate(("return pixels // 2", "return pixels // 4")):
        hooked_classifier(
            tmp_path / f"net{index}",
            files={"own.py": f"def dim(pixels):\n    {code}\n"},
            input__filters=[{"import": "./own.py:dim"}],
        )
    package = load_package(ensemble(tmp_path / "both", {"package": "../net0"}, {"package": "../net1"}))
    assert input_blocks(package.members) == (0, 1)
    image = pictures(1)[0]
    item = build_preparer(trusted(package)).prepare(image, image_id="")
    halves, quarters = (int(block.tiles.astype(int).sum()) for block in item.blocks)
    assert halves == pytest.approx(2 * quarters, rel=0.02)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        pytest.param(
            {"decoder": DECODERS["torchvision"]}, r"\(logits, mask_px 56\), got scores, mask_px 56", id="kind"
        ),
        pytest.param({"mask_px": 14}, r"\(logits, mask_px 56\), got logits, mask_px 14", id="size"),
        pytest.param({"decoder": {"name": "detr"}}, r"\(logits, mask_px 56\), got none", id="none"),
    ],
)
def test_instance_masks_of_two_kinds_are_refused(tmp_path: Path, output: dict[str, Any], message: str) -> None:
    fit = {"fit": "native", "multiple_px": 4}
    drawn_package(tmp_path / "net0", "mask2former", fit=fit)
    drawn_package(tmp_path / "net1", "mask2former", fit=fit, **output)
    uri = ensemble(tmp_path / "both", {"package": "../net0"}, {"package": "../net1"}, task="detection")
    with pytest.raises(ConfigError, match=f"members.1: must give instance masks as the first member does {message}"):
        load_package(uri)


def test_an_ensemble_of_ensembles_is_refused(tmp_path: Path) -> None:
    pair(tmp_path)
    uri = ensemble(tmp_path / "more", {"package": "../net0"}, {"package": "../both"})
    with pytest.raises(
        ConfigError, match=r"ensemble.members.1: must be a single model, got the ensemble .*; name its members"
    ):
        load_package(uri)


def test_masks_are_merged_plane_by_plane(tmp_path: Path) -> None:
    tiny_segmenter(tmp_path / "net0")
    uri = ensemble(
        tmp_path / "both", {"package": "../net0"}, {"package": "../net0", "weight": 0.5}, task="segmentation"
    )
    image = pictures(1)[0]
    plain, merged = (Predictor.load(one, device="cpu").predict(image).result for one in (str(tmp_path / "net0"), uri))
    np.testing.assert_array_equal(merged.mask, plain.mask)  # type: ignore[union-attr]
    np.testing.assert_array_equal(merged.scores, plain.scores)  # type: ignore[union-attr]
