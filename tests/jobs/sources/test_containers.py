"""Images inside tables, tar files, videos and TIFF pages: listed, and read as they were put in."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile

from inference_core import storage
from inference_core.errors import ConfigError, InputError
from inference_core.video.open_video import open_video
from inference_core.video.read_frames import FrameReader
from jobs.fetch import fetch_images
from jobs.sources.image_ref import ImageRef
from jobs.sources.inputs import Inputs, SourceOptions
from tests.s3_loopback import S3Server
from tests.serve.drawn_videos import draw_video, encode_video, frame_pixels

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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"no video", "must be a video file", id="no video"),
        pytest.param(b"", "must be a video file", id="empty"),
        pytest.param(None, "must hold a frame, got a video without any .*Decoder not found", id="missing codec"),
    ],
)
def test_a_broken_video_is_a_row_that_says_why_and_stops_no_other(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    draw_video(tmp_path / "good.mkv", 3)
    if content is None:
        content = draw_video(tmp_path / "x.avi", 3).read_bytes().replace(b"FFV1", b"XYZQ")
        (tmp_path / "x.avi").unlink()
    (tmp_path / "bad.avi").write_bytes(content)
    refs = wanted(tmp_path, options=SourceOptions(kind="videos", frames_per_s=None))
    assert [ref.image_id for ref in refs] == ["bad.avi/000000", *(f"good.mkv/00000{index}" for index in range(3))]
    broken, *whole = fetch_images(refs, max_bytes=MAX_BYTES)
    assert isinstance(broken, InputError)
    assert broken.status == "decode_error"
    assert re.search(message, str(broken))
    assert [(found == frame_pixels(index)).all() for index, found in enumerate(whole)] == [True] * 3


@pytest.mark.parametrize("name", ["clip.ts", "clip.avi", "clip.mpg", "clip.mp4", "clip.mkv"])
def test_a_shard_that_begins_in_the_middle_has_its_own_frames(tmp_path: Path, name: str) -> None:
    """In MPEG streams and AVI a seek ends somewhere near, and their packets do not tell the times of frames."""
    path = encode_video(tmp_path / name, codec="mpeg4" if name.endswith("avi") else "mpeg2video", num_frames=40)
    refs = wanted(path, options=SourceOptions(frames_per_s=None))
    assert [ref.frame_index for ref in refs] == list(range(40))
    with open_video(str(path)) as container:
        frames = list(FrameReader(container).read())
    assert [ref.time_s for ref in refs] == [frame.time_s for frame in frames]
    expected = [frame.pixels for frame in frames]
    for first in (0, 7, 25, 39):
        found = list(fetch_images(refs[first:], max_bytes=MAX_BYTES))
        assert len(found) == 40 - first
        assert all((frame == pixels).all() for frame, pixels in zip(found, expected[first:], strict=True))


def test_damage_in_a_video_costs_the_frames_in_it_alone(tmp_path: Path) -> None:
    path = encode_video(tmp_path / "clip.mp4", codec="mjpeg", num_frames=12)
    refs = wanted(path, options=SourceOptions(frames_per_s=None))
    with av.open(str(path)) as container:
        packets = list(container.demux(video=0))
    data = bytearray(path.read_bytes())
    assert packets[5].pos is not None
    data[packets[5].pos : packets[5].pos + packets[5].size] = bytes(packets[5].size)
    path.write_bytes(data)
    found = list(fetch_images(refs, max_bytes=MAX_BYTES))
    assert [index for index, frame in enumerate(found) if isinstance(frame, InputError)] == [5]
    assert "the video must be whole at 0.2 s" in str(found[5])


def test_a_glob_names_folders_and_files(tmp_path: Path) -> None:
    for name in ("day-1/a.jpg", "day-2/b.jpg", "night/c.jpg", "day.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    assert [ref.image_id for ref in wanted(tmp_path / "day*")] == ["day-1/a.jpg", "day-2/b.jpg", "day.jpg"]
