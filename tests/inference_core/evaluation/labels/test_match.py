from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import ConfigError
from inference_core.evaluation.labels.match import ends_of, match_labels

NAMES = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=8, unique=True)


def pairs(labels: list[str], image_ids: list[str]) -> dict[str, str]:
    return dict(match_labels(labels, image_ids, origin="truth").names)


@pytest.mark.parametrize(
    ("labels", "image_ids", "expected"),
    [
        pytest.param(["a.png"], ["a.png"], {"a.png": "a.png"}, id="exact"),
        pytest.param(["a"], ["a.png"], {"a.png": "a"}, id="stem"),
        pytest.param(["a.txt"], ["x/a.png"], {"x/a.png": "a.txt"}, id="another-suffix"),
        pytest.param(["a.png.png"], ["a.png"], {"a.png": "a.png.png"}, id="our-own-masks"),
        pytest.param(["images/a.png"], ["a.png"], {"a.png": "images/a.png"}, id="a-longer-path"),
        pytest.param(
            ["train/cat/1.png", "train/dog/1.png"],
            ["cat/1.png", "dog/1.png"],
            {"cat/1.png": "train/cat/1.png", "dog/1.png": "train/dog/1.png"},
            id="by-the-longest-end",
        ),
        pytest.param(["a.png", "a"], ["a.png", "x/a.jpg"], {"a.png": "a.png", "x/a.jpg": "a"}, id="exact-first"),
        pytest.param(["C:\\data\\cat\\1.png"], ["cat/1.png"], {"cat/1.png": "C:\\data\\cat\\1.png"}, id="of-windows"),
        pytest.param(["no.suffix.png"], ["no.suffix.jpg"], {"no.suffix.jpg": "no.suffix.png"}, id="two-dots"),
    ],
)
def test_an_image_is_found_by_its_id_or_the_end_of_its_path(
    labels: list[str], image_ids: list[str], expected: dict[str, str]
) -> None:
    assert pairs(labels, image_ids) == expected


@given(names=NAMES)
def test_equal_names_match_themselves(names: list[str]) -> None:
    assert pairs(names, names[::-1]) == {name: name for name in names}


@given(names=NAMES)
def test_no_label_is_given_twice(names: list[str]) -> None:
    found = pairs(names, [f"{name}.jpg" for name in names])
    assert len(set(found.values())) == len(found) == len(names)


@pytest.mark.parametrize(
    ("labels", "image_ids", "message"),
    [
        pytest.param(
            ["x"], ["a.png"], "--labels: must name images of the run, got truth with x for images such", id="none"
        ),
        pytest.param([], ["a.png"], "got truth with nothing", id="empty"),
        pytest.param(
            ["1"],
            ["cat/1.png", "dog/1.png"],
            "must name one image each, got 1 in truth for cat/1.png and dog/1.png",
            id="two-images",
        ),
        pytest.param(
            ["x/1.txt", "y/1.txt"],
            ["1.png"],
            "got x/1.txt and y/1.txt in truth for 1.png; name images",
            id="two-labels",
        ),
    ],
)
def test_what_cannot_be_told_is_refused(labels: list[str], image_ids: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        match_labels(labels, image_ids, origin="truth")


def test_partial_matches_are_counted_with_examples() -> None:
    found = match_labels(["a", "b", "x", "y", "z", "w"], ["a.png", "b.png", "c.png", "d.png"], origin="truth")
    assert found.warnings == [
        "2 of 4 images have no label and do not count, such as c.png, d.png",
        "4 of 6 labels are of no image, such as x, y, z",
    ]
    assert match_labels(["a"], ["a"], origin="truth").warnings == []


def test_ends_of_a_path() -> None:
    assert list(ends_of("b/c.png")) == ["b/c.png", "b/c", "c.png", "c"]
    assert list(ends_of("plain")) == ["plain"]
