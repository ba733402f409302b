from __future__ import annotations

from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.models.package import model_digest
from inference_core.quality_fields import GROUPS, fields_of, groups_of
from inference_core.quality_spec import BoundsSpec
from inference_core.spec import ModelSpec
from tests.specs import model_spec

SEGMENTATION = {"task": "segmentation", "classes": ["back", "front"]}
BOXES = {"task": "detection", "output": {"decoder": {"name": "yolov8"}}}
LABELS = {"task": "multilabel", "output": {"activation": "sigmoid"}}
VECTORS = {"task": "embedding", "classes": None}
CLASSES: dict[str, Any] = {}
TASKS = [
    pytest.param(facts, id=str(facts.get("task", "classification")))
    for facts in (CLASSES, LABELS, BOXES, SEGMENTATION, VECTORS)
]


def rule(when: Any, verdict: str = "review", **options: Any) -> dict[str, Any]:
    return {"quality": {"rules": [{"when": when, "verdict": verdict}], **options}}


def spec_of(facts: Any, options: Any = None) -> ModelSpec:
    return model_spec({**facts, **(options or {})})


def test_nothing_is_asked_for_by_default_and_the_digest_does_not_know_of_it() -> None:
    plain = model_spec()
    assert (plain.statistic_groups, plain.quality) == ((), None)
    assert model_digest(plain, weights_sha256="") == model_digest(
        model_spec({"statistics": "basic"}), weights_sha256=""
    )
    assert model_digest(plain, weights_sha256="") != model_digest(model_spec({"statistics": "full"}), weights_sha256="")


@pytest.mark.parametrize("facts", TASKS)
def test_full_is_all_that_a_task_has(facts: Any) -> None:
    spec = spec_of(facts, {"statistics": "full"})
    assert spec.statistic_groups == groups_of(spec.task)
    assert "image" in spec.statistic_groups


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        pytest.param("margin", ("margin",), id="one-name"),
        pytest.param(["image", "margin"], ("margin", "image"), id="list-in-the-order-of-columns"),
        pytest.param({"groups": ["image"], "near_threshold": 0.2}, ("image",), id="mapping"),
        pytest.param([], (), id="none"),
    ],
)
def test_statistics_may_be_said_for_short(given: Any, groups: tuple[str, ...]) -> None:
    assert model_spec({"statistics": given}).statistic_groups == groups


def test_rules_bring_the_statistics_that_they_ask_for() -> None:
    assert spec_of(SEGMENTATION, rule({"coherence": {"below": 0.5}})).statistic_groups == ("coherence",)
    assert model_spec(rule({"score": {"below": 0.5}})).statistic_groups == ()


def test_a_single_score_has_no_margin() -> None:
    one = {"output": {"top_k": 1}}
    assert model_spec({**one, "statistics": "full"}).statistic_groups == ("image",)
    message = "statistics: margin needs the second best class; set output.top_k to 2 or more"
    with pytest.raises(ConfigError, match=message):
        model_spec({**one, "statistics": ["margin"]})
    with pytest.raises(ConfigError, match=r"quality.rules.0.when.margin needs the second best class"):
        model_spec({**one, **rule({"margin": {"below": 0.1}})})


@pytest.mark.parametrize(
    ("bounds", "value", "is_held"),
    [
        ({"below": 0.5}, 0.25, True),
        ({"below": 0.5}, 0.5, False),
        ({"above": 0.5}, 0.5, False),
        ({"above": 0.5}, 0.75, True),
        ({"above": 0.25, "below": 0.75}, 0.5, True),
        ({"above": 0.25, "below": 0.75}, 0.75, False),
        ({"below": 0.5}, None, False),
        ({"above": 0.5}, None, False),
    ],
)
def test_bounds_leave_their_ends_out(bounds: Any, value: float | None, is_held: bool) -> None:
    assert BoundsSpec(**bounds).holds(value) is is_held


def test_a_rule_without_a_reason_says_itself() -> None:
    spec = model_spec(rule({"score": {"below": 0.25}, "entropy": {"above": 0.5, "below": 0.75}}))
    assert spec.quality is not None
    assert spec.quality.rules[0].told_reason == "score below 0.25 and entropy above 0.5 and below 0.75"


WRONG = [
    pytest.param(
        CLASSES,
        {"statistics": "ful"},
        "statistics.groups: must be basic, full or a list of .*'ful'; did you mean 'full'",
        id="x",
    ),
    pytest.param(CLASSES, {"statistics": ["margn"]}, "got 'margn'; did you mean 'margin'?", id="near-group"),
    pytest.param(
        CLASSES,
        {"statistics": ["boundary"]},
        "statistics must be of margin, image with task classification, got boundary; remove it",
        id="group-of-another-task",
    ),
    pytest.param(
        SEGMENTATION,
        {"statistics": {"low_score": 0.9, "high_score": 0.5}},
        "low_score must be at most high_score, got 0.9 and 0.5; exchange them",
        id="low-over-high",
    ),
    pytest.param(
        SEGMENTATION,
        {"statistics": {"high_score": 1.5}},
        "statistics.high_score: must be less than or equal to 1, got 1.5",
        id="high-over-1",
    ),
    pytest.param(SEGMENTATION, {"statistics": {"band_px": 0}}, "statistics.band_px: must be greater", id="no-band"),
    pytest.param(CLASSES, {"quality": {"rules": []}}, "quality.rules: .* at least 1 item", id="no-rules"),
    pytest.param(CLASSES, rule({}), r"quality.rules.0.when: .* at least 1 item", id="no-condition"),
    pytest.param(
        CLASSES,
        rule({"score": {"below": 0.5}}, "accept"),
        "quality.rules.0.verdict: must be 'review' or 'reject', got 'accept'",
        id="verdict",
    ),
    pytest.param(
        CLASSES,
        rule({"score": {"under": 0.5}}),
        "quality.rules.0.when.score.under: is not a known key",
        id="unknown-bound",
    ),
    pytest.param(CLASSES, rule({"score": {}}), "must have below, above or both, got neither; add one", id="no-bound"),
    pytest.param(
        CLASSES,
        rule({"score": {"below": 0.2, "above": 0.5}}),
        "above must be less than below, got 0.5 and 0.2, between which no value lies; make two rules",
        id="ends-exchanged",
    ),
    pytest.param(
        CLASSES,
        rule({"scor": {"below": 0.5}}),
        r"quality.rules.0.when must name what task classification tells, got 'scor'; did you mean 'score'\?",
        id="near-field",
    ),
    pytest.param(
        CLASSES,
        rule({"zzz": {"below": 0.5}}),
        "got 'zzz'; known are height, width, score, entropy, .*sharpness",
        id="unknown-field",
    ),
    pytest.param(
        CLASSES,
        rule({"coherence": {"below": 0.5}}),
        "must name what task classification tells, got 'coherence'",
        id="field-of-another-task",
    ),
    pytest.param(
        CLASSES,
        rule({"score": {"below": 1.5}}),
        r"quality.rules.0.when.score.below must lie in \[0, 1\], got 1.5; correct it",
        id="threshold-over-1",
    ),
    pytest.param(
        CLASSES, rule({"score": {"above": -0.5}}), r"when.score.above must lie in \[0, 1\], got -0.5", id="under-0"
    ),
    pytest.param(
        CLASSES, rule({"score": {"below": 0}}), "below must be above 0, got 0; no value is less", id="never-below"
    ),
    pytest.param(
        CLASSES, rule({"score": {"above": 1}}), "above must be below 1, got 1; no value is more", id="never-above"
    ),
    pytest.param(
        CLASSES,
        rule({"score": {"below": float("nan")}}),
        "quality.rules.0.when.score.below: must be a finite",
        id="nan",
    ),
    pytest.param(
        BOXES,
        rule({"num_objects": {"below": 1.5}}),
        "num_objects.below must be a whole number of at least 0, got 1.5",
        id="half-an-object",
    ),
    pytest.param(
        BOXES,
        rule({"num_objects": {"above": 1, "below": 2}}),
        "must leave a whole number between above and below, got 1 and 2",
        id="nothing-between",
    ),
    pytest.param(
        CLASSES, rule({"sharpness": {"below": -1}}), "sharpness.below must be at least 0, got -1", id="no-upper-end"
    ),
    pytest.param(
        CLASSES,
        rule({"mutual_information": {"above": 0.1}}),
        "when.mutual_information needs several forwards; declare tta, dropout or an ensemble, or remove the rule",
        id="one-forward",
    ),
    pytest.param(
        {"dropout": {"samples": 2}, "format": "timm", "architecture": {"name": "resnet18"}},
        rule({"disagreement": {"above": 0.1}}),
        "when.disagreement needs several views or members; declare tta or an ensemble",
        id="one-view",
    ),
    pytest.param(
        CLASSES,
        rule({"set_size": {"above": 1}}),
        "when.set_size needs conformal sets; declare conformal",
        id="no-conformal-sets",
    ),
    pytest.param(
        CLASSES,
        rule({"score": {"below": 0.5}}, review_size=0),
        "quality.review_size: must be greater than or equal to 1, got 0",
        id="no-queue",
    ),
]


@pytest.mark.parametrize(("facts", "options", "message"), WRONG)
def test_what_cannot_be_is_refused_with_what_to_do(facts: Any, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spec_of(facts, options)


def test_what_forwards_and_sets_tell_can_be_asked_for_where_they_are_declared() -> None:
    asked = rule({"mutual_information": {"above": 0.1}, "disagreement": {"above": 0.5}, "set_size": {"above": 1}})
    spec = model_spec({"tta": ["hflip"], "conformal": {"quantile": 0.5}, **asked})
    assert spec.quality is not None
    assert list(spec.quality.named_fields) == ["mutual_information", "disagreement", "set_size"]


@pytest.mark.parametrize("facts", TASKS)
def test_every_field_of_a_task_can_be_asked_for_or_says_what_it_needs(facts: Any) -> None:
    task = facts.get("task", "classification")
    for name, field in fields_of(task).items():
        options = rule({name: {"above": field.low + (1 if field.is_whole else 0.25)}})
        if field.need is None:
            assert spec_of(facts, options).quality is not None
        else:
            with pytest.raises(ConfigError, match=f"{name} needs"):
                spec_of(facts, options)
    assert set(groups_of(task)) <= set(GROUPS)
