from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference_core.importing.draft import Draft
from inference_core.importing.output_facts import OutputTraits, draft_outputs, is_plane

SIZE_HW = (64, 96)
RANDOM = np.random.default_rng(0)


def shares(*shape: int, axis: int = 1) -> NDArray[np.float32]:
    """Softmax of noise."""
    powers = np.exp(RANDOM.normal(size=shape))
    return np.float32(powers / powers.sum(axis=axis, keepdims=True))


def noise(*shape: int) -> NDArray[np.float32]:
    return np.float32(RANDOM.normal(size=shape))


def chances(*shape: int) -> NDArray[np.float32]:
    """Sigmoid of noise."""
    return np.float32(RANDOM.uniform(size=shape))


def drafted(
    values: NDArray[Any] | dict[str, NDArray[Any]], given: dict[str, Any] | None = None, **traits: Any
) -> Draft:
    outputs = values if isinstance(values, dict) else {"out": values}
    return draft_outputs(outputs, traits=OutputTraits(size_hw=SIZE_HW, **traits), given=given or {})


def facts(draft: Draft) -> dict[str, Any]:
    return {fact.key: fact.value for fact in (*draft.found, *draft.assumed)}


Facts = dict[str, Any]
CASES: dict[str, tuple[NDArray[Any], Facts, str]] = {
    "logits": (noise(3, 5), {"task": "classification", "output.activation": "softmax"}, "5 of them"),
    "logits with axes of one": (noise(3, 5, 1, 1), {"task": "classification", "output.activation": "softmax"}, "5 of"),
    "shares": (shares(3, 5), {"task": "classification", "output.activation": "none"}, "5 of them"),
    "chances": (chances(3, 5), {"task": "multilabel", "output.activation": "none"}, "5 of them"),
    "one chance": (chances(3, 1), {"task": "multilabel", "output.activation": "none"}, "1 of them"),
    "planes": (noise(3, 4, 64, 96), {"task": "segmentation", "output.activation": "softmax"}, "4 of them"),
    "coarse planes": (noise(3, 4, 8, 12), {"task": "segmentation", "output.activation": "softmax"}, "4 of them"),
    "planes last": (
        noise(3, 64, 96, 4),
        {"task": "segmentation", "output.activation": "softmax", "output.layout": "BHWC"},
        "4 of them",
    ),
    "planes of shares": (shares(3, 4, 64, 96), {"task": "segmentation", "output.activation": "none"}, "4 of them"),
    "one plane of logits": (noise(3, 1, 64, 96), {"task": "segmentation", "output.activation": "sigmoid"}, "2 of them"),
    "one plane of chances": (chances(3, 64, 96), {"task": "segmentation", "output.activation": "none"}, "2 of them"),
    "class ids": (np.zeros((3, 64, 96), np.int64), {"task": "segmentation"}, "the order of the output: a list"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "expected", "gap"), CASES.values(), ids=CASES.keys())
def test_outputs_tell_the_task(values: NDArray[Any], expected: Facts, gap: str) -> None:
    draft = drafted(values)
    assert facts(draft) == expected
    (missing,) = draft.missing
    assert missing.key == "classes"
    assert gap in missing.reason


def test_what_the_graph_ends_with_is_found() -> None:
    draft = drafted(shares(3, 5), ending="softmax")
    (found,) = draft.found
    assert (found.key, found.value, found.origin) == ("output.activation", "none", "the graph ends with softmax")


def test_an_ending_that_the_values_deny_is_not_believed() -> None:
    assert facts(drafted(noise(3, 5), ending="softmax"))["output.activation"] == "softmax"


def test_quantised_shares_lose_the_small_ones() -> None:
    values = shares(3, 1001)
    rounded = np.float32(np.floor(values * 256) / 256)
    assert facts(drafted(np.float32(np.maximum(rounded, [[1 / 256]]) * 0.2), step=1 / 256))["task"] == "classification"
    assert facts(drafted(chances(3, 50), step=1 / 256))["task"] == "multilabel"


@pytest.mark.parametrize(
    ("task", "activation"),
    [("classification", "softmax"), ("multilabel", "sigmoid"), ("embedding", None)],
)
def test_a_task_that_is_said_decides(task: str, activation: str | None) -> None:
    draft = drafted(noise(3, 5), {"task": task})
    assert facts(draft).get("output.activation") == activation
    assert bool(draft.missing) == (task != "embedding")


def test_the_first_of_several_outputs_is_assumed_and_another_may_be_said() -> None:
    outputs = {"out": noise(3, 5), "aux": noise(3, 7)}
    assert facts(drafted(outputs))["output.name"] == "out"
    assert "7 of them" in drafted(outputs, {"output.name": "aux"}).missing[0].reason


def test_an_output_that_fits_nothing_leaves_the_task_open() -> None:
    draft = drafted(noise(3, 197, 33))
    assert [gap.key for gap in draft.missing] == ["task", "classes"]
    assert "[197, 33]" in draft.missing[0].reason


def test_an_embedding_has_no_classes_whatever_its_shape() -> None:
    assert drafted(noise(3, 197, 33), {"task": "embedding"}).missing == ()


@pytest.mark.parametrize(
    ("given", "missing"),
    [({}, ["task", "classes"]), ({"task": "embedding"}, []), ({"task": "detection", "classes": ["a"]}, [])],
    ids=["nothing", "embedding", "all"],
)
def test_a_model_that_could_not_run_yet(given: dict[str, Any], missing: list[str]) -> None:
    draft = draft_outputs(None, traits=OutputTraits(size_hw=(0, 0)), given=given)
    assert [gap.key for gap in draft.missing] == missing


@pytest.mark.parametrize(
    ("shape", "size_hw", "expected"),
    [
        ((1, 1), (64, 64), False),
        ((64, 64), (64, 64), True),
        ((65, 65), (513, 513), True),
        ((16, 30), (480, 640), False),
        ((60, 80), (480, 640), True),
        ((128, 128), (64, 64), False),
    ],
    ids=["pooled", "full", "rounded-up", "other-proportions", "coarse", "larger"],
)
def test_planes_have_the_proportions_of_the_image(
    shape: tuple[int, int], size_hw: tuple[int, int], expected: bool
) -> None:
    assert is_plane(shape, size_hw) is expected
