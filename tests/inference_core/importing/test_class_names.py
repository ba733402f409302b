from __future__ import annotations

from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.importing.class_names import class_gap, distinct, fit_classes


def names(count: int) -> dict[str, Any]:
    return {"classes": [str(index) for index in range(count)]}


@pytest.mark.parametrize(
    ("count", "given", "allows_skip", "skip"),
    [
        (1, names(1), True, 0),
        (10, names(10), True, 0),
        (1001, names(1001), True, 0),
        (1001, names(1000), True, 1),
        (10, {**names(9), "output.skip_classes": 1}, True, 0),
    ],
    ids=["one", "all", "all-1001", "imagenet-background", "said"],
)
def test_as_many_names_as_outputs(count: int, given: dict[str, Any], allows_skip: bool, skip: int) -> None:
    assert fit_classes(count, given=given, allows_skip=allows_skip) == (skip, ())


def test_no_names_are_a_gap() -> None:
    assert fit_classes(7, given={}) == (0, (class_gap(7),))
    assert "7 of them" in class_gap(7).reason
    assert "of them" not in class_gap(None).reason


@pytest.mark.parametrize(
    ("count", "given", "allows_skip", "message"),
    [
        (10, names(9), True, r"model's 10 classes, got 9 names; .* output\.skip_classes=1 if"),
        (10, names(11), True, r"got 11 names; correct the list$"),
        (10, names(0), True, r"got 0 names; correct the list$"),
        (1001, names(1000), False, r"model's 1001 classes, got 1000 names; correct the list$"),
        (10, {**names(10), "output.skip_classes": 1}, True, r"got 10 names"),
    ],
    ids=["one-less", "one-more", "none", "not-a-classifier", "said-skip"],
)
def test_another_number_is_an_error(count: int, given: dict[str, Any], allows_skip: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_classes(count, given=given, allows_skip=allows_skip)


@pytest.mark.parametrize(
    ("names", "expected"),
    [([], []), (["a"], ["a"]), (["a", "b"], ["a", "b"]), (["crane", "a", "crane"], ["crane (0)", "a", "crane (2)"])],
    ids=["none", "one", "two", "double"],
)
def test_equal_names_get_their_position(names: list[str], expected: list[str]) -> None:
    assert distinct(names) == expected
