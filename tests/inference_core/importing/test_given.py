from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.importing.given import read_assignments, read_given
from inference_core.importing.presets import PRESETS
from tests.specs import input_spec


@pytest.mark.parametrize(
    ("said", "values"),
    [
        ({}, {}),
        ({"task": "embedding"}, {"task": "embedding"}),
        ({"input": {"fit": "stretch"}, "input.mean": [0.5]}, {"input.fit": "stretch", "input.mean": [0.5]}),
        ({"output": {"thresholds": {"a.b": 0.2}}}, {"output.thresholds": {"a.b": 0.2}}),
        ({"output": {"decoder": {"name": "yolox"}}}, {"output.decoder.name": "yolox"}),
        ({"architecture": "unet"}, {"architecture.name": "unet"}),
        ({"architecture": "a.b:c"}, {"architecture.import": "a.b:c"}),
        ({"architecture": {"name": "unet", "options": {"widths": [8]}}},
         {"architecture.name": "unet", "architecture.options.widths": [8]}),
    ],
    ids=["nothing", "one", "nested-and-dotted", "thresholds", "decoder", "built-in", "import-path", "options"],
)  # fmt: skip
def test_dotted_and_nested_keys_are_the_same(said: dict[str, Any], values: dict[str, Any]) -> None:
    assert read_given(said).values == values


def test_a_preset_is_what_the_user_says_and_loses_against_single_facts() -> None:
    given = read_given({"preset": "imagenet", "input.scale": 1.0})
    assert given.values == {**PRESETS["imagenet"].facts, "input.scale": 1.0}
    origins = {fact.key: fact.origin for fact in given.facts}
    assert origins["input.scale"] == "said by the user"
    assert origins["input.mean"] == "said by the user (preset imagenet)"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_holds_facts_that_an_input_takes(name: str) -> None:
    facts = {key.removeprefix("input."): value for key, value in PRESETS[name].facts.items()}
    assert all(key.startswith("input.") for key in PRESETS[name].facts)
    assert {"scale", "mean", "std"} <= set(facts)
    assert input_spec(facts).scale == facts["scale"]


@pytest.mark.parametrize("value", ["imagnet", None, 3], ids=["typo", "null", "number"])
def test_an_unknown_preset(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^preset: must be one of imagenet, torchvision, inception"):
        read_given({"preset": value})


def test_classes_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("red\ngreen\n")
    assert read_given({"classes": "names.txt"}).values == {"classes": ["red", "green"]}


@pytest.mark.parametrize(
    ("assignments", "said"),
    [
        ([], {}),
        (["task=embedding"], {"task": "embedding"}),
        (["input.mean=[0.5, 1]", "input.fit=stretch"], {"input.mean": [0.5, 1], "input.fit": "stretch"}),
        (["input.fit=tile", "input.fit=stretch"], {"input.fit": "stretch"}),
        (["name=a=b"], {"name": "a=b"}),
    ],
    ids=["none", "one", "two", "last-wins", "equals-sign"],
)
def test_assignments(assignments: list[str], said: dict[str, Any]) -> None:
    assert read_assignments(assignments) == said


@pytest.mark.parametrize(
    ("assignment", "message"),
    [("task", "must be KEY=VALUE, got 'task'"), ("=x", "KEY=VALUE"), ("a..b=1", "KEY=VALUE"), ("a=[", "YAML value")],
    ids=["no-value", "no-key", "empty-part", "no-yaml"],
)
def test_wrong_assignments(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^--set: must .*{message.removeprefix('must ')}"):
        read_assignments([assignment])
