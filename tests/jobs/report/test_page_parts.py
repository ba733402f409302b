from __future__ import annotations

from dataclasses import replace

import pytest

from inference_core.stats.class_counts import ClassCounts
from inference_core.stats.summary import Summary
from inference_core.status import STATUSES
from jobs.peaks import Peaks
from jobs.report.facts import ErrorRow, RunFacts
from jobs.report.page_parts import STATUS_WORDS, class_bars, error_groups, memory_rows


def test_every_status_is_explained() -> None:
    assert set(STATUS_WORDS) == set(STATUSES)


def test_no_image_has_no_bar(nothing: Summary) -> None:
    assert class_bars(nothing) == []
    assert error_groups([]) == []


def test_classes_are_ordered_by_images(classified: Summary) -> None:
    bars = class_bars(classified)
    assert [(bar.row.label, bar.length_frac) for bar in bars] == [("cat", 1.0), ("<script>alert(1)</script>", 0.5)]


def test_classes_of_segmentation_are_ordered_by_pixels(segmented: Summary) -> None:
    bars = class_bars(segmented)
    assert [bar.row.label for bar in bars] == ["cat", "<script>alert(1)</script>", "dog"]
    assert bars[2].length_frac == pytest.approx(50 / 300)


def test_classes_of_detection_are_ordered_by_objects(detected: Summary) -> None:
    assert [(bar.row.objects, bar.length_frac) for bar in class_bars(detected)] == [(4, 1.0), (2, 0.5)]


def test_at_most_a_thousand_classes_are_shown_and_ties_go_to_the_lower_id() -> None:
    empty = Summary.empty(task="classification", class_names=[str(k) for k in range(1010)])
    counts = ClassCounts(images=(1,) * 1010, objects=(0,) * 1010, pixels=(0,) * 1010, score_totals=(0,) * 1010)
    summary = Summary(**{name: getattr(empty, name) for name in empty.__slots__} | {"classes": counts})
    assert [bar.row.class_id for bar in class_bars(summary)] == list(range(1000))


def test_errors_are_grouped_cut_and_counted_by_reason() -> None:
    rows = [
        ErrorRow(image_id=f"{k:04d}", uri="", status="decode_error", error=f"reason {k % 8}" if k < 299 else "unique")
        for k in range(300)
    ]
    crash = ErrorRow(image_id="c", uri="", status="crashed", error="signal 11")
    decode, crashed = error_groups([crash, *rows[::-1]])
    assert (decode.status, decode.count, len(decode.rows), decode.rows[0].image_id) == (
        "decode_error",
        300,
        200,
        "0000",
    )
    assert decode.reasons == [(f"reason {k}", 38 if k < 3 else 37) for k in range(5)]
    assert (crashed.status, crashed.count, crashed.reasons) == ("crashed", 1, [])


def test_processes_are_shown_in_the_order_of_the_work(facts: RunFacts) -> None:
    pools = {"commit": 50, "infer": 200, "prepare": 100}
    rows = memory_rows(replace(facts, peaks=Peaks(driver_bytes=400, bytes_by_pool=pools)))
    assert [(row.words, row.peak_bytes, row.length_frac) for row in rows] == [
        ("command", 400, 1.0),
        ("preparing task", 100, 0.25),
        ("inferring actor", 200, 0.5),
        ("committing task", 50, 0.125),
    ]
    assert memory_rows(replace(facts, peaks=Peaks())) == []
