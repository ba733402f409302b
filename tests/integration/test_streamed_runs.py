"""Runs whose listing comes in parts, and whose images lie in containers."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference_core.models.package import ModelPackage, load_package
from jobs import driver as run_module
from jobs import manifest
from jobs.config import JobConfig
from jobs.driver import run
from jobs.found_state import RunState
from jobs.listing import LISTING_FILE
from jobs.progress import Counter, LineProgress
from jobs.settings import read_settings
from tests.drawn_images import draw_folder, png_bytes
from tests.jobs.local_run import TIMES, plan_job, read_rows, run_shards
from tests.tiny_models import tiny_classifier

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns of its own settings
]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(str(tiny_classifier(tmp_path_factory.mktemp("model"))))


def job(package: ModelPackage, source: Path, output: Path, **settings: Any) -> JobConfig:
    flags = {"model": package.uri, "input": str(source), "output": str(output)}
    options = {"execution.head_start": "false", "max_error_frac": 1, **settings}
    return read_settings(None, flags=flags, assignments=[f"{key}={value}" for key, value in options.items()])


def watched_run(config: JobConfig) -> list[RunState]:
    """Run a job; the state that it began with."""
    states: list[RunState] = []

    def show(state: RunState) -> LineProgress:
        states.append(state)
        return LineProgress(Counter(total=state.listing.num_rows, done=0), log_format="json")

    run(config, show=show)
    return states


def test_work_begins_before_the_listing_ends_and_takes_several_executions(
    tmp_path: Path, classifier: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = draw_folder(tmp_path / "images", 60, with_bad=True)
    undisturbed = job(classifier, folder, tmp_path / "one", **{"execution.rows_per_shard": 8})
    run_shards(undisturbed, classifier, plan_job(undisturbed, classifier))
    monkeypatch.setattr(manifest, "PART_ROWS", 32)
    monkeypatch.setattr(run_module, "LISTING_PATIENCE_S", 0.0)
    monkeypatch.setattr(run_module, "MAX_EXECUTION_SHARDS", 3)
    config = job(classifier, folder, tmp_path / "many", **{"execution.rows_per_shard": 8})
    (state,) = watched_run(config)
    assert (tmp_path / "many" / "_SUCCESS").is_file()
    assert len(list((tmp_path / "many" / "manifest").iterdir())) == 2
    assert state.listing.num_rows in (32, 63)
    assert read_rows(config.output) == read_rows(undisturbed.output)


def test_a_listing_that_was_stopped_goes_on_with_the_same_command(
    tmp_path: Path, classifier: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "PART_ROWS", 16)
    folder = draw_folder(tmp_path / "images", 60)
    config = job(classifier, folder, tmp_path / "out", **{"execution.rows_per_shard": 4})
    plan_job(config, classifier)
    (tmp_path / "out" / LISTING_FILE).unlink()
    for part in sorted((tmp_path / "out" / "manifest").iterdir())[2:]:
        part.unlink()
    manifest.part_metadata.cache_clear()
    watched_run(config)
    assert [row["row_id"] for row in read_rows(config.output)] == list(range(60))
    assert (tmp_path / "out" / LISTING_FILE).is_file()


@pytest.mark.parametrize("layout", ["whole", "split"])
@pytest.mark.parametrize("kind", ["tar", "parquet", "csv"])
def test_containers_give_the_rows_of_their_images(
    tmp_path: Path, classifier: ModelPackage, kind: str, layout: str
) -> None:
    images = [png_bytes(index) for index in range(20)]
    folder = tmp_path / "images"
    folder.mkdir()
    for index, data in enumerate(images):
        (folder / f"{index:02d}.png").write_bytes(data)
    as_files = job(classifier, folder, tmp_path / "files")
    run_shards(as_files, classifier, plan_job(as_files, classifier))
    config = job(classifier, put_into(tmp_path, images, kind=kind), tmp_path / "out", **{"execution.layout": layout})
    watched_run(config)
    found, expected = (answers(read_rows(output)) for output in (config.output, as_files.output))
    assert found == expected


def put_into(folder: Path, images: list[bytes], *, kind: str) -> Path:
    path = folder / f"all.{kind}"
    if kind == "tar":
        with tarfile.open(path, "w") as archive:
            for index, data in enumerate(images):
                info = tarfile.TarInfo(f"{index:02d}.png")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    elif kind == "parquet":
        pq.write_table(pa.table({"image": images}), path, row_group_size=6)
    else:
        path.write_text("path\n" + "".join(f"images/{index:02d}.png\n" for index in range(len(images))))
    return path


def answers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what tells where an image lay."""
    left_out = {"image_id", "uri", *TIMES}
    return [{key: value for key, value in row.items() if key not in left_out} for row in rows]


@pytest.mark.assets
def test_frames_of_a_video_are_rows_with_their_times(tmp_path: Path, classifier: ModelPackage, assets: Path) -> None:
    source = assets / "video" / "realshort.mp4"
    config = job(classifier, source, tmp_path / "out", **{"source.frames_per_s": "all"})
    watched_run(config)
    rows = read_rows(config.output)
    assert [row["frame_index"] for row in rows] == list(range(36))
    assert rows[30]["time_s"] == pytest.approx(30 * 1499 / 45000, abs=1e-6)
    assert {row["status"] for row in rows} == {"ok"}
