from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from inference_core.errors import ConfigError
from inference_core.validation import Frozen, build_settings, keys_at, parse_yaml


class Circle(Frozen):
    name: Literal["gray"] = "gray"
    radius: float = 1.0


class Square(Frozen):
    name: Literal["gamma"] = "gamma"
    side: float = 1.0


class Inner(Frozen):
    count: int = 1
    path: str | None = Field(default=None, alias="import")


class Outer(Frozen):
    inner: Inner | None = None
    shapes: tuple[Annotated[Circle | Square, Field(discriminator="name")], ...] = ()
    size: tuple[int, int] = (1, 1)
    mode: Literal["fast", "exact"] = "fast"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param(b"# only a comment\n", {}, id="comment"),
        pytest.param("a: 1", {"a": 1}, id="text"),
        pytest.param(b"a: [1, b]", {"a": [1, "b"]}, id="bytes"),
    ],
)
def test_a_mapping_is_read(text: str | bytes, expected: dict[str, object]) -> None:
    assert parse_yaml(text, origin="f") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("[1]", "f.yaml must hold a mapping of keys to values, got list; see the docs", id="list"),
        pytest.param("just text", "must hold a mapping of keys to values, got str", id="text"),
        pytest.param("a: [1", "f.yaml must be YAML, got: while parsing.*; mend the file", id="open-bracket"),
        pytest.param("a: 2001-13-45", "must be YAML, got: month must be in 1..12; mend", id="no-such-date"),
        pytest.param(b"\xff\xfe\x00", "must be YAML, got: .*; mend the file", id="binary"),
        pytest.param(b"a: \xe9", "must be YAML, got: .*; mend the file", id="latin-1"),
        pytest.param("!!python/object:os.system x", "must be YAML, got: could not determine a constructor", id="code"),
    ],
)
def test_other_text_is_refused_with_its_origin(text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_yaml(text, origin="f.yaml")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        pytest.param({"sise": [1, 2]}, "sise: is not a known key; did you mean 'size'?", id="near-match"),
        pytest.param({"zzz": 1}, "zzz: is not a known key; known here: inner, mode, shapes, size", id="no-near-match"),
        pytest.param({"inner": {"counts": 1}}, "inner.counts: is not a known key; did you mean 'count'?", id="nested"),
        pytest.param(
            {"inner": {"imports": "x"}}, "inner.imports: is not a known key; did you mean 'import'?", id="alias"
        ),
        pytest.param(
            {"shapes": [{"name": "gamma", "sides": 2}]},
            "shapes.0.sides: is not a known key; did you mean 'side'?",
            id="branch-of-a-union",
        ),
        pytest.param({"shapes": [{"radius": 1}]}, "shapes.0: Unable to extract tag", id="no-tag"),
        pytest.param({"size": [1]}, "size.1: is required and missing; set it", id="missing"),
        pytest.param({"size": 3}, "size: must be a list, got 3; correct it", id="no-list"),
        pytest.param({"inner": [1]}, "inner: must be a mapping, got [1]; correct it", id="no-mapping"),
        pytest.param({"mode": "slow"}, "mode: must be 'fast' or 'exact', got 'slow'; correct it", id="choice"),
        pytest.param({"inner": {"count": "x"}}, "inner.count: must be a valid integer", id="integer"),
        pytest.param({1: 2}, "1: keys must be strings, got 1; correct it", id="number-as-key"),
        pytest.param({"mode": "x" * 500}, f"got '{'x' * 79}...; correct it", id="long-value-is-cut"),
    ],
)
def test_a_problem_is_one_line_with_key_rule_and_remedy(data: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build_settings(Outer, data, origin="job.yaml")
    head, *lines = str(caught.value).splitlines()
    assert head == "job.yaml has 1 problem:"
    assert len(lines) == 1
    assert line in lines[0]


def test_all_problems_are_told_together() -> None:
    with pytest.raises(ConfigError) as caught:
        build_settings(Outer, {"size": "x", "modes": 1, "inner": {"count": None}}, origin="job.yaml")
    assert str(caught.value).splitlines()[0] == "job.yaml has 3 problems:"
    assert caught.value.exit_code == 2


class Group(Frozen):
    members: Annotated[tuple[Inner, ...], Field(min_length=2)]


def test_wrong_entries_of_a_list_are_told_and_not_that_there_are_too_few() -> None:
    with pytest.raises(ConfigError) as wrong:
        build_settings(Group, {"members": [{"count": "x"}, {"count": 2}]}, origin="job")
    assert str(wrong.value).startswith("job has 1 problem:\n  members.0.count: must be")
    with pytest.raises(ConfigError, match="members: must have at least 2 items"):
        build_settings(Group, {"members": [{"count": 2}]}, origin="job")


def test_settings_cannot_be_changed() -> None:
    settings = build_settings(Outer, {}, origin="f")
    with pytest.raises(ValueError, match="frozen"):
        settings.mode = "exact"  # type: ignore[misc]


def test_keys_below_a_list_of_unions_are_those_of_the_tagged_branch() -> None:
    assert keys_at(Outer, ["shapes", 0, "gray"]) == ["name", "radius"]
    assert keys_at(Outer, ["shapes", 0]) == ["name", "radius", "side"]
    assert keys_at(Outer, ["size", 0]) == []
    assert keys_at(Outer, ["inner"]) == ["count", "import"]
