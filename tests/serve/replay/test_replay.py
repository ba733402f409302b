from __future__ import annotations

import threading
import time

import pyarrow as pa
import pytest

from inference_core.export.rows import row_schema
from serve.replay.given import Given
from serve.replay.replay import MAX_SHOWN, Comparison, replay
from serve.replay.rows_of_run import RunRow

SCHEMA = row_schema("classification", [pa.field("score", pa.float32())], model_digest="d1")
ABSENT = dict.fromkeys(SCHEMA.names)


def row(number: int, *, skipped: str = "", lost: str = "") -> RunRow:
    values = ABSENT | {"row_id": number, "image_id": f"{number}.jpg", "status": "ok", "score": 0.5}
    return RunRow(values=values, schema=SCHEMA, image=b"%d" % number, skipped=skipped, lost=lost)


class Echo:
    """Answers each image as it is told to, and remembers how many were asked at once."""

    def __init__(self, **answers: Given) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._num_now = 0
        self.most = 0

    def ask(self, image: bytes, *, with_mask: bool) -> Given:
        with self._lock:
            self._num_now += 1
            self.most = max(self.most, self._num_now)
        time.sleep(0.002)
        with self._lock:
            self._num_now -= 1
        return self._answers.get(f"n{image.decode()}", Given(values={"status": "ok", "score": 0.5}, model_digest="d1"))

    def close(self) -> None:
        pass


def test_without_rows_nothing_is_equal() -> None:
    assert not Comparison().is_equal
    assert replay([], Echo()).to_json()["equal"] == 0


def test_all_rows_are_counted_by_what_became_of_them() -> None:
    asker = Echo(
        n1=Given(values={"status": "ok", "score": 0.75}),
        n2=Given(refusal="HTTP 503: it stops"),
        n3=Given(values={"status": "decode_error", "error": None, "score": None}),
        n4=Given(values={"status": "ok", "score": "high"}),
    )
    rows = [*map(row, range(6)), row(6, skipped="a frame"), row(7, lost="gone")]
    found = replay(rows, asker, concurrency=3)
    assert dict(found.counts) == {"equal": 2, "differing": 2, "refused": 2, "skipped": 1, "lost": 1}
    assert found.columns == {"score": 2, "status": 1}
    assert (found.largest, found.largest_at) == (0.25, "1.jpg, score")
    assert [outcome.image_id for outcome in found.first] == ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "7.jpg"]
    assert not found.is_equal
    assert found.to_json()["first"][0]["columns"] == {"score": {"run": "0.5", "service": "0.75", "difference": 0.25}}
    assert found.reasons["refused: HTTP 503: it stops"] == 1


@pytest.mark.parametrize("kind", ["differing", "refused", "lost"])
def test_one_row_that_is_not_equal_is_enough(kind: str) -> None:
    asker = Echo(n0=Given(values={"status": "oom"}) if kind == "differing" else Given(refusal="no"))
    rows = [row(0, lost="gone" if kind == "lost" else ""), row(1)]
    found = replay(rows, asker)
    assert (found.counts[kind], found.counts["equal"], found.is_equal) == (1, 1, False)


def test_what_cannot_be_sent_takes_nothing_from_the_others() -> None:
    assert replay([row(0), row(1, skipped="a frame")], Echo()).is_equal
    assert not replay([row(1, skipped="a frame")], Echo()).is_equal


def test_so_many_are_asked_at_once_and_no_more() -> None:
    asker = Echo()
    assert replay(map(row, range(60)), asker, concurrency=4).counts["equal"] == 60
    assert 1 < asker.most <= 4


def test_only_the_first_rows_are_told_one_by_one() -> None:
    answers = {f"n{number}": Given(refusal="no") for number in range(30)}
    found = replay(map(row, range(30)), Echo(**answers), concurrency=8)
    assert [outcome.image_id for outcome in found.first] == [f"{number}.jpg" for number in range(MAX_SHOWN)]


def test_another_model_is_noted() -> None:
    asker = Echo(n1=Given(values={"status": "ok", "score": 0.5}, model_digest="d2"))
    found = replay(map(row, range(3)), asker)
    assert found.digests == {("d1", "d2")}
    assert found.is_equal
