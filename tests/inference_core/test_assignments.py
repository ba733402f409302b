"""Settings as people give them to a command."""

from __future__ import annotations

from typing import Any

import pytest

from inference_core.assignments import put, read_assignment
from inference_core.errors import ConfigError


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("a=1", {"a": 1}),
        ("a=", {"a": None}),
        ("a=null", {"a": None}),
        ("a=x=y", {"a": "x=y"}),
        ("a=[1, two]", {"a": [1, "two"]}),
        ("a={b: 2}", {"a": {"b": 2}}),
        ("a.b.c=true", {"a": {"b": {"c": True}}}),
        (" a.b =1", {"a": {"b": 1}}),
        ("a='*.jpg'", {"a": "*.jpg"}),
        ("a=s3://bucket/x", {"a": "s3://bucket/x"}),
    ],
)
def test_assignments_are_yaml(assignment: str, expected: dict[str, Any]) -> None:
    data: dict[str, Any] = {}
    put(data, *read_assignment(assignment, example="a.b=3"))
    assert data == expected


def test_an_assignment_leaves_its_neighbours() -> None:
    data: dict[str, Any] = {"execution": {"actors": 2}, "model": "m"}
    put(data, *read_assignment("execution.batch_size=3", example="a.b=3"))
    assert data == {"execution": {"actors": 2, "batch_size": 3}, "model": "m"}


def test_what_was_given_for_all_has_no_parts() -> None:
    data: dict[str, Any] = {"explain": "review"}
    with pytest.raises(ConfigError, match=r"'explain' is 'review', one value for all; give each of its settings"):
        put(data, *read_assignment("explain.max_images=5", example="a.b=3"))


def test_an_assignment_goes_into_lists() -> None:
    data: dict[str, Any] = {"models": [{"package": "a"}, "b"]}
    put(data, *read_assignment("models.0.batch_size=3", example="a.b=3"))
    put(data, *read_assignment("models.1=c", example="a.b=3"))
    assert data == {"models": [{"package": "a", "batch_size": 3}, "c"]}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("", "--set: must be KEY=VALUE, got ''"),
        ("a", "--set: must be KEY=VALUE, got 'a'; e.g."),
        ("=1", "--set: must be KEY=VALUE"),
        ("a..b=1", "--set: must be KEY=VALUE"),
        (".a=1", "--set: must be KEY=VALUE"),
        ("a=[1", r"--set: must have a YAML value, got '\[1' for a; quote it"),
        ("a=*.jpg", r"--set: must have a YAML value, got '\*.jpg'"),
        ("model.x=1", "--set: must name a setting below a group, got 'model.x', but 'model' is 'm', one value for all"),
        ("l.2=1", "--set: must number one of 2 from 0, got '2' in 'l.2'"),
        ("l.x.y=1", "--set: must number one of 2 from 0, got 'x' in 'l.x.y'"),
    ],
)
def test_a_malformed_assignment_is_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        put({"model": "m", "l": [1, 2]}, *read_assignment(assignment, example="a.b=3"))
