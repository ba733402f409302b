from __future__ import annotations

import csv
import io
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from inference_core import storage
from inference_core.errors import ConfigError, JobError, StorageError
from inference_core.evaluation.labels.class_ids import ClassIds
from inference_core.evaluation.labels.yolo import read_yolo
from inference_core.export.annotation_format import FORMATS, check_format
from inference_core.export.committed_rows import iterate_results
from inference_core.export.export_run import Exported, export_run
from inference_core.export.export_source import ExportOptions, ExportSource
from inference_core.run_length import decode_mask
from tests.committed_run import CLASSES, HOSTILE, boxes, commit, found_in, one_class, pixels
from tests.s3_loopback import s3_server
from tests.specs import model_spec

DETECTION = model_spec({"task": "detection", "classes": list(CLASSES), "output": {"decoder": {"name": "fastestdet"}}})
INSTANCES = model_spec(
    {"task": "detection", "classes": list(CLASSES), "output": {"decoder": {"name": "yolov8", "masks": True}}}
)
SEGMENTATION = model_spec({"task": "segmentation", "classes": list(CLASSES)})
CLASSIFICATION = model_spec({"classes": list(CLASSES)})
BOXES = ((1.25, 2.5, 11.7, 9.1), (-3.0, 4.0, 40.0, 25.5), (0.1, 0.1, 29.9, 19.9))
PLAIN = ExportOptions()


def ring_and_dots() -> NDArray[np.bool_]:
    """An object of 20 x 30 pixels with a hole, an island in it and a second piece."""
    mask = np.zeros((20, 30), np.bool_)
    mask[2:12, 3:15] = True
    mask[4:10, 5:12] = False
    mask[6, 7] = mask[15, 20] = mask[16, 21] = True
    return mask


def solid() -> NDArray[np.bool_]:
    mask = np.zeros((20, 30), np.bool_)
    mask[5:9, 0:30] = True
    mask[9:12, 10:12] = True
    return mask


@pytest.fixture
def detected(tmp_path: Path) -> ExportSource:
    """Two shards of boxes in images with hostile names, one without objects, one without an answer."""
    first = [found_in(name, boxes(*BOXES)) for name in HOSTILE]
    second = [found_in("empty.jpg", boxes()), found_in("broken.jpg", None), found_in("b/c.png", boxes(BOXES[0]))]
    return commit(tmp_path / "run", DETECTION, first, second)


@pytest.fixture
def instances(tmp_path: Path) -> ExportSource:
    """Two objects with pixels, one with a hole."""
    found = boxes((3, 2, 22, 17), (0, 5, 30, 12), masks=[ring_and_dots(), solid()])
    return commit(tmp_path / "run", INSTANCES, [found_in("a.jpg", found)])


def export(source: ExportSource, name: str, tmp_path: Path, options: ExportOptions = PLAIN) -> tuple[Exported, Path]:
    exported = export_run(source, name, storage.normalise(str(tmp_path / "to" / name)), options)
    return exported, tmp_path / "to" / name


def files_below(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rows_of(source: ExportSource) -> Iterator[dict[str, Any]]:
    for found in iterate_results(source.output):
        yield from found.rows.to_pylist()


def read_coco(path: Path, capsys: pytest.CaptureFixture[str]) -> COCO:
    found = COCO(str(path))
    capsys.readouterr()
    return found


def test_coco_is_the_rows(detected: ExportSource, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported, folder = export(detected, "coco", tmp_path)
    assert (exported.num_images, exported.num_objects, exported.num_left_out) == (8, 19, 1)
    found = read_coco(folder / "instances.json", capsys)
    assert [found.cats[key]["name"] for key in (1, 2)] == list(CLASSES)
    assert sorted(found.anns) == list(range(1, 20))
    for row in rows_of(detected):
        if row["status"] != "ok":
            assert row["row_id"] + 1 not in found.imgs
            continue
        image = found.imgs[row["row_id"] + 1]
        assert (image["height"], image["width"], image["coco_url"]) == (20, 30, row["uri"])
        annotations = found.loadAnns(found.getAnnIds(imgIds=[image["id"]]))
        for one, expected in zip(annotations, row["objects"], strict=True):
            x, y, width, height = one["bbox"]
            corners = [expected[name] for name in ("x_min", "y_min", "x_max", "y_max")]
            assert [x, y, x + width, y + height] == pytest.approx(corners, rel=1e-15)
            assert (one["category_id"], one["score"]) == (expected["class_id"] + 1, expected["score"])
            assert (one["area"], one["iscrowd"]) == (pytest.approx(width * height), 0)
    results = found.loadRes(list(found.anns.values()))
    capsys.readouterr()
    assert len(results.anns) == 19


@pytest.mark.parametrize("shape", ["polygons", "rle"])
def test_coco_has_the_pixels(
    instances: ExportSource, tmp_path: Path, capsys: pytest.CaptureFixture[str], shape: Any
) -> None:
    _, folder = export(instances, "coco", tmp_path, ExportOptions(shape=shape))
    found = read_coco(folder / "instances.json", capsys)
    kinds = [type(found.anns[key]["segmentation"]).__name__ for key in (1, 2)]
    assert kinds == ["dict", "list" if shape == "polygons" else "dict"]  # COCO has no polygon with a hole
    for key, expected in ((1, ring_and_dots()), (2, solid())):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools reads arrays in a way NumPy 2 warns of
            np.testing.assert_array_equal(found.annToMask(found.anns[key]), expected)
        assert found.anns[key]["area"] == expected.sum()


def test_yolo_boxes_come_back(detected: ExportSource, tmp_path: Path) -> None:
    exported, folder = export(detected, "yolo", tmp_path)
    assert exported.num_image_files == 8
    labels = read_yolo(str(folder / "labels"), ClassIds(CLASSES))
    index = [json.loads(line) for line in (folder / "images.jsonl").read_text().splitlines()]
    rows = [row for row in rows_of(detected) if row["status"] == "ok"]
    unit = 10.0**-6
    for entry, row in zip(index, rows, strict=True):
        found = labels[entry["labels"].removeprefix("labels/").removesuffix(".txt")]
        corners = [[one[name] for name in ("x_min", "y_min", "x_max", "y_max")] for one in row["objects"]]
        shares = np.clip(np.array(corners).reshape(-1, 4) / [30, 20, 30, 20], 0, 1)
        printed = np.array([line.split()[1:] for line in (folder / entry["labels"]).read_text().splitlines()], float)
        exact = np.concatenate([(shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]], axis=1)
        np.testing.assert_allclose(printed.reshape(-1, 4), exact, atol=unit / 2 * (1 + 1e-9))
        # A corner is the middle and half a length, each within half a unit.
        np.testing.assert_allclose(found.boxes_xyxy, shares, atol=unit * 3 / 4 * (1 + 1e-9))
        assert found.class_ids.tolist() == [one["class_id"] for one in row["objects"]]
    assert yaml.safe_load((folder / "data.yaml").read_text())["names"] == dict(enumerate(CLASSES))


def test_yolo_polygons_fill_to_the_pixel(instances: ExportSource, tmp_path: Path) -> None:
    from skimage.measure import grid_points_in_poly

    _, folder = export(instances, "yolo", tmp_path)
    lines = (folder / "labels" / "a.txt").read_text().splitlines()
    for line, expected in zip(lines, (ring_and_dots(), solid()), strict=True):
        points = np.array(line.split()[1:], float).reshape(-1, 2) * [30, 20] - 0.5
        np.testing.assert_array_equal(grid_points_in_poly((20, 30), points[:, ::-1]), expected)


def test_scores_are_told_where_they_are_asked(detected: ExportSource, tmp_path: Path) -> None:
    _, folder = export(detected, "yolo", tmp_path, ExportOptions(with_scores=True))
    assert (folder / "labels" / "b" / "c.txt").read_text().endswith(" 0.900000\n")
    _, folder = export(detected, "voc", tmp_path, ExportOptions(with_scores=True))
    found = ElementTree.parse(folder / "Annotations" / "b" / "c.xml").find("object/confidence")
    assert found is not None
    assert found.text == "0.900000"


def test_voc_boxes_are_the_pixels_that_are_touched(detected: ExportSource, tmp_path: Path) -> None:
    exported, folder = export(detected, "voc", tmp_path)
    names = (folder / "ImageSets" / "Main" / "default.txt").read_text().splitlines()
    assert len(names) == exported.num_images == 8
    rows = [row for row in rows_of(detected) if row["status"] == "ok"]
    found = {path.relative_to(folder / "Annotations").as_posix(): path for path in folder.rglob("*.xml")}
    assert len(found) == 8
    root = ElementTree.parse(found["b/c.xml"])
    corners = {name: int(root.findtext(f"object/bndbox/{name}", "")) for name in ("xmin", "ymin", "xmax", "ymax")}
    assert corners == {"xmin": 2, "ymin": 3, "xmax": 12, "ymax": 10}  # (1.25, 2.5, 11.7, 9.1), from 1 and inclusive
    for path in found.values():
        tree = ElementTree.parse(path)
        for box in tree.iterfind("object/bndbox"):
            left, top, right, bottom = (int(box.findtext(name, "")) for name in ("xmin", "ymin", "xmax", "ymax"))
            assert 1 <= left <= right <= 30
            assert 1 <= top <= bottom <= 20
    labels = {label.text for path in found.values() for label in ElementTree.parse(path).iterfind("object/name")}
    assert labels == set(CLASSES)
    assert sum(len(row["objects"]) for row in rows) == exported.num_objects


def test_label_studio_has_shares_in_per_cent(detected: ExportSource, tmp_path: Path) -> None:
    _, folder = export(detected, "labelstudio", tmp_path)
    tasks = json.loads((folder / "tasks.json").read_text())
    assert [task["data"]["image_id"] for task in tasks[: len(HOSTILE)]] == list(HOSTILE)
    (region,) = tasks[-1]["predictions"][0]["result"]
    assert region["type"] == "rectanglelabels"
    value = region["value"]
    corners = [value["x"], value["y"], value["x"] + value["width"], value["y"] + value["height"]]
    assert np.array(corners) * [30, 20, 30, 20] / 100 == pytest.approx(BOXES[0], abs=1e-5)
    config = ElementTree.fromstring((folder / "label_config.xml").read_text())
    assert [label.get("value") for label in config.iterfind("RectangleLabels/Label")] == list(CLASSES)
    assert {"rectanglelabels", "image"} <= {tag.get("name") for tag in config}


def test_label_studio_draws_holes_with_the_brush(instances: ExportSource, tmp_path: Path) -> None:
    _, folder = export(instances, "labelstudio", tmp_path)
    results = json.loads((folder / "tasks.json").read_text())[0]["predictions"][0]["result"]
    assert [result["type"] for result in results] == ["brushlabels", "polygonlabels"]
    assert results[0]["value"]["rle"][:4] == [0, 0, 9, 96]  # 20 x 30 pixels of 4 bytes


def test_fiftyone_has_boxes_and_outlines(instances: ExportSource, tmp_path: Path) -> None:
    _, folder = export(instances, "fiftyone", tmp_path)
    (sample,) = json.loads((folder / "samples.json").read_text())["samples"]
    assert sample["filepath"] == "/in/a.jpg"
    assert sample["_media_type"] == "image"  # whatever the name ends with
    assert [one["_cls"] for one in sample["predictions"]["detections"]] == ["Detection"] * 2
    assert sample["predictions"]["detections"][0]["bounding_box"] == pytest.approx([0.1, 0.1, 19 / 30, 0.75])
    assert sample["outlines"]["polylines"][1]["points"][0][0] == pytest.approx([0, 0.25])


@pytest.mark.parametrize("name", ["labelstudio", "fiftyone"])
def test_classes_of_images_are_told(tmp_path: Path, name: str) -> None:
    source = commit(tmp_path / "run", CLASSIFICATION, [found_in("a.jpg", one_class(1)), found_in("b.jpg", None)])
    exported, folder = export(source, name, tmp_path)
    assert (exported.num_images, exported.num_left_out) == (1, 1)
    if name == "fiftyone":
        (sample,) = json.loads((folder / "samples.json").read_text())["samples"]
        assert (sample["predictions"]["label"], sample["predictions"]["confidence"]) == (CLASSES[1], 0.75)
    else:
        (task,) = json.loads((folder / "tasks.json").read_text())
        assert task["predictions"][0]["result"][0]["value"]["choices"] == [CLASSES[1]]


def test_regions_of_a_mask_are_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = (ring_and_dots() | solid()).astype(np.uint8)
    source = commit(tmp_path / "run", SEGMENTATION, [found_in("a.png", pixels(mask))])
    exported, folder = export(source, "coco", tmp_path, ExportOptions(shape="rle"))
    found = read_coco(folder / "instances.json", capsys)
    together = np.zeros(mask.shape, np.int64)
    for one in found.anns.values():
        runs = one["segmentation"]
        together += decode_mask(runs["counts"], image_hw=tuple(runs["size"]))
        left, top, width, height = coco_mask.toBbox(runs)
        assert one["bbox"] == [left, top, width, height]
        assert one["score"] == pytest.approx(0.8)
    np.testing.assert_array_equal(together, mask)
    large, _ = export(source, "coco", tmp_path, ExportOptions(min_area_px=3))
    assert 0 < large.num_objects < exported.num_objects


def test_low_scores_are_left_out(detected: ExportSource, tmp_path: Path) -> None:
    exported, _ = export(detected, "coco", tmp_path, ExportOptions(min_score=0.6))
    assert exported.num_objects == 7
    assert exported.num_images == 8


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_names_do_no_harm(detected: ExportSource, tmp_path: Path, name: str) -> None:
    before = set(tmp_path.rglob("*"))
    _, folder = export(detected, name, tmp_path)
    written = files_below(folder)
    assert all(path.is_relative_to(tmp_path / "to") for path in set(tmp_path.rglob("*")) - before)
    for path, data in written.items():
        text = data.decode()
        if path.endswith((".json", ".jsonl", ".xml")) and path != "export.json":
            assert "<script>" not in text
            assert "<b>" not in text
        if path.endswith(".json"):
            json.loads(text)
        if path.endswith(".xml"):
            ElementTree.fromstring(text)


def test_csv_is_safe_and_whole(detected: ExportSource, tmp_path: Path) -> None:
    exported, folder = export(detected, "csv", tmp_path)
    read = list(csv.DictReader(io.StringIO((folder / "rows.csv").read_text(), newline="")))
    rows = list(rows_of(detected))
    assert exported.num_images == len(read) == len(rows) == 9
    assert list(read[0]) == list(rows[0])
    for found, row in zip(read, rows, strict=True):
        assert found["image_id"].removeprefix("'") == row["image_id"]
        assert found["image_id"][0] not in "=+-@\t\r\n"
        assert found["error"] in ("", "'=broken")
        assert (json.loads(found["objects"]) if found["objects"] else None) == row["objects"]


def test_json_lines_are_the_rows(detected: ExportSource, tmp_path: Path) -> None:
    _, folder = export(detected, "jsonl", tmp_path)
    assert [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()] == list(rows_of(detected))


@pytest.mark.parametrize("name", ["coco", "yolo", "csv"])
def test_the_same_command_again_changes_nothing(detected: ExportSource, tmp_path: Path, name: str) -> None:
    first, folder = export(detected, name, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again, _ = export(detected, name, tmp_path)
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    assert not (folder / "_parts").exists()


@pytest.mark.parametrize("name", ["coco", "jsonl"])
def test_a_stopped_export_goes_on_behind_its_last_part(tmp_path: Path, name: str) -> None:
    shards = [[found_in(f"{index}.jpg", boxes(*BOXES))] for index in range(3)]
    whole, folder = export(commit(tmp_path / "run", DETECTION, *shards), name, tmp_path)
    expected = files_below(folder)
    source = commit(tmp_path / "run", DETECTION, *shards)
    lost = tmp_path / "run" / "data" / "part-000002-a.parquet"
    kept = lost.read_bytes()
    target = storage.normalise(str(tmp_path / "again"))
    lost.unlink()
    with pytest.raises(StorageError):
        export_run(source, name, target, PLAIN)
    assert len(list((tmp_path / "again").rglob("00000[01].json"))) == 2
    lost.write_bytes(kept)
    for path in (tmp_path / "run" / "data").glob("part-00000[01]-*"):
        path.unlink()  # what has a part is not read again
    again = export_run(source, name, target, PLAIN)
    assert again.digest == whole.digest
    found = files_below(tmp_path / "again")
    assert {path: found[path] for path in expected if path != "export.json"} == {
        path: data for path, data in expected.items() if path != "export.json"
    }


def test_rows_of_a_retry_are_exported_anew(tmp_path: Path) -> None:
    first, folder = export(commit(tmp_path / "run", DETECTION, [found_in("a.jpg", None)]), "coco", tmp_path)
    assert first.num_images == 0
    assert json.loads((folder / "instances.json").read_text())["images"] == []
    source = commit(tmp_path / "run", DETECTION, [found_in("a.jpg", boxes(BOXES[0]))], token="b")
    again, _ = export(source, "coco", tmp_path)
    assert again.num_objects == 1
    assert again.digest != first.digest


def test_without_a_commit_there_is_nothing_to_export(detected: ExportSource, tmp_path: Path) -> None:
    for path in (tmp_path / "run" / "_commits").iterdir():
        path.unlink()
    with pytest.raises(JobError, match="must have a committed shard to be exported"):
        export(detected, "coco", tmp_path)


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        pytest.param("coko", "detection", r"--format: must be coco, .* or jsonl, got 'coko'", id="unknown"),
        pytest.param("voc", "classification", "place for classification, got voc; take labelstudio or", id="no-place"),
        pytest.param("coco", "embedding", "take csv or jsonl", id="vectors"),
    ],
)
def test_formats_that_do_not_fit_are_refused(name: str, task: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_format(name, task=task, key="--format")


def test_s3_gets_the_same_files(detected: ExportSource, tmp_path: Path) -> None:
    with s3_server() as server, server.environment():
        target = f"{server.make_bucket('exports')}/deep/coco"
        export_run(detected, "coco", target, PLAIN)
        found = {entry.path: storage.read_bytes(entry.uri) for entry in storage.list_objects(target)}
    _, folder = export(detected, "coco", tmp_path)
    assert set(found) == {"instances.json", "export.json"}
    assert found["instances.json"] == (folder / "instances.json").read_bytes()
