from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.visualize.label_places import LabelPlace, Rect, place_labels

SIDE = st.integers(1, 60)
BOX = st.tuples(st.integers(-20, 90), st.integers(-20, 90), SIDE, SIDE).map(
    lambda part: (part[0], part[1], part[0] + part[2], part[1] + part[3])
)
SIZE = st.tuples(st.integers(1, 40), st.integers(1, 15))


def overlaps(a: Rect, b: Rect) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def test_no_boxes_no_places() -> None:
    assert place_labels([], [], image_hw=(10, 10)) == []


def test_the_usual_place_is_above_the_left_corner() -> None:
    assert place_labels([(20, 30, 60, 50)], [(25, 8)], image_hw=(100, 100)) == [LabelPlace((20, 22, 45, 30), True)]


def test_at_the_upper_edge_a_label_lies_in_its_box() -> None:
    assert place_labels([(20, 2, 60, 50)], [(25, 8)], image_hw=(100, 100)) == [LabelPlace((20, 2, 45, 10), True)]


def test_at_the_right_edge_a_label_moves_into_the_picture() -> None:
    assert place_labels([(90, 30, 99, 50)], [(25, 8)], image_hw=(100, 100)) == [LabelPlace((75, 22, 100, 30), True)]


def test_a_label_keeps_off_other_boxes_where_it_can() -> None:
    (place, _) = place_labels([(20, 30, 60, 50), (20, 15, 60, 29)], [(25, 8), (1, 1)], image_hw=(100, 100))
    assert place is not None
    assert not overlaps(place.rect, (20, 15, 60, 29))


def test_where_all_places_around_are_taken_a_line_leads_to_the_nearest_free_one() -> None:
    places = place_labels([(45, 45, 50, 50)] * 30, [(20, 8)] * 30, image_hw=(100, 100))
    assert None not in places
    assert [place.is_beside for place in places if place].count(False) > 10


@given(st.lists(st.tuples(BOX, SIZE), max_size=12))
def test_labels_never_overlap_and_lie_in_the_picture(entries: list[tuple[Rect, tuple[int, int]]]) -> None:
    places = place_labels([box for box, _ in entries], [size for _, size in entries], image_hw=(80, 100))
    found = [place.rect for place in places if place]
    assert not any(overlaps(a, b) for a, b in combinations(found, 2))
    assert all(0 <= x0 < x1 <= 100 and 0 <= y0 < y1 <= 80 for x0, y0, x1, y1 in found)
    sizes = [size for (_, size), place in zip(entries, places, strict=True) if place]
    assert [(x1 - x0, y1 - y0) for x0, y0, x1, y1 in found] == sizes


@given(st.lists(st.tuples(BOX, SIZE), max_size=6))
def test_a_label_is_left_out_only_where_there_is_no_room_at_all(entries: list[tuple[Rect, tuple[int, int]]]) -> None:
    height, width = 24, 30
    places = place_labels([box for box, _ in entries], [size for _, size in entries], image_hw=(height, width))
    taken: list[Rect] = []
    for (_, (across, down)), place in zip(entries, places, strict=True):
        spots = product(range(width - across + 1), range(height - down + 1))
        is_room = any(not any(overlaps((x, y, x + across, y + down), rect) for rect in taken) for x, y in spots)
        assert (place is not None) == is_room
        taken += [place.rect] if place else []


@pytest.mark.parametrize("size", [(101, 5), (5, 81)])
def test_a_label_that_is_larger_than_the_picture_has_no_place(size: tuple[int, int]) -> None:
    assert place_labels([(5, 5, 50, 50)], [size], image_hw=(80, 100)) == [None]
