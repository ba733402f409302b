from __future__ import annotations

import csv
import io
from typing import get_args

import pytest

from inference_core.stats.summary import Summary
from inference_core.status import STATUSES, Status
from jobs.report.csv_files import errors_csv, per_class_csv, review_csv, sorted_errors, write_csv
from jobs.report.facts import ErrorRow


def read(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))


def test_per_class_lists_every_class(classified: Summary) -> None:
    assert read(per_class_csv(classified)) == [
        ["class_id", "label", "images", "images_frac", "objects", "pixels", "pixels_frac", "score_mean"],
        ["0", "cat", "2", "0.666666667", "0", "0", "0", "0.625"],
        ["1", "<script>alert(1)</script>", "1", "0.333333333", "0", "0", "0", "0.25"],
        ["2", "dog", "0", "0", "0", "0", "0", ""],
    ]


def test_per_class_counts_objects(detected: Summary) -> None:
    assert [row[2:5] for row in read(per_class_csv(detected))[1:]] == [
        ["2", "0.5", "4"],
        ["1", "0.25", "2"],
        ["0", "0", "0"],
    ]


REVIEW_HEADER = ["rank", "image_id", "uri", "verdict", "reasons", "priority", "score", "class_id", "label"]


def test_errors_are_ordered_and_safe_to_open(errors: list[ErrorRow]) -> None:
    assert read(errors_csv(errors)) == [
        ["image_id", "uri", "status", "error"],
        ["y.jpg", "", "fetch_error", "<img src=x onerror=alert(2)>"],
        ["'=a\"b'c\nd\u202egpj.exe", "s3://b/x", "decode_error", "'@SUM(1)\nline two"],
        ["z.jpg", "", "decode_error", "the JPEG ends early"],
    ]


def test_no_errors_give_a_header(nothing: Summary) -> None:
    assert read(errors_csv([])) == [["image_id", "uri", "status", "error"]]
    assert read(review_csv(nothing)) == [REVIEW_HEADER]


def test_review_begins_with_the_lowest_score(classified: Summary) -> None:
    rows = read(review_csv(classified))[1:]
    assert [row[3:] for row in rows] == [
        ["", "", "", "0.25", "1", "<script>alert(1)</script>"],
        ["", "", "", "0.5", "0", "cat"],
        ["", "", "", "0.75", "0", "cat"],
    ]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert rows[0][1].startswith("'=a")


def test_review_with_verdicts_has_reasons_and_is_safe_to_open(judged: Summary) -> None:
    header, *rows = read(review_csv(judged))
    assert header == REVIEW_HEADER
    assert [(row[0], *row[3:6]) for row in rows] == [
        ("1", "review", "'=SUM(A1); close", "0.75"),
        ("2", "reject", "knows nothing", "0.875"),
    ]
    assert rows[0][1].startswith("'=a")
    assert rows[0][6:] == ["0.25", "1", "<script>alert(1)</script>"]


def test_review_of_segmentation_names_no_class(segmented: Summary) -> None:
    assert {tuple(row[7:]) for row in read(review_csv(segmented))[1:]} == {("", "")}


@pytest.mark.parametrize("order", [1, -1], ids=["forward", "backward"])
def test_the_order_of_the_errors_leaves_no_trace(order: int) -> None:
    rows = [
        ErrorRow(image_id=image_id, uri="", status=status, error="e")
        for status in get_args(Status)[1:]
        for image_id in ("a", "b")
    ]
    assert sorted_errors(rows[::order]) == rows
    assert [row.status for row in rows[::2]] == list(STATUSES[1:])


def test_a_name_that_is_no_unicode_is_written_as_an_escape() -> None:
    assert write_csv(["n"], [["caf\udce9"]]) == b"n\ncaf\\udce9\n"


def test_a_negative_number_is_no_formula() -> None:
    assert write_csv(["n"], [[-0.5], [-3]]) == b"n\n-0.5\n-3\n"
