"""Images inside tables, tar files, videos and TIFF pages: listed, and read as they were put in."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile

from inference_core import storage
from inference_core.errors import ConfigError, InputError
from jobs.fetch import fetch_images
from jobs.sources.image_ref import ImageRef
from jobs.sources.inputs import Inputs, SourceOptions
from tests.s3_loopback import S3Server

MAX_BYTES = 1 << 20


def listed(*uris: str | Path, options: SourceOptions | None = None) -> list[ImageRef | None]:
    normalised = [storage.normalise(str(uri)) for uri in uris]
    return list(Inputs(normalised, include=("*",), exclude=(), output="/nowhere", options=options).list())


def wanted(*uris: str | Path, options: SourceOptions | None = None) -> list[ImageRef]:
    return [entry for entry in listed(*uris, options=options) if entry is not None]


def write_tar(path: Path, members: dict[str, bytes], *, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def test_a_tar_file_gives_its_images_and_leaves_out_the_rest(tmp_path: Path) -> None:
    members = {"a.jpg": b"first", "a.json": b"{}", "b/c.PNG": b"second" * 1000, "./d.tif": b""}
    path = write_tar(tmp_path / "shard.tar", members)
    found = listed(path)
    assert [entry.image_id if entry else None for entry in found] == [
        "shard.tar/a.jpg",
        None,
        "shard.tar/b/c.PNG",
        "shard.tar/d.tif",
    ]
    refs = [entry for entry in found if entry]
    assert list(fetch_images(refs, max_bytes=MAX_BYTES)) == [b"first", b"second" * 1000, b""]


def test_members_are_read_in_any_selection_and_over_the_limit_none(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "shard.tar", {f"{index}.jpg": bytes([index]) * index * 100 for index in range(1, 9)})
    refs = wanted(path)[2:7:2]
    *good, large = fetch_images(refs, max_bytes=600)
    assert good == [bytes([3]) * 300, bytes([5]) * 500]
    assert isinstance(large, InputError)
    assert large.status == "too_large"


def test_a_folder_of_tar_files_is_read_where_the_kind_is_said(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("b.tar", "a.tar"):
        write_tar(tmp_path / "in" / name, {"x.jpg": b"1"})
    (tmp_path / "in" / "readme.txt").write_text("no tar file")
    found = listed(tmp_path / "in", options=SourceOptions(kind="tar"))
    assert [entry.image_id if entry else None for entry in found] == ["a.tar/x.jpg", "b.tar/x.jpg", None]
    as_images = wanted(tmp_path / "in")  # as it stands, every file is an image
    assert [entry.image_id for entry in as_images] == ["a.tar", "b.tar", "readme.txt"]


def test_a_compressed_tar_file_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "shard.tar", {"a.jpg": b"1"}, mode="w:gz")
    with pytest.raises(ConfigError, match=r"input: must be a plain tar file, got .*shard\.tar .*unpack"):
        listed(path)


def test_a_tar_file_that_was_cut_off_after_listing_fails_its_own_images(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "shard.tar", {"a.jpg": b"1" * 2000, "b.jpg": b"2" * 2000})
    refs = wanted(path)
    path.write_bytes(path.read_bytes()[:3000])
    first, second = fetch_images(refs, max_bytes=MAX_BYTES)
    assert first == b"1" * 2000
    assert isinstance(second, InputError)
    assert "cut off or changed" in str(second)


def test_a_tar_file_that_is_gone_fails_its_images_alone(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "shard.tar", {"a.jpg": b"1", "b.jpg": b"2"})
    (tmp_path / "c.jpg").write_bytes(b"3")
    refs = [*wanted(path), *wanted(tmp_path / "c.jpg")]
    path.unlink()
    first, second, third = fetch_images(refs, max_bytes=MAX_BYTES)
    assert isinstance(first, InputError)
    assert isinstance(second, InputError)
    assert first.status == second.status == "fetch_error"
    assert third == b"3"


def test_a_tar_file_on_s3(s3_bucket: str, s3_server: S3Server, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "shard.tar", {f"{index}.jpg": bytes([index]) * 5000 for index in range(20)})
    storage.replace(f"{s3_bucket}/tars/shard.tar", path.read_bytes())
    refs = wanted(f"{s3_bucket}/tars/shard.tar")
    assert len(refs) == 20
    assert list(fetch_images(refs[5:9], max_bytes=MAX_BYTES)) == [bytes([index]) * 5000 for index in range(5, 9)]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("column", ["uri", "path", "file_name"])
def test_a_table_names_images_beside_it_and_elsewhere(tmp_path: Path, kind: str, column: str) -> None:
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "a.jpg").write_bytes(b"near")
    (tmp_path / "far.jpg").write_bytes(b"far")
    rows = [{column: "near/a.jpg", "label": "x"}, {column: str(tmp_path / "far.jpg"), "label": "y"}]
    path = write_table(tmp_path / f"list.{kind}", rows)
    refs = wanted(path)
    assert [ref.image_id for ref in refs] == ["near/a.jpg", str(tmp_path / "far.jpg")]
    assert list(fetch_images(refs, max_bytes=MAX_BYTES)) == [b"near", b"far"]


def write_table(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".csv":
        names = list(rows[0])
        lines = [",".join(names), *(",".join(str(row[name]) for name in names) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_ids_and_sizes_of_a_table_are_taken_over(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"image_id": "one", "uri": "s3://b/k.jpg", "size_bytes": 7, "etag": "e"}]
    (ref,) = wanted(write_table(tmp_path / "list.csv", rows))
    assert ref == ImageRef(image_id="one", uri="s3://b/k.jpg", size_bytes=7, etag="e")


def test_another_column_is_read_where_it_is_named(tmp_path: Path) -> None:
    path = write_table(tmp_path / "list.csv", [{"picture": "a.jpg", "uri": "b.jpg"}])
    (ref,) = wanted(path, options=SourceOptions(uri_column="picture"))
    assert ref.image_id == "a.jpg"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(
            [{"picture": "a"}],
            r"must have a column uri, .* or image, got picture in .*source\.uri_column",
            id="no-column",
        ),
        pytest.param(
            [{"uri": "a", "n": 1}, {"uri": "", "n": 2}],
            r"must name an image in every row, got '' in row 2 ",
            id="empty-cell",
        ),
        pytest.param([{"uri": "a"}, {"uri": "a"}], r"image_id must be distinct, got 'a' again", id="twice"),
        pytest.param([{"uri": "../a"}], r"must name images, got row 1 ", id="outside"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, rows: list[dict[str, object]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        listed(write_table(tmp_path / "list.csv", rows))


@pytest.mark.parametrize("is_struct", [False, True], ids=["binary", "struct"])
def test_parquet_holds_images(tmp_path: Path, is_struct: bool) -> None:
    cells = [bytes([index]) * (index + 1) for index in range(50)]
    column = [{"bytes": cell, "path": None} for cell in cells] if is_struct else cells
    path = tmp_path / "images.parquet"
    pq.write_table(pa.table({"image": column, "label": list(range(50))}), path, row_group_size=7)
    refs = wanted(path)
    assert [ref.row for ref in refs] == list(range(50))
    assert refs[3].image_id == "images.parquet/000000003"
    assert list(fetch_images(refs, max_bytes=MAX_BYTES)) == cells
    assert list(fetch_images(refs[5:40:9], max_bytes=MAX_BYTES)) == cells[5:40:9]


def test_null_and_large_cells_fail_alone(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    pq.write_table(pa.table({"image_id": ["a", "b", "c"], "bytes": [b"1", None, b"3" * 100]}), path)
    refs = wanted(path)
    assert [ref.image_id for ref in refs] == ["a", "b", "c"]
    good, null, large = fetch_images(refs, max_bytes=10)
    assert good == b"1"
    assert isinstance(null, InputError)
    assert null.status == "fetch_error"
    assert isinstance(large, InputError)
    assert large.status == "too_large"


def test_pages_of_a_tiff_are_images_where_wanted(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    tifffile.imwrite(path, np.zeros((3, 8, 8), np.uint8), photometric="minisblack")
    (tmp_path / "broken.tif").write_bytes(b"II*\0 no tiff")
    assert [ref.image_id for ref in wanted(tmp_path)] == ["broken.tif", "pages.tif"]
    refs = wanted(tmp_path, options=SourceOptions(all_pages=True))
    assert [(ref.image_id, ref.page) for ref in refs] == [
        ("broken.tif", None),
        ("pages.tif/page-0000", 0),
        ("pages.tif/page-0001", 1),
        ("pages.tif/page-0002", 2),
    ]
    assert list(fetch_images(refs[1:], max_bytes=MAX_BYTES)) == [path.read_bytes()] * 3


@pytest.mark.assets
def test_frames_of_a_video_by_rate(assets: Path) -> None:
    path = assets / "video" / "realshort.mp4"
    every = wanted(path, options=SourceOptions(frames_per_s=None))
    assert len(every) == 36
    assert [ref.frame_index for ref in every] == list(range(36))
    assert every[30].time_s == pytest.approx(30 * 1499 / 45000, abs=1e-6)
    some = wanted(path, options=SourceOptions(frames_per_s=5))
    assert [ref.frame_index for ref in some] == [
        0,
        6,
        12,
        18,
        25,
        31,
    ]  # the first at or just before each fifth of a second
    (one, *_) = wanted(path, options=SourceOptions(frames_per_s=0.5))
    assert one.time_s == 0


@pytest.mark.assets
def test_frames_are_those_that_opencv_decodes(assets: Path) -> None:
    import cv2

    path = assets / "video" / "realshort.mp4"
    refs = wanted(path, options=SourceOptions(frames_per_s=None))
    capture = cv2.VideoCapture(str(path))
    expected = []
    while (answer := capture.read())[0]:
        expected.append(answer[1][..., ::-1])
    chosen = [0, 1, 9, 20, 35]
    found = list(fetch_images([refs[index] for index in chosen], max_bytes=MAX_BYTES))
    for index, frame in zip(chosen, found, strict=True):
        assert isinstance(frame, np.ndarray)
        assert frame.shape == expected[index].shape
        assert np.abs(frame.astype(int) - expected[index]).mean() < 2  # other conversions from YUV


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"no video")
    with pytest.raises(ConfigError, match=r"input: must be a video that FFmpeg reads, got .*x\.mp4"):
        listed(tmp_path / "x.mp4")


def test_a_glob_names_folders_and_files(tmp_path: Path) -> None:
    for name in ("day-1/a.jpg", "day-2/b.jpg", "night/c.jpg", "day.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    assert [ref.image_id for ref in wanted(tmp_path / "day*")] == ["day-1/a.jpg", "day-2/b.jpg", "day.jpg"]
