from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from inference_core.models.package import ModelPackage, load_package
from jobs.settings import read_settings
from serve.replay.rows_of_run import RunRow, iterate_run
from tests.drawn_images import draw_folder
from tests.jobs.local_run import finish_job
from tests.tiny_models import tiny_classifier

MakeRun = Callable[..., Path]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(str(tiny_classifier(tmp_path_factory.mktemp("model"))))


@pytest.fixture
def make_run(tmp_path: Path, package: ModelPackage) -> MakeRun:
    def make(source: Path, *assignments: str) -> Path:
        flags: dict[str, Any] = {"model": package.uri, "input": str(source), "output": str(tmp_path / "out")}
        finish_job(read_settings(None, flags=flags, assignments=list(assignments)), package)
        return tmp_path / "out"

    return make


def read(output: Path, **options: Any) -> list[RunRow]:
    return list(iterate_run(str(output), **options))


def test_rows_come_in_order_with_the_bytes_that_they_are_of(make_run: MakeRun, tmp_path: Path) -> None:
    images = draw_folder(tmp_path / "images", 7, with_bad=True)
    rows = read(make_run(images, "execution.rows_per_shard=4"))
    assert [row.values["row_id"] for row in rows] == list(range(10))
    for row in rows:
        assert row.image == (images / row.values["image_id"]).read_bytes()
        assert (row.skipped, row.lost) == ("", "")


@pytest.mark.parametrize("limit", [1, 4, 5, 100])
def test_a_limit_ends_them(make_run: MakeRun, tmp_path: Path, limit: int) -> None:
    images = draw_folder(tmp_path / "images", 10, with_bad=False)
    assert len(read(make_run(images, "execution.rows_per_shard=4"), limit=limit)) == min(limit, 10)


def test_members_of_tar_files_are_sent_as_they_are(make_run: MakeRun, tmp_path: Path) -> None:
    images = draw_folder(tmp_path / "images", 3, with_bad=False)
    files = sorted(path for path in images.rglob("*") if path.is_file())
    with tarfile.open(tmp_path / "images.tar", "w") as archive:
        for path in files:
            archive.add(path, path.name)
    rows = read(make_run(tmp_path / "images.tar"))
    assert [row.image for row in rows] == [path.read_bytes() for path in files]
    assert not any(row.skipped or row.lost for row in rows)


def test_pages_are_skipped(make_run: MakeRun, tmp_path: Path) -> None:
    pages = [Image.new("RGB", (8, 8), color) for color in ("red", "green")]
    (tmp_path / "images").mkdir()
    pages[0].save(tmp_path / "images" / "two.tif", save_all=True, append_images=pages[1:])
    rows = read(make_run(tmp_path / "images", "source.pages=all"))
    assert [row.skipped for row in rows] == ["a page of a file is no file of its own"] * 2


@pytest.mark.parametrize("change", ["gone", "other"])
def test_an_image_that_is_not_what_it_was_is_lost(make_run: MakeRun, tmp_path: Path, change: str) -> None:
    images = draw_folder(tmp_path / "images", 3, with_bad=False)
    output = make_run(images)
    path = sorted(path for path in images.rglob("*") if path.is_file())[1]
    if change == "gone":
        path.unlink()
    else:
        path.write_bytes(b"other")
    lost = [row for row in read(output) if row.lost]
    assert [row.values["image_id"] for row in lost] == [path.relative_to(images).as_posix()]
    assert ("cannot be read" if change == "gone" else "changed") in lost[0].lost


def test_what_the_run_could_not_read_is_skipped(make_run: MakeRun, tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text(f"uri\n{tmp_path / 'nowhere.png'}\n")
    assert [row.skipped for row in read(make_run(table))] == ["the run could not read it"]


def test_the_digest_of_the_model_is_known(make_run: MakeRun, tmp_path: Path, package: ModelPackage) -> None:
    images = draw_folder(tmp_path / "images", 1, with_bad=False)
    assert {row.model_digest for row in read(make_run(images))} == {package.digest}
