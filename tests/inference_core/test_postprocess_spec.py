from __future__ import annotations

from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.models.package import model_digest
from inference_core.spec import ModelSpec
from inference_core.validation import plain_facts
from tests.specs import model_spec

CLASSES = ["background", "vessel", "lesion"]


def spec_of(steps: list[Any], **facts: Any) -> ModelSpec:
    return model_spec({"task": "segmentation", "classes": CLASSES, "postprocess": steps, **facts})


def test_a_step_may_name_its_classes() -> None:
    spec = spec_of([{"min_area_px": 64, "classes": ["vessel"]}, {"keep_largest": 1}])
    assert [(step.name, step.value, step.classes) for step in spec.postprocess] == [
        ("min_area_px", 64, ("vessel",)),
        ("keep_largest", 1, ()),
    ]
    assert spec_of(plain_facts(spec)["postprocess"]) == spec


def test_components_have_defaults_and_are_none_where_nobody_asks() -> None:
    assert spec_of([]).components is None
    found = spec_of([], components={}).components
    assert found is not None
    assert (found.max_count, found.min_area_px, found.classes) == (100, 1, ())


def test_the_digest_holds_what_is_declared_and_only_that() -> None:
    def digest(**facts: Any) -> str:
        return model_digest(spec_of([{"min_area_px": 64}], **facts), weights_sha256="0" * 64)

    assert digest(components=None) == digest()
    assert len({digest(), digest(components={}), digest(components={"max_count": 5})}) == 3
    named = model_digest(spec_of([{"min_area_px": 64, "classes": ["vessel"]}]), weights_sha256="0" * 64)
    assert named != digest()
    everything = model_digest(spec_of([{"min_area_px": 64, "classes": []}]), weights_sha256="0" * 64)
    assert everything == digest()


@pytest.mark.parametrize(
    ("named", "message"),
    [
        pytest.param(["vesel"], "must name classes of the package, got vesel; did you mean vessel?", id="near"),
        pytest.param(["car"], "must name classes of the package, got car; classes here: vessel, lesion", id="far"),
        pytest.param(["background"], "must not name background, which is the background, class 0", id="background"),
        pytest.param(["vessel", "vessel"], "must name each class once, got vessel more than once", id="twice"),
    ],
)
def test_classes_that_cannot_be_meant_are_refused(named: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match="postprocess.1.classes " + message.replace("?", "[?]")):
        spec_of([{"open_px": 3}, {"min_area_px": 64, "classes": named}])
    with pytest.raises(ConfigError, match="components.classes " + message.replace("?", "[?]")):
        spec_of([], components={"classes": named})


@pytest.mark.parametrize(
    ("components", "message"),
    [
        pytest.param({"max_count": 0}, "components.max_count: must be greater than 0, got 0", id="none"),
        pytest.param({"max_count": 10_001}, "components.max_count: must be less than or equal to 10000", id="too many"),
        pytest.param({"min_area_px": 0}, "components.min_area_px: must be greater than 0, got 0", id="area 0"),
        pytest.param({"max_rows": 5}, "components.max_rows: is not a known key", id="unknown"),
        pytest.param(True, "components: must be a .*, got True", id="switch"),
    ],
)
def test_wrong_components_are_refused(components: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spec_of([], components=components)


def test_other_tasks_have_no_masks() -> None:
    with pytest.raises(ConfigError, match="components must go with task segmentation, got classification; remove it"):
        model_spec({"components": {}})
    with pytest.raises(ConfigError, match="postprocess must go with task segmentation"):
        model_spec({"postprocess": [{"clear_border": True}]})
