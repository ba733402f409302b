from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.sources.distinct_ids import DistinctIds


def first_repeated(batches: list[list[str]]) -> tuple[int, int] | None:
    """Batch and position of the first id that occurred before."""
    seen: set[str] = set()
    for number, batch in enumerate(batches):
        for position, image_id in enumerate(batch):
            if image_id in seen:
                return number, position
            seen.add(image_id)
    return None


@given(st.lists(st.lists(st.text("abc", max_size=4), max_size=12), max_size=12))
def test_finds_the_first_that_occurs_again(batches: list[list[str]]) -> None:
    ids, found = DistinctIds(), None
    for number, batch in enumerate(batches):
        position = ids.add(batch)
        if position is not None:
            found = number, position
            break
    assert found == first_repeated(batches)


@pytest.mark.parametrize("batch_rows", [1, 1_000, 4_096])
def test_takes_eight_bytes_for_each(batch_rows: int) -> None:
    ids = DistinctIds()
    for first in range(0, 20_000, batch_rows):
        assert ids.add([f"{row}.jpg" for row in range(first, min(first + batch_rows, 20_000))]) is None
    assert ids.num_bytes == 8 * 20_000
    assert ids.add(["new.jpg", "19999.jpg", "0.jpg"]) == 1


def test_nothing_is_nothing() -> None:
    ids = DistinctIds()
    assert ids.add([]) is None
    assert ids.add([""]) is None
    assert ids.add([""]) == 0
