from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from jobs.forecast import count_input, forecast_job
from jobs.manifest import cut_parts, expected_shards
from jobs.plan_command import plan_job
from jobs.shards import merge_runs
from jobs.sources.image_ref import ImageRef
from tests.drawn_images import write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job as make_plan
from tests.jobs.local_run import run_shards


def test_a_plan_tells_what_the_run_will_be_and_stores_nothing(
    make_job: MakeJob, images: Path, classifier: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.rglob("*"))
    plan_job(
        model=classifier.uri, input_uris=[str(images)], output=str(tmp_path / "out"), price_per_hour=1.0, as_json=True
    )
    assert sorted(tmp_path.rglob("*")) == before
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["num_images"], told["num_shards"], told["num_left_out"], told["num_done"]) == (10, 1, 0, 0)
    assert told["num_bytes"] == sum(path.stat().st_size for path in images.rglob("*") if path.is_file())
    assert told["probe"]["num_failed"] == 3
    assert told["estimate"]["cost_per_million"] > 0
    assert told["estimate"]["bottleneck"]["stage"] in (*told["probe"]["stage_ms"], "waiting")


def test_a_plan_as_a_table(
    images: Path, classifier: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_job(model=classifier.uri, input_uris=[str(images)], output=str(tmp_path / "out"))
    names = [line.split("  ")[0].strip() for line in capsys.readouterr().out.splitlines()]
    assert {"input", "left out", "shards", "workers", "sample", "time", "output", "bottleneck", "advice"} <= set(names)
    assert "cost" not in names  # no price is given, and none is guessed


def test_a_run_that_was_begun_is_planned_for_what_is_left(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job(execution__rows_per_shard=4)
    run_shards(config, classifier, make_plan(config, classifier), [0])
    forecast = forecast_job(config)
    assert forecast.num_done == 4
    assert forecast.estimate.output_bytes == pytest.approx(6 * forecast.probe.output_bytes)


def test_a_plan_refuses_what_the_run_would_refuse(make_job: MakeJob, tmp_path: Path) -> None:
    write(tmp_path / "out" / "mine.txt", b"")
    with pytest.raises(ConfigError, match="must be empty or hold this run"):
        forecast_job(make_job())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="must hold at least one file"):
        forecast_job(make_job(input=str(tmp_path / "empty"), output=str(tmp_path / "other")))


def test_refresh_stands_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must stand alone"):
        plan_job(refresh=str(tmp_path), model="m")


@pytest.mark.parametrize("as_json", [True, False])
def test_refresh_tells_what_differs(
    make_job: MakeJob, classifier: ModelPackage, images: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    config = make_job()
    make_plan(config, classifier)
    write(images / "zz.jpg", b"new")
    plan_job(refresh=config.output, as_json=as_json)
    lines = capsys.readouterr().out.splitlines()
    if as_json:
        assert [json.loads(line).get("kind") for line in lines] == ["added", None]
        assert json.loads(lines[-1]) == {"event": "refresh", "added": 1, "changed": 0, "removed": 0}
    else:
        assert lines[0] == "added   zz.jpg"
        assert lines[1].startswith("1 added, 0 changed, 0 removed since the run was listed; ")


def test_the_sample_is_spread_over_the_input(make_job: MakeJob, tmp_path: Path) -> None:
    for index in range(700):
        write(tmp_path / "many" / f"{index:04d}.jpg", b"x")
    counted = count_input(make_job(input=str(tmp_path / "many")))
    assert (counted.num_rows, counted.num_bytes) == (700, 700)
    places = [int(ref.image_id[:4]) for ref in counted.sample]
    assert len(places) == 64
    assert places[0] < 20
    assert places[-1] > 650


@given(num_rows=st.integers(1, 3_000), rows_per_shard=st.sampled_from([None, 1, 3, 64]))
def test_shards_are_told_from_the_number_of_images(num_rows: int, rows_per_shard: int | None) -> None:
    ref = ImageRef(image_id="a", uri="u", size_bytes=1, etag="")
    parts = cut_parts([ref] * num_rows, rows_per_shard=rows_per_shard)
    assert len(expected_shards(num_rows, rows_per_shard=rows_per_shard)) == sum(len(part.shards) for part in parts)


@pytest.mark.parametrize("rows_per_shard", [None, 500])
def test_shards_of_long_inputs_are_told_too(rows_per_shard: int | None) -> None:
    ref = ImageRef(image_id="a", uri="u", size_bytes=1, etag="")
    parts = list(cut_parts([ref] * 140_000, rows_per_shard=rows_per_shard, rows_later=512))
    told = expected_shards(140_000, rows_per_shard=rows_per_shard, rows_later=512)
    assert told.runs == merge_runs([run for part in parts for run in part.shards.runs])
