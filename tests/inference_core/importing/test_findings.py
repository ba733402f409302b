from __future__ import annotations

from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.importing.draft import Draft, Fact, Gap
from inference_core.importing.findings import Findings, MissingFactsError, is_answer, overlay, put
from inference_core.importing.given import read_given


def fact(key: str, value: Any) -> Fact:
    return Fact(key=key, value=value, origin="here")


def gap(key: str, example: str = "x") -> Gap:
    return Gap(key=key, reason="nobody knows", example=example)


DRAFT = Draft(
    found=(fact("input.size_hw", [299, 299]), fact("input.layout", "BCHW")),
    assumed=(
        fact("task", "detection"),
        fact("output.decoder", {"name": "ssd", "boxes": "corners"}),
        fact("input.layout", "BHWC"),
    ),
    missing=(gap("input.fit"), gap("architecture"), gap("output.decoder.priors")),
)


def findings(said: dict[str, Any]) -> Findings:
    return overlay(DRAFT, read_given(said), source="m.onnx")


def test_what_was_found_wins_over_what_is_usual() -> None:
    assert findings({}).settings()["input"] == {"size_hw": [299, 299], "layout": "BCHW"}
    assert [each.key for each in findings({}).assumed] == ["task", "output.decoder"]


def test_what_the_user_says_wins_over_all() -> None:
    known = findings({"input.layout": "BHWC", "task": "embedding"})
    assert known.settings()["input"]["layout"] == "BHWC"
    assert known.settings()["task"] == "embedding"
    assert [each.key for each in known.found] == ["input.size_hw"]
    assert [each.key for each in known.assumed] == ["output.decoder"]


@pytest.mark.parametrize(
    ("said", "decoder"),
    [
        ({}, {"name": "ssd", "boxes": "corners"}),
        ({"output.decoder.units": "pixels"}, {"name": "ssd", "boxes": "corners", "units": "pixels"}),
        ({"output.decoder.name": "ssd"}, {"name": "ssd", "boxes": "corners"}),
        ({"output.decoder.name": "yolox"}, {"name": "yolox"}),
        ({"output": {"decoder": {"name": "yolov8", "layout": "BNC"}}}, {"name": "yolov8", "layout": "BNC"}),
    ],
    ids=["nothing", "an-option", "the-same", "another", "another-with-options"],
)
def test_options_go_with_what_they_are_options_of(said: dict[str, Any], decoder: dict[str, Any]) -> None:
    assert findings(said).settings()["output"]["decoder"] == decoder


@pytest.mark.parametrize(
    ("key", "asked", "answers"),
    [
        ("input.fit", "input.fit", True),
        ("architecture.import", "architecture", True),
        ("output.decoder", "output.decoder.priors", True),
        ("input.fit_x", "input.fit", False),
        ("input.mean", "input.fit", False),
    ],
    ids=["same", "below", "above", "longer-name", "another"],
)
def test_what_fills_a_gap(key: str, asked: str, answers: bool) -> None:
    assert is_answer(key, asked) is answers


def test_the_crop_of_a_preset_follows_the_size() -> None:
    known = findings({"preset": "torchvision"})
    assert known.settings()["input"]["resize_px"] == 341  # 299 / 0.875, cut off as timm and torchvision do
    assert "preset" in known.said[-1].origin


@pytest.mark.parametrize(
    "said",
    [
        {"preset": "torchvision", "input.resize_px": 320},
        {"preset": "torchvision", "input.fit": "stretch"},
        {"preset": "imagenet"},
    ],
    ids=["said", "another-fit", "no-crop"],
)
def test_no_crop_where_the_user_says_otherwise(said: dict[str, Any]) -> None:
    assert findings(said).settings()["input"].get("resize_px") == said.get("input.resize_px")


def test_the_message_says_how_to_say_each_fact() -> None:
    known = Findings(
        source="m.onnx",
        found=(),
        assumed=(),
        said=(),
        missing=(gap("input.mean", "[0.1, 0.2]"), gap("classes", "names.txt")),
    )
    assert str(MissingFactsError(known, flag="--set model_facts.")) == (
        "m.onnx does not tell 2 facts that a model package needs; say them:\n"
        "  input.mean: nobody knows; e.g. --set 'model_facts.input.mean=[0.1, 0.2]'\n"
        "  classes: nobody knows; e.g. --set model_facts.classes=names.txt\n"
        "  or take a usual recipe for the input.* facts with a preset, e.g. --set model_facts.preset=imagenet"
    )


def test_the_record_holds_all() -> None:
    record = findings({"input.fit": "stretch"}).record()
    assert record["said"] == [{"key": "input.fit", "value": "stretch", "origin": "said by the user"}]
    assert [each["key"] for each in record["missing"]] == ["architecture", "output.decoder.priors"]
    assert record["missing"][0]["example"] == "architecture=x"


def test_a_key_below_a_value_is_told() -> None:
    with pytest.raises(ConfigError, match=r"^task\.name: must be a key below a mapping, got task: 'detection'"):
        put({"task": "detection"}, "task.name", 1)
