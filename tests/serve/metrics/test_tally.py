from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from serve.metrics.exposition import write_exposition
from serve.metrics.names import BATCH_IMAGES, IMAGES_TOTAL, METRICS, REQUEST_SECONDS, REQUESTS_IN_FLIGHT
from serve.metrics.tally import Snapshot, Tally

TIMES = st.lists(st.floats(0, 100), max_size=30)


def samples(*snapshots: Snapshot) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What Prometheus reads: values by name and labels."""
    body, content_type = write_exposition(snapshots)
    assert content_type.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def buckets(found: dict[tuple[str, tuple[tuple[str, str], ...]], float], name: str) -> dict[float, float]:
    return {float(dict(labels)["le"]): value for (own, labels), value in found.items() if own == f"{name}_bucket"}


def test_without_anything_counted_all_families_are_told() -> None:
    body, _ = write_exposition([Tally().snapshot("a")])
    families = {family.name for family in text_string_to_metric_families(body.decode())}
    assert families == {metric.name.removesuffix("_total") for metric in METRICS}


def test_names_are_distinct_and_counters_end_as_prometheus_wants() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("millrace_serve_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_counters_and_gauges_are_told_with_their_process() -> None:
    one, other = Tally(), Tally()
    one.add(IMAGES_TOTAL, ("m", "ok"), 2)
    one.add(REQUESTS_IN_FLIGHT, ("http",))
    one.add(REQUESTS_IN_FLIGHT, ("http",), -1)
    other.add(IMAGES_TOTAL, ("m", "ok"))
    found = samples(one.snapshot("a"), other.snapshot("b"))
    by_replica = {
        dict(labels)["replica"]: value for (name, labels), value in found.items() if name == IMAGES_TOTAL.name
    }
    assert by_replica == {"a": 2, "b": 1}
    assert found[REQUESTS_IN_FLIGHT.name, (("protocol", "http"), ("replica", "a"))] == 0


def test_a_label_may_hold_anything() -> None:
    tally = Tally()
    tally.add(IMAGES_TOTAL, ('a"b\\c\nd', "ok"))
    assert {dict(labels)["model"] for name, labels in samples(tally.snapshot("x"))} == {'a"b\\c\nd'}


@pytest.mark.parametrize(
    ("value", "end"),
    [
        pytest.param(0.0, 1.0, id="below-the-first"),
        pytest.param(1.0, 1.0, id="at-an-end"),
        pytest.param(1.5, 2.0, id="between"),
        pytest.param(128.0, 128.0, id="at-the-last"),
        pytest.param(129.0, math.inf, id="above-the-last"),
    ],
)
def test_a_value_lies_in_the_first_bucket_that_holds_it(value: float, end: float) -> None:
    tally = Tally()
    tally.observe(BATCH_IMAGES, ("m",), value)
    found = buckets(samples(tally.snapshot("a")), BATCH_IMAGES.name)
    assert found == {upper: float(upper >= end) for upper in [*BATCH_IMAGES.buckets, math.inf]}


@given(TIMES)
def test_a_histogram_counts_what_is_at_or_below_each_end(values: list[float]) -> None:
    tally = Tally()
    for value in values:
        tally.observe(REQUEST_SECONDS, ("http", "/", "200"), value)
    found = samples(tally.snapshot("a"))
    expected = {end: sum(value <= end for value in values) for end in [*REQUEST_SECONDS.buckets, math.inf]}
    assert buckets(found, REQUEST_SECONDS.name) == (expected if values else {})
    sums = [value for (name, _), value in found.items() if name == f"{REQUEST_SECONDS.name}_sum"]
    assert sums == ([pytest.approx(sum(values))] if values else [])


@given(TIMES, st.integers(0, 10))
def test_another_process_reads_the_same(values: list[float], count: int) -> None:
    tally = Tally()
    for value in values:
        tally.observe(REQUEST_SECONDS, ("http", "/", "200"), value)
    tally.add(IMAGES_TOTAL, ("m", "ok"), count)
    snapshot = tally.snapshot("a")
    assert Snapshot.from_json(json.loads(json.dumps(snapshot.to_json()))) == snapshot


def test_a_snapshot_stays_as_it_was() -> None:
    tally = Tally()
    tally.observe(REQUEST_SECONDS, ("http", "/", "200"), 1.0)
    tally.add(IMAGES_TOTAL, ("m", "ok"))
    before = tally.snapshot("a")
    expected = Snapshot.from_json(before.to_json())
    tally.observe(REQUEST_SECONDS, ("http", "/", "200"), 1.0)
    tally.add(IMAGES_TOTAL, ("m", "ok"))
    assert before == expected != tally.snapshot("a")
