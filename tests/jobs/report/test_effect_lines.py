from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from inference_core.stats.effects import EffectStats
from inference_core.stats.summary import Summary
from inference_core.tasks.mask_columns import EFFECT_FIELD
from jobs.report.effect_lines import effect_lines
from jobs.report.facts import RunFacts
from jobs.report.page import report_html
from jobs.report.summary_json import summary_json


def with_effects(summary: Summary, *rows: list[dict[str, Any]]) -> Summary:
    table = pa.Table.from_pylist([{"postprocess": row} for row in rows], schema=pa.schema([EFFECT_FIELD]))
    return replace(summary, effects=EffectStats.of(table))


def effect(name: str, value: int | None, *, components: int = 0, pixels: int = 0) -> dict[str, Any]:
    classes = [{"class_id": 1, "label": "", "components": components, "pixels": pixels}] if pixels else []
    return {"name": name, "value": value, "components": components, "pixels": pixels, "classes": classes}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (effect("min_area_px", 64, components=12_408, pixels=99), "removed 12,408 components under 64 px in 50.0 %"),
        (effect("min_area_px", 64, components=1, pixels=9), "removed 1 component under 64 px in 50.0 %"),
        (effect("max_area_px", 5000, components=2, pixels=9), "removed 2 components over 5,000 px in 50.0 %"),
        (effect("keep_largest", 1, components=2, pixels=9), "removed 2 components beside the largest of a class in"),
        (effect("keep_largest", 3, components=2, pixels=9), "removed 2 components beside the 3 largest of a class in"),
        (effect("clear_border", None, components=2, pixels=9), "removed 2 components at the image's edge in 50.0 %"),
        (effect("fill_holes", None, components=1, pixels=9), "filled 1 hole (9 pixels) in 50.0 %"),
        (effect("fill_holes", 50, components=2, pixels=9), "filled 2 holes of at most 50 px (9 pixels) in 50.0 %"),
        (effect("open_px", 3, pixels=1), "removed 1 pixel where a disc of 3 px does not fit in 50.0 %"),
        (effect("close_px", 3, pixels=9), "filled 9 pixels of gaps where a disc of 3 px does not fit in 50.0 %"),
        (effect("./a.py:mend", None, pixels=9), "changed 9 pixels by ./a.py:mend in 50.0 %"),
        (effect("min_area_px", 64), "min_area_px 64 changed nothing"),
        (effect("fill_holes", None), "fill_holes changed nothing"),
    ],
)
def test_a_sentence_for_each_step(segmented: Summary, found: dict[str, Any], sentence: str) -> None:
    idle = effect(found["name"], found["value"])
    (line,) = effect_lines(with_effects(segmented, [found], [idle]))
    assert line.startswith(sentence)


def test_the_report_tells_what_steps_did(segmented: Summary, facts: RunFacts) -> None:
    steps = [effect("min_area_px", 64, components=3, pixels=40), effect("./<b>.py:mend", None, pixels=1)]
    summary = with_effects(segmented, steps)
    block = json.loads(summary_json(summary, facts))["postprocess"]
    assert block["images"] == 1
    assert [step["name"] for step in block["steps"]] == ["min_area_px", "./<b>.py:mend"]
    (of_class,) = block["steps"][0]["classes"]
    assert (of_class["class_id"], of_class["label"]) == (1, summary.class_names[1])
    assert (of_class["components"], of_class["pixels"], of_class["images_frac"]) == (3, 40, 1.0)
    page = report_html(summary, facts=facts, errors=[]).decode()
    assert "removed 3 components under 64 px in 100.0 % of the images" in page
    assert "changed 1 pixel by ./&lt;b&gt;.py:mend" in page


def test_a_run_without_steps_says_nothing_of_them(segmented: Summary, facts: RunFacts) -> None:
    assert effect_lines(segmented) == []
    assert "postprocess" not in json.loads(summary_json(segmented, facts))
    assert b"Postprocessing" not in report_html(segmented, facts=facts, errors=[])
