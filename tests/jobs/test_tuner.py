from __future__ import annotations

import sys
from pathlib import Path

import pytest

from inference_core.execution_choice import ExecutionChoice
from inference_core.models.package import ModelPackage
from jobs.afterwards_config import PricesConfig
from jobs.bottleneck import WORK, Workers
from jobs.engine_sample import prepare_sample
from jobs.estimate import EFFICIENCY, RAY_START_S, bound_images_per_s, cost_per_million, estimate_run
from jobs.sources.image_ref import ImageRef
from jobs.tuner import Probe, Tried, probe_job, try_alternatives
from tests.jobs.conftest import MakeJob

WHOLE = Workers(layout="whole", actors=4, num_cores=4)
GPUS = Workers(layout="split", actors=2, prepare_tasks=13, commit_tasks=1, num_cores=16, num_gpus=2)


def refs(images: Path) -> list[ImageRef]:
    files = sorted(path for path in images.rglob("*") if path.is_file())
    return [
        ImageRef(image_id=path.name, uri=f"file://{path}", size_bytes=path.stat().st_size, etag="") for path in files
    ]


def probe(**stage_ms: float) -> Probe:
    return Probe(
        num_images=8,
        num_failed=0,
        engine="torch on cpu, fp32",
        stage_ms={**dict.fromkeys(WORK, 0.0), **stage_ms},
        encoded_bytes=1000.0,
        prepared_bytes=3000.0,
        raw_bytes=40.0,
        output_bytes=200.0,
        grown_bytes={},
        worker_bytes=None,
        choice=ExecutionChoice(),
    )


def test_every_stage_is_timed_and_measured(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    found = probe_job(make_job(), classifier, refs(images), max_batch_size=4)
    assert (found.num_images, found.num_failed) == (10, 3)
    assert set(found.stage_ms) == set(WORK)
    assert all(found.stage_ms[stage] > 0 for stage in WORK)
    assert found.encoded_bytes == sum(ref.size_bytes for ref in refs(images)) / 10
    assert found.prepared_bytes == 7 * 16 * 16 * 3 / 10  # three images were none
    assert found.output_bytes > 0
    if sys.platform == "linux":
        assert set(found.grown_bytes) == {"prepare", "model", "infer", "finish", "write"}
        assert found.worker_bytes is not None
        assert found.worker_bytes > max(size or 0 for size in found.grown_bytes.values())


def test_masks_count_as_output(make_job: MakeJob, segmenter: ModelPackage, images: Path) -> None:
    with_masks = probe_job(make_job(model=segmenter.uri), segmenter, refs(images), max_batch_size=4)
    without = probe_job(make_job(model=segmenter.uri, results__masks="none"), segmenter, refs(images), max_batch_size=4)
    assert with_masks.output_bytes > without.output_bytes


def test_a_sample_waits_for_its_bytes(make_job: MakeJob, classifier: ModelPackage, images: Path) -> None:
    items = list(prepare_sample(make_job(), classifier, refs(images)))
    assert [item.source.image_id for item in items] == [ref.image_id for ref in refs(images)]
    assert all(item.stage_ms.fetch > 0 for item in items)


def test_resamplers_are_tried_where_preparing_is_slow(
    make_job: MakeJob, classifier: ModelPackage, images: Path
) -> None:
    slow = probe(prepare=1e6)
    tried = try_alternatives(make_job(), classifier, refs(images), slow, stage="prepare").faster
    assert {one.setting for one in tried} == {f"input.resampler: {name} in model.yaml" for name in ("torch", "opencv")}
    assert [one.ms for one in tried] == sorted(one.ms for one in tried)
    none = try_alternatives(make_job(), classifier, refs(images), probe(prepare=1e-9), stage="prepare")
    assert none == Tried(notes=("nothing that was tried is faster",))


def test_engines_are_compared_where_inferring_is_slow(
    make_job: MakeJob, classifier: ModelPackage, images: Path
) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    tried = try_alternatives(make_job(), classifier, refs(images), probe(infer=5.0), stage="infer")
    assert "images/s" in tried.notes[0]
    assert all(one.setting.startswith("execution.engine: auto") and one.ms < 5.0 for one in tried.faster)


def test_nothing_is_tried_for_what_no_setting_changes(
    make_job: MakeJob, classifier: ModelPackage, images: Path
) -> None:
    assert try_alternatives(make_job(), classifier, refs(images), probe(fetch=1e6), stage="fetch") == Tried()


@pytest.mark.parametrize(
    ("workers", "stage_ms", "expected"),
    [
        pytest.param(WHOLE, {"prepare": 3.0, "infer": 5.0}, 4 / 0.008, id="whole"),
        pytest.param(GPUS, {"prepare": 10.0, "infer": 0.5}, 13 / 0.010, id="split-that-prepares"),
        pytest.param(GPUS, {"prepare": 1.0, "infer": 4.0}, 2 / 0.004, id="split-that-infers"),
        pytest.param(
            Workers(layout="split", actors=2, prepare_tasks=2, commit_tasks=1, num_cores=2),
            {"prepare": 3.0, "infer": 3.0},
            2 / 0.006,
            id="pools-that-share-cores",
        ),
    ],
)
def test_the_bound_is_that_of_the_slowest(workers: Workers, stage_ms: dict[str, float], expected: float) -> None:
    assert bound_images_per_s(probe(**stage_ms).stage_ms, workers) == pytest.approx(expected)


def test_an_estimate_adds_up() -> None:
    found = estimate_run(
        probe(prepare=3.0, infer=5.0),
        WHOLE,
        num_rows=10_000,
        levers={"infer": "another engine"},
        prices=PricesConfig(),
        starts_ray=True,
    )
    assert found.images_per_s == pytest.approx(500 * EFFICIENCY)
    assert found.duration_s == pytest.approx(10_000 / found.images_per_s + RAY_START_S)
    assert found.output_bytes == 2_000_000
    assert found.bottleneck.stage == "infer"
    assert found.bottleneck.sentence.startswith("infer will hold the run back: 53% of the ")
    assert found.cost_per_million is None


@pytest.mark.parametrize(
    ("prices", "price_per_hour", "workers", "expected"),
    [
        pytest.param({}, None, WHOLE, None, id="no-price"),
        pytest.param({"cpu_core_hour": 0.9}, None, WHOLE, 10.0, id="cores"),
        pytest.param({"cpu_core_hour": 0.9}, None, GPUS, None, id="gpus-without-a-price"),
        pytest.param({"gpu_hour": 0.9}, None, GPUS, None, id="cores-without-a-price"),
        pytest.param({"cpu_core_hour": 0.1, "gpu_hour": 1.0}, None, GPUS, 10.0, id="both"),
        pytest.param({"cpu_core_hour": 9.0}, 3.6, WHOLE, 10.0, id="the-whole-cluster"),
    ],
)
def test_a_million_images_cost_what_the_prices_say(
    prices: dict[str, float], price_per_hour: float | None, workers: Workers, expected: float | None
) -> None:
    found = cost_per_million(100.0, workers, prices=PricesConfig.model_validate(prices), price_per_hour=price_per_hour)
    assert found == (None if expected is None else pytest.approx(expected))
