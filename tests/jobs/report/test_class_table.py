from __future__ import annotations

import pytest

from inference_core.stats.summary import Summary
from jobs.report.class_table import class_rows, label_of


def test_classified_images_are_counted_by_class(classified: Summary) -> None:
    cat, script, dog = class_rows(classified)
    assert (cat.class_id, cat.label, cat.images, cat.pixels) == (0, "cat", 2, 0)
    assert cat.images_frac == pytest.approx(2 / 3)
    assert cat.score_mean == 0.625
    assert (script.images, dog.images, dog.score_mean) == (1, 0, None)


def test_segmented_images_are_counted_by_class_and_pixel(segmented: Summary) -> None:
    rows = class_rows(segmented)
    assert [row.images for row in rows] == [2, 3, 1]
    assert [row.pixels for row in rows] == [300, 250, 50]
    assert sum(row.pixels_frac for row in rows) == pytest.approx(1)


def test_no_images_give_rows_of_nothing(nothing: Summary) -> None:
    assert [(row.images, row.images_frac, row.score_mean) for row in class_rows(nothing)] == [(0, 0.0, None)] * 3


def test_minus_one_is_no_class(nothing: Summary) -> None:
    assert (label_of(nothing, 0), label_of(nothing, -1)) == ("cat", "")
