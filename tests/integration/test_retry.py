"""Failed rows of a finished run, done again after something was mended."""

from __future__ import annotations

import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from inference_core.models.package import load_package
from jobs.settings import read_settings
from tests.drawn_images import draw_folder, png_bytes
from tests.integration.commands import command, run_arguments, run_until
from tests.jobs.local_run import finish_job, read_rows
from tests.tiny_models import tiny_classifier, tiny_segmenter

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NUM_IMAGES = 12
BROKEN = [f"{index:04d}.png" for index in (0, 1, 5, 8, 10)]
SETS = ("execution.rows_per_shard=2", "execution.num_cpus=2", "max_error_frac=1")


def finished_run(model: Path, images: Path, output: Path, *sets: str) -> None:
    """A run to be retried, made in this process: what is tried here is the other command."""
    flags = {"model": str(model), "input": str(images), "output": str(output)}
    config = read_settings(None, flags=flags, assignments=[*SETS, *sets])
    finish_job(config, load_package(config.model))


def broken_folder(folder: Path) -> Path:
    draw_folder(folder, NUM_IMAGES)
    for name in BROKEN:
        (folder / name).write_bytes(png_bytes(0)[:90])
    (folder / "note.txt").write_text("no image")
    return folder


def mend(folder: Path) -> None:
    for name in BROKEN:
        (folder / name).write_bytes(png_bytes(int(name[:4])))


def without_numbers_of_the_run(summary: Path) -> dict[str, Any]:
    facts = json.loads(summary.read_text())
    return {key: value for key, value in facts.items() if key not in ("run", "timings")}


def assert_as_if_never_broken(output: Path, never_broken: Path) -> None:
    assert read_rows(output) == read_rows(never_broken)
    report = "report/summary.json"
    assert without_numbers_of_the_run(output / report) == without_numbers_of_the_run(never_broken / report)
    assert len(list((output / "data").iterdir())) == len(list((never_broken / "data").iterdir()))


@pytest.mark.parametrize("make_model", [tiny_classifier, tiny_segmenter])
def test_rows_that_were_mended_are_as_if_never_broken(tmp_path: Path, make_model: Any) -> None:
    model, images, output = make_model(tmp_path / "model"), broken_folder(tmp_path / "images"), tmp_path / "out"
    finished_run(model, images, output)
    assert Counter(row["status"] for row in read_rows(output)) == {"ok": 7, "decode_error": 5, "unsupported": 1}
    mend(images)

    ended = command("retry", str(output), "--status", "decode_error")
    assert ended.code == 0, ended.err
    assert "retry 1: 5 images with status decode_error in 4 shards, 5 to do" in ended.err
    assert "13 planned = 12 ok + 1 failed + 0 skipped" in ended.out
    never = tmp_path / "never"
    finished_run(model, images, never)
    assert_as_if_never_broken(output, never)

    again = command("retry", str(output), "--status", "decode_error")
    assert again.code == 0, again.err
    assert "retry 2: 0 images" in again.err
    assert command(*run_arguments(model, [images], output, *SETS)).code == 0
    assert_as_if_never_broken(output, never)


def test_a_retry_that_is_killed_goes_on_and_is_one_retry(tmp_path: Path) -> None:
    model = tiny_classifier(tmp_path / "model", side_px=96, depth=8)
    images, output = broken_folder(tmp_path / "images"), tmp_path / "out"
    finished_run(model, images, output)
    mend(images)
    code, _ = run_until(
        ["retry", str(output), "--status", "decode_error", "--set", "execution.actors=1"],
        lambda: bool(list((output / "_commits").glob("*.retry-0001.json"))),
        number=signal.SIGKILL,
    )
    assert code == -signal.SIGKILL
    num_done = len(list((output / "_commits").glob("*.retry-0001.json")))
    assert 0 < num_done < 4, "the moment was missed"
    rows = read_rows(output)  # of both: each image has one
    assert [row["row_id"] for row in rows] == list(range(13))
    assert 0 < sum(row["status"] == "decode_error" for row in rows) < 5

    refused = command("retry", str(output), "--status", "unsupported")
    assert refused.code == 2
    assert "must be decode_error with the limits of the retry that was stopped" in refused.err
    ended = command("retry", str(output), "--status", "decode_error")
    assert ended.code == 0, ended.err
    assert "retry 1: 5 images" in ended.err
    assert Counter(row["status"] for row in read_rows(output)) == {"ok": 12, "unsupported": 1}
    assert [path.name for path in (output / "_retries").iterdir()] == ["0001.json"]
    assert len(list((output / "data").iterdir())) == 7


def test_other_limits_are_for_the_rows_that_are_done_again(tmp_path: Path) -> None:
    model, images, output = tiny_classifier(tmp_path / "model"), tmp_path / "images", tmp_path / "out"
    draw_folder(images, 3)
    (images / "large.png").write_bytes(png_bytes(7, image_hw=(60, 60)))
    finished_run(model, images, output, "limits.max_pixels=1000")
    assert Counter(row["status"] for row in read_rows(output)) == {"ok": 3, "too_large": 1}
    refused = command("retry", str(output), "--status", "too_large", "--set", "include=['*.png']")
    assert refused.code == 2
    assert "include: must be the run's" in refused.err
    ended = command("retry", str(output), "--status", "too_large", "--set", "limits.max_pixels=5000")
    assert ended.code == 0, ended.err
    assert {row["status"] for row in read_rows(output)} == {"ok"}
    as_planned = run_arguments(model, [images], output, *SETS, "limits.max_pixels=1000")
    assert command(*as_planned).code == 0


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("ok", "--status: must be of fetch_error, decode_error"),
        ("nonsense", "got 'nonsense'"),
        ("", "--status: must name at least one"),
    ],
)
def test_statuses_that_cannot_be_retried(tmp_path: Path, status: str, message: str) -> None:
    ended = command("retry", str(tmp_path), "--status", status)
    assert ended.code == 2
    assert message in ended.err


def test_only_a_finished_run_is_retried(tmp_path: Path) -> None:
    model, images, output = tiny_classifier(tmp_path / "model"), broken_folder(tmp_path / "images"), tmp_path / "out"
    assert "must hold a run" in command("retry", str(output), "--status", "oom").err
    finished_run(model, images, output)
    (output / "_commits" / "000000.json").unlink()
    ended = command("retry", str(output), "--status", "decode_error")
    assert ended.code == 1
    assert "must hold a finished run, got one with images left" in ended.err
