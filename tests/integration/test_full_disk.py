"""A disk that is full: the run ends with a clear error, loses nothing, and goes on when there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drawn_images import draw_folder
from tests.integration.commands import command, commits, run_arguments
from tests.jobs.local_run import read_rows
from tests.tiny_models import tiny_segmenter

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NUM_IMAGES = 40
SMALL, LARGE = "320k", "64m"


def mount(*options: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["mount", *options], check=False, capture_output=True)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few hundred kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = mount("-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder))
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"file systems cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize(("layout", "head_start"), [("whole", "true"), ("split", "false")])
def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(
    tmp_path: Path, tiny_disk: Path, layout: str, head_start: str
) -> None:
    model = tiny_segmenter(tmp_path / "model")
    images = draw_folder(tmp_path / "images", NUM_IMAGES, image_hw=(160, 160))
    output = tiny_disk / "out"
    sets = ("execution.rows_per_shard=2", "execution.num_cpus=2", f"execution.layout={layout}")
    arguments = run_arguments(model, [images], output, *sets, f"execution.head_start={head_start}")
    ended = command(*arguments)
    assert ended.code == 1, ended.err
    assert "the disk is full; free space or write to another place" in ended.err.splitlines()[-1]
    assert "Traceback" not in ended.err
    assert not (output / "_SUCCESS").exists()
    num_kept = commits(output)
    assert 0 < num_kept < NUM_IMAGES // 2

    assert mount("-o", f"remount,size={LARGE}", str(tiny_disk)).returncode == 0
    ended = command(*arguments)
    assert ended.code == 0, ended.err
    assert f"resuming, {2 * num_kept} images done" in ended.err
    rows = read_rows(output)
    assert [row["row_id"] for row in rows] == list(range(NUM_IMAGES))
    assert {row["status"] for row in rows} == {"ok"}
    assert all((output / row["mask_path"]).stat().st_size for row in rows)
    assert len(list((output / "data").iterdir())) == NUM_IMAGES // 2
