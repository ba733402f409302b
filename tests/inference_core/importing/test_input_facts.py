from __future__ import annotations

from typing import Any

import pytest

from inference_core.errors import ModelError
from inference_core.importing.input_facts import GraphInput, draft_input, only_input


def port(*shape: int | None) -> GraphInput:
    return GraphInput(name="image", shape=shape)


@pytest.mark.parametrize(
    ("shape", "usual", "layout", "is_found"),
    [
        ((None, 3, 32, 32), "BHWC", "BCHW", True),
        ((1, 32, 32, 3), "BCHW", "BHWC", True),
        ((None, 1, None, None), "BHWC", "BCHW", True),
        ((None, None, None, 3), "BCHW", "BHWC", True),
        ((None, None, None, None), "BHWC", "BHWC", False),
        ((None, 3, 3, 3), "BCHW", "BCHW", False),
    ],
    ids=["channels-first", "channels-last", "gray", "free-size", "all-free", "both"],
)
def test_the_shape_tells_the_layout(shape: tuple[int | None, ...], usual: str, layout: str, is_found: bool) -> None:
    draft = draft_input(port(*shape), given={}, usual_layout=usual)
    facts = draft.found if is_found else draft.assumed
    assert {fact.key: fact.value for fact in facts}["input.layout"] == layout


@pytest.mark.parametrize(
    ("shape", "given", "missing"),
    [
        ((1, 3, 32, 32), {}, ["fit", "scale", "mean", "std"]),
        ((1, 3, None, None), {}, ["fit", "size_hw", "scale", "mean", "std"]),
        ((1, 3, 32, None), {}, ["fit", "size_hw", "scale", "mean", "std"]),
        ((1, 3, None, None), {"input.fit": "native"}, ["fit", "scale", "mean", "std"]),
    ],
    ids=["fixed", "free", "half-free", "free-and-native"],
)
def test_preprocessing_is_never_guessed(
    shape: tuple[int | None, ...], given: dict[str, Any], missing: list[str]
) -> None:
    draft = draft_input(port(*shape), given=given)
    assert [gap.key for gap in draft.missing] == [f"input.{key}" for key in missing]
    known = {fact.key for fact in (*draft.found, *draft.assumed)}
    assert known.isdisjoint({"input.fit", "input.scale", "input.mean", "input.std"})


def test_a_fixed_batch_is_said() -> None:
    origins = {fact.key: fact.origin for fact in draft_input(port(1, 3, 32, 48), given={}).found}
    assert origins["input.size_hw"] == "input 'image' [1, 3, 32, 48], which fixes the batch at 1"


def test_one_channel_is_gray() -> None:
    facts = {fact.key: fact.value for fact in draft_input(port(None, 1, 8, 8), given={}).found}
    assert facts["input.color"] == "gray"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((), r"must have 4 axes, got input 'image' \[\] with 0; export it with a batch axis"),
        ((3, 32, 32), r"must have 4 axes, got input 'image' \[3, 32, 32\] with 3"),
        ((1, 3, 8, 32, 32), r"with 5"),
        ((1, 4, 32, 32), r"must have 1 or 3 channels, got input 'image' \[1, 4, 32, 32\]"),
    ],
    ids=["scalar", "no-batch", "video", "four-channels"],
)
def test_what_takes_no_images(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        draft_input(port(*shape), given={})


@pytest.mark.parametrize("names", [[], ["image", "mask"]], ids=["none", "two"])
def test_one_input_is_taken(names: list[str]) -> None:
    inputs = [GraphInput(name=name, shape=(1, 3, 8, 8)) for name in names]
    with pytest.raises(ModelError, match=rf"must have one input, got {len(names)} \({', '.join(names)}\)"):
        only_input(inputs)
