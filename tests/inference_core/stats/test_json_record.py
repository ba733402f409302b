from __future__ import annotations

import json
import math
from dataclasses import dataclass

import pytest

from inference_core.stats.json_record import (
    NO_EXTRA,
    BigInteger,
    Count,
    Finite,
    Text,
    json_from_record,
    record_from_json,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    __pydantic_config__ = NO_EXTRA

    counts: tuple[Count, ...]
    total: BigInteger
    mean: Finite
    name: Text


SAMPLE = Sample(counts=(0, 2**63), total=-(2**200), mean=0.1, name="\u202e<b>")


def test_round_trip_through_text_is_exact() -> None:
    text = json.dumps(json_from_record(SAMPLE))
    assert record_from_json(Sample, json.loads(text), name="sample") == SAMPLE


def test_big_integers_are_text() -> None:
    assert json_from_record(SAMPLE)["total"] == str(-(2**200))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"extra": 1}, "sample.extra: Unexpected", id="unknown-key"),
        pytest.param({"counts": [True]}, "sample.counts.0: .*integer", id="bool-for-count"),
        pytest.param({"counts": [-1]}, "sample.counts.0: .*greater than or equal to 0", id="negative-count"),
        pytest.param({"counts": ["1"]}, "sample.counts.0: .*integer", id="text-for-count"),
        pytest.param({"total": "1.5"}, "sample.total: .*integer", id="fraction-for-integer"),
        pytest.param({"mean": math.nan}, "sample.mean: .*finite", id="nan"),
        pytest.param({"mean": "0.1"}, "sample.mean: .*number", id="text-for-number"),
        pytest.param({"name": 3}, "sample.name: .*string", id="number-for-text"),
    ],
)
def test_a_wrong_field_is_refused_by_name(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"{message}.*; the record is damaged or from another version"):
        record_from_json(Sample, json_from_record(SAMPLE) | change, name="sample")


@pytest.mark.parametrize("data", [None, [], "text", {"counts": []}], ids=["null", "list", "text", "missing-keys"])
def test_what_is_not_the_whole_record_is_refused(data: object) -> None:
    with pytest.raises(ValueError, match=r"sample.*the record is damaged or from another version"):
        record_from_json(Sample, data, name="sample")
