from __future__ import annotations

import random
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.afterwards_config import VisualsConfig
from jobs.visuals.choose import Chooser, Selection
from jobs.visuals.smallest import SmallestRows, chance_keys

NAMES = ("background", "cat", "dog")


def table(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows of a classification."""
    schema = pa.schema(
        [("image_id", pa.string()), ("status", pa.string()), ("score", pa.float32()), ("class_id", pa.int32())]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def drawn_rows(count: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of which many have equal scores, and some have none."""
    chance = random.Random(seed)
    rows: list[dict[str, Any]] = []
    for index in range(count):
        status = chance.choice(["ok", "ok", "ok", "decode_error", "too_large"])
        is_ok = status == "ok"
        rows.append(
            {
                "image_id": f"{index:04d}",
                "status": status,
                "score": chance.choice([0.25, 0.5, 0.75]) if is_ok else None,
                "class_id": chance.randrange(3) if is_ok else None,
            }
        )
    return rows


def choose(shards: list[list[dict[str, Any]]], *, order: list[int] | None = None, **settings: Any) -> Selection:
    review = settings.pop("review_ids", ())
    chooser = Chooser(VisualsConfig(**settings), task="classification", class_names=NAMES, review_ids=review)
    for shard_id in order or range(len(shards)):
        chooser.look(table(shards[shard_id]), shard_id=shard_id)
    return chooser.select()


def ids_of(selection: Selection, policy: str) -> list[str]:
    """Images of a policy by rank."""
    ranked = [
        (why.rank, why.group, chosen.found.image_id)
        for chosen in selection.images
        for why in chosen.reasons
        if why.policy == policy
    ]
    return [image_id for *_, image_id in sorted(ranked)]


SHARDS = [drawn_rows(60)[start : start + 13] for start in range(0, 60, 13)]
ROWS = [row for shard in SHARDS for row in shard]
ALL = {"worst": 5, "random": 5, "per_class": 2, "per_error": 2}


def test_nothing_is_chosen_of_nothing() -> None:
    assert choose([], **ALL) == Selection()
    assert choose([[]], **ALL) == Selection()
    assert choose(SHARDS) == Selection()


def test_the_worst_are_those_with_the_lowest_scores_by_name_where_they_are_equal() -> None:
    expected = sorted((row["score"], row["image_id"]) for row in ROWS if row["status"] == "ok")[:5]
    assert ids_of(choose(SHARDS, worst=5), "worst") == [image_id for _, image_id in expected]


def test_by_chance_all_have_the_same_chance_and_failures_none() -> None:
    counts = dict.fromkeys((row["image_id"] for row in ROWS if row["status"] == "ok"), 0)
    for seed in range(400):
        for image_id in ids_of(choose(SHARDS, random=5, seed=seed), "random"):
            counts[image_id] += 1
    expected = 400 * 5 / len(counts)
    # Binomial: five standard deviations to both sides, so that no seed of the hash is blamed for nothing.
    assert max(abs(count - expected) for count in counts.values()) < 5 * np.sqrt(expected)


def test_a_seed_is_a_sample() -> None:
    one, again, other = (ids_of(choose(SHARDS, random=5, seed=seed), "random") for seed in (1, 1, 2))
    assert one == again != other


def test_a_larger_sample_holds_the_smaller_one() -> None:
    assert ids_of(choose(SHARDS, random=9), "random")[:5] == ids_of(choose(SHARDS, random=5), "random")


def test_of_each_class_and_each_error_there_are_some() -> None:
    selection = choose(SHARDS, per_class=2, per_error=3)
    found = {(why.policy, why.group) for chosen in selection.images for why in chosen.reasons}
    assert found == {
        *(("per_class", name) for name in NAMES),
        *(("per_error", status) for status in ("decode_error", "too_large")),
    }
    by_id = {row["image_id"]: row for row in ROWS}
    for chosen in selection.images:
        for why in chosen.reasons:
            row = by_id[chosen.found.image_id]
            assert why.group == (NAMES[row["class_id"]] if why.policy == "per_class" else row["status"])
    assert len(ids_of(selection, "per_class")) == 6


def test_the_review_queue_is_taken_in_its_order() -> None:
    selection = choose(SHARDS, review=2, review_ids=["0031", "0007", "0050"])
    assert ids_of(selection, "review") == ["0031", "0007"]
    assert [chosen.found.shard_id for chosen in selection.images] == [31 // 13, 0]


def test_an_image_of_several_policies_is_drawn_once_with_all_reasons() -> None:
    worst = ids_of(choose(SHARDS, worst=1), "worst")
    selection = choose(SHARDS, worst=1, review=1, review_ids=worst)
    assert [[why.policy for why in chosen.reasons] for chosen in selection.images] == [["worst", "review"]]


@pytest.mark.parametrize("cap", [0, 1, 4, 7])
def test_under_the_cap_every_policy_has_its_turn(cap: int) -> None:
    selection = choose(SHARDS, **ALL, max=cap)
    assert len(selection.images) == cap
    assert selection.num_wanted == choose(SHARDS, **ALL).num_wanted > 7
    represented = {why.policy for chosen in selection.images[:4] for why in chosen.reasons}
    assert len(represented) >= min(cap, 4)


@given(st.permutations(range(len(SHARDS))))
def test_the_order_of_shards_does_not_matter(order: list[int]) -> None:
    assert choose(SHARDS, order=order, **ALL) == choose(SHARDS, **ALL)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10_000)), unique_by=lambda pair: pair[1]), st.integers(1, 6)
)
def test_the_smallest_are_those_of_sorting(pairs: list[tuple[int, int]], cut: int) -> None:
    kept = SmallestRows(5)
    for shard_id in range(0, len(pairs), cut):
        part = pairs[shard_id : shard_id + cut]
        ids = [f"{number:05d}" for _, number in part]
        kept.offer(np.array([key for key, _ in part]), np.arange(len(part)), image_ids=ids, shard_id=shard_id)
    assert [(found.key, found.image_id) for found in kept.rows()] == sorted(
        (key, f"{number:05d}") for key, number in pairs
    )[:5]


def test_keys_by_chance_are_the_same_on_every_machine() -> None:
    expected = blake2b(b"7\0caf\xc3\xa9", digest_size=8).digest()
    assert chance_keys(["a", "caf\u00e9"], seed=7)[1] == int.from_bytes(expected, "little")
    assert chance_keys(["\udcff"], seed=0).shape == (1,)  # a name that is no UTF-8
    assert chance_keys([], seed=0).shape == (0,)


@pytest.mark.parametrize(
    ("task", "column", "expected"),
    [
        ("multilabel", pa.array([[1, 2], None, []], pa.list_(pa.int32())), {"cat": [0], "dog": [0]}),
        (
            "detection",
            pa.array([[{"class_id": 2}, {"class_id": 2}], None, [{"class_id": 0}]]),
            {"background": [2], "dog": [0]},
        ),
        ("segmentation", pa.array([[{"class_id": 0}, {"class_id": 1}], None, [{"class_id": 0}]]), {"cat": [0]}),
    ],
)
def test_classes_of_other_tasks(task: str, column: pa.Array, expected: dict[str, list[int]]) -> None:
    name = {"multilabel": "class_ids", "detection": "objects", "segmentation": "classes"}[task]
    rows = pa.table({"image_id": ["a", "b", "c"], "status": ["ok", "decode_error", "ok"], name: column})
    chooser = Chooser(VisualsConfig(per_class=5), task=task, class_names=NAMES)  # type: ignore[arg-type]
    chooser.look(rows, shard_id=0)
    found: dict[str, list[int]] = {}
    for chosen in chooser.select().images:
        for why in chosen.reasons:
            found.setdefault(why.group, []).append(chosen.found.ord)
    assert found == expected
