from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from inference_core.errors import ConfigError
from inference_core.evaluation.labels.class_ids import ClassIds
from inference_core.evaluation.labels.read_labels import (
    read_box_labels,
    read_class_labels,
    read_label_sets,
    read_mask_labels,
)

COLORS = ["red", "green", "blue"]
IDS = ClassIds(COLORS)
TWO = ClassIds(["background", "vessel"])


def write(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def save_mask(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, np.uint8)).save(path)


def coco(folder: Path, annotations: list[dict[str, Any]], **more: Any) -> str:
    data = {
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 4, "width": 6},
            {"id": 8, "file_name": "b.jpg", "height": 2, "width": 2},
        ],
        "categories": [{"id": 1, "name": "red"}, {"id": 5, "name": "blue"}, {"id": 9, "name": "unused"}],
        "annotations": annotations,
        **more,
    }
    return write(folder / "truth.json", json.dumps(data))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("file,index\na.png,2\n", {"a.png": 2}, id="id"),
        pytest.param("image_id,class\na.png,green\n", {"a.png": 1}, id="name"),
        pytest.param("path,index,name\nx/a.png,0,a rose\n", {"x/a.png": 0}, id="id-and-a-name-of-their-own"),
        pytest.param("file;label\na.png;blue\n", {"a.png": 2}, id="semicolons"),
        pytest.param("file\tlabel\na.png\tblue\n", {"a.png": 2}, id="tabs"),
        pytest.param("\ufefffile,label\na.png,red\na.png,red\n", {"a.png": 0}, id="twice-the-same"),
        pytest.param("\ufefffile,label\r\na.png,red\r\n\r\n", {"a.png": 0}, id="of-windows"),
        pytest.param("file,label\ra.png,red\rb.png,blue\r", {"a.png": 0, "b.png": 2}, id="of-an-old-mac"),
        pytest.param("File, Label\n a.png , red\n,,\n", {"a.png": 0}, id="blanks-and-capitals"),
        pytest.param('"file","label",\n"a,b.png","red",,,\n', {"a,b.png": 0}, id="quotes-and-empty-cells"),
        pytest.param("file,label,,\na.png,red,,\n", {"a.png": 0}, id="columns-without-a-name"),
        pytest.param("Index,File,Label\n7,a.png,red\n", {"a.png": 0}, id="numbered-rows"),
    ],
)
def test_classes_in_a_table(tmp_path: Path, text: str, expected: dict[str, int]) -> None:
    assert read_class_labels(write(tmp_path / "labels.csv", text), IDS, image_ids=[]) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("file,index\na,3\n", "--labels: must hold class ids from 0 to 2, got 3", id="id"),
        pytest.param("file,index\na,-1\n", "must hold class ids from 0 to 2, got '-1'", id="negative"),
        pytest.param("file,class\na,pink\n", "must name classes of the package, got 1 others", id="name"),
        pytest.param("file,class\na,gren\n", "'gren' .near: 'green'.", id="near"),
        pytest.param("file,size\na,3\n", "must have a column class_id or index or class", id="no-class"),
        pytest.param("index\n1\n", "must have a column image_id or file", id="no-image"),
        pytest.param("file,index\n", "must be a CSV file with a header and rows", id="no-rows"),
        pytest.param("file,index\na,1\nb\n", "must have a cell for each of 2 columns, got 1 in .*line 3", id="short"),
        pytest.param("file,class\na,red, blue\n", "got 3 in .*line 2; .* separator in quotes", id="comma"),
        pytest.param("file,file\na,b\n", "must have different columns, got 'file' twice", id="double-column"),
        pytest.param("file,class\na,red\nb,\n", "an image and a class in every row, got b with no class", id="blank"),
        pytest.param("file,class\n,red\n", "got no image with red in .*; fill it in", id="no-name"),
        pytest.param("file,class\na,LIGHT_RED\n", "'LIGHT_RED'; rename them, or say", id="far"),
        pytest.param("file,class\na,RED\n", "got 1 others in .*'RED' .near: 'red'.", id="capitals"),
        pytest.param("", "must be a CSV file with a header and rows", id="empty"),
        pytest.param(
            "file,index,name\na,0,green\n",
            "must mean the package's class ids, got 0 for 'green', which is 'red'",
            id="order",
        ),
        pytest.param(
            "file,class\na,red\na,blue\n", "must give one class for each image, got 'red' and 'blue'", id="two"
        ),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_class_labels(write(tmp_path / "labels.csv", text), IDS, image_ids=[])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "must be an existing file, got .*labels.csv; check the path", id="absent"),
        pytest.param(
            "file,class\na,red\n".encode("utf-16"), r"a CSV file in UTF-8, got .* save it as that", id="utf-16"
        ),
        pytest.param("file,class\ncafé,red\n".encode("latin-1"), "must be a CSV file in UTF-8", id="latin-1"),
        pytest.param(b'file,class\n"' + b"a" * 200_000 + b'",red\n', "field larger than field limit", id="open-quote"),
    ],
)
def test_files_that_are_no_table_are_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "labels.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_class_labels(str(path), IDS, image_ids=[])


@pytest.mark.parametrize("other", ["*", ""])
def test_rows_without_a_class_are_left_out_by_the_map(tmp_path: Path, other: str) -> None:
    labels = write(tmp_path / "labels.csv", "file,label\na,red\nb,\n")
    ids = ClassIds(COLORS, renamed={other: None})
    assert read_class_labels(labels, ids, image_ids=[]) == {"a": 0}


def test_a_file_of_another_ending_is_not_taken_for_a_folder(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.txt", "file,class\na,red\n")
    with pytest.raises(ConfigError, match=r"got the file .*labels\.txt; rename it after what it holds"):
        read_class_labels(path, IDS, image_ids=[])


@pytest.mark.parametrize(
    ("name", "near"), [("Light_Red", "light red"), ("LIGHT-RED", "light red"), ("ligt red", "light red")]
)
def test_a_name_spelled_otherwise_is_recognised_in_the_message(name: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"{name!r} .near: {near!r}."):
        ClassIds(["dark", "light red"]).of_names([name], origin="x")


def test_classes_by_folder(tmp_path: Path) -> None:
    write(tmp_path / "red" / "a.png", "")
    write(tmp_path / "blue" / "a.png", "")
    assert read_class_labels(str(tmp_path), IDS, image_ids=[]) == {"blue/a.png": 2, "red/a.png": 0}
    assert read_class_labels("folders", IDS, image_ids=["x/green/b.png"]) == {"x/green/b.png": 1}
    with pytest.raises(ConfigError, match=r"images in folders named after their class, got b\.png in none"):
        read_class_labels("folders", IDS, image_ids=["b.png"])
    with pytest.raises(ConfigError, match="must name classes of the package, got 1 others in the images' own folders"):
        read_class_labels("folders", IDS, image_ids=["pink/b.png"])


def test_nothing_is_no_label(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must be a CSV file, COCO's JSON or a folder that holds labels, got"):
        read_class_labels(str(tmp_path / "none"), IDS, image_ids=[])


def test_label_sets(tmp_path: Path) -> None:
    flags = write(tmp_path / "flags.csv", "file,red,green,blue\na,1,0,1\nb,0,0,\n")
    assert read_label_sets(flags, IDS) == {"a": frozenset({0, 2}), "b": frozenset()}
    rows = write(tmp_path / "rows.csv", "file,label\na,red\na,blue\nb,green\n")
    assert read_label_sets(rows, IDS) == {"a": frozenset({0, 2}), "b": frozenset({1})}
    shows_nothing = write(tmp_path / "nothing.csv", "file,label\na,red\nb,\n")
    assert read_label_sets(shows_nothing, IDS) == {"a": frozenset({0}), "b": frozenset()}
    of_pandas = write(tmp_path / "pandas.csv", "file,red,green,blue\na,1.0,0.0,\nb,True,False,False\n")
    assert read_label_sets(of_pandas, IDS) == {"a": frozenset({0}), "b": frozenset({0})}
    with pytest.raises(ConfigError, match="an image and a class in every row, got b with no class"):
        read_label_sets(write(tmp_path / "no_id.csv", "file,index,label\na,0,red\nb,,green\n"), IDS)
    yolo = tmp_path / "yolo"
    write(yolo / "a.txt", "0 .5 .5 .1 .1\n0 .2 .2 .1 .1\n")
    write(yolo / "b.txt", "")
    assert read_label_sets(str(yolo), IDS) == {"a": frozenset({0}), "b": frozenset()}
    with pytest.raises(ConfigError, match="must have a column of 0 and 1 for each class, got none for blue"):
        read_label_sets(write(tmp_path / "part.csv", "file,red,green\na,1,0\n"), IDS)
    for value in ("-1", "2", "yes"):
        with pytest.raises(ConfigError, match=f"must hold 0 or 1 for each class, got '{value}' for green"):
            read_label_sets(write(tmp_path / "odd.csv", f"file,red,green,blue\na,1,{value},0\n"), IDS)
    with pytest.raises(ConfigError, match="must give each image once, got other labels in a second row for a"):
        read_label_sets(write(tmp_path / "two.csv", "file,red,green,blue\na,1,0,0\na,0,0,0\n"), IDS)


def test_yolo_boxes_and_polygons(tmp_path: Path) -> None:
    write(tmp_path / "x" / "a.txt", "1 0.5 0.5 0.5 1\n2 0 0 1 0 1 0.5\n\n0 .5 .5 .2 .2 0.9\n")
    labels = read_box_labels(str(tmp_path), IDS)["x/a"]
    boxes = labels.in_image((10, 20))
    assert labels.class_ids.tolist() == [1, 2, 0]
    np.testing.assert_allclose(boxes.boxes_xyxy, [[5, 0, 15, 10], [0, 0, 20, 5], [8, 4, 12, 6]])


def test_yolo_numbers_may_be_named(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "0 .5 .5 .1 .1\n")
    write(tmp_path / "classes.txt", "blue\nred\n")
    assert read_box_labels(str(tmp_path), IDS)["a"].class_ids.tolist() == [2]
    (tmp_path / "classes.txt").unlink()
    write(tmp_path / "data.yaml", "names: {0: green}\n")
    assert read_box_labels(str(tmp_path), IDS)["a"].class_ids.tolist() == [1]
    write(tmp_path / "data.yaml", "names: {1: green}\n")
    with pytest.raises(ConfigError, match=r"class numbers that .*data\.yaml names, got 0 in .*a\.txt, line 1"):
        read_box_labels(str(tmp_path), IDS)
    write(tmp_path / "data.yaml", "names: [pink]\n")
    with pytest.raises(ConfigError, match="must name classes of the package, got 1 others"):
        read_box_labels(str(tmp_path), IDS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 nan .5 .1 .1", "must hold numbers, got '0 nan .5 .1 .1' in .*line 1"),
        ("nan .5 .5 .1 .1", "must hold numbers, got 'nan"),
        ("inf .5 .5 .1 .1", "must hold numbers, got 'inf"),
        ("0 .5 .5 .1", "must have a class and 4 numbers of a box, or at least 3 corners, got 3 numbers in .*line 1"),
        ("red .5 .5 .1 .1", "must hold numbers, got 'red .5"),
        ("3 .5 .5 .1 .1", "must hold class ids from 0 to 2, got 3 in .*line 1"),
        ("0 320 240 50 40", "must hold shares .* got a box from 295, 220 to 345, 260 in .*line 1; divide pixels by"),
        ("0 10 10 10 90 90 90", "must hold shares of the image's width and height from 0 to 1"),
    ],
)
def test_wrong_lines_are_refused(tmp_path: Path, line: str, message: str) -> None:
    write(tmp_path / "a.txt", line)
    with pytest.raises(ConfigError, match=message):
        read_box_labels(str(tmp_path), IDS)


def test_a_folder_of_something_else_is_no_yolo(tmp_path: Path) -> None:
    write(tmp_path / "a.xml", "")
    with pytest.raises(ConfigError, match="must be a folder with a text file for each image"):
        read_box_labels(str(tmp_path), IDS)
    with pytest.raises(ConfigError, match=r"must be COCO's JSON or a folder of \.txt files with task detection"):
        read_box_labels(write(tmp_path / "a.csv", "x"), IDS)


def test_coco_boxes_classes_and_label_sets(tmp_path: Path) -> None:
    annotations = [
        {"image_id": 7, "category_id": 5, "bbox": [1, 1, 2, 3]},
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 6, 4], "iscrowd": 1},
    ]
    uri = coco(tmp_path, annotations)
    boxes = read_box_labels(uri, IDS)
    assert boxes["a.jpg"].in_image((4, 6)).boxes_xyxy.tolist() == [[1, 1, 3, 4], [0, 0, 6, 4]]
    assert boxes["a.jpg"].is_crowd.tolist() == [False, True]
    assert boxes["b.jpg"].class_ids.tolist() == []
    assert read_label_sets(uri, IDS) == {"a.jpg": frozenset({0, 2}), "b.jpg": frozenset()}
    with pytest.raises(ConfigError, match=r"must give one class for each image, got 2 for a\.jpg"):
        read_class_labels(uri, IDS, image_ids=[])
    assert read_class_labels(coco(tmp_path, annotations[:1]), IDS, image_ids=[]) == {"a.jpg": 2}


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # in pycocotools itself
def test_coco_masks_are_those_of_pycocotools(tmp_path: Path) -> None:
    square = np.zeros((4, 6), np.uint8, order="F")
    square[1:3, 2:5] = 1
    runs = coco_mask.encode(square)
    annotations = [
        {"image_id": 7, "category_id": 1, "segmentation": [[0.0, 0.0, 6.0, 0.0, 6.0, 2.0, 0.0, 2.0]]},
        {"image_id": 7, "category_id": 5, "segmentation": {"size": [4, 6], "counts": runs["counts"].decode()}},
        {"image_id": 8, "category_id": 5, "segmentation": {"size": [2, 2], "counts": [1, 3]}},
    ]
    masks, notes = read_mask_labels(coco(tmp_path, annotations), ClassIds(["background", "red", "blue"]))
    polygon = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(annotations[0]["segmentation"], 4, 6)))
    expected = np.where(square > 0, 2, polygon)
    assert np.array_equal(masks["a.jpg"](), expected)
    assert masks["b.jpg"]().tolist() == [[0, 2], [2, 2]]
    assert notes == []
    crowd = [{**annotations[1], "iscrowd": 1}]
    assert set(np.unique(read_mask_labels(coco(tmp_path, crowd), IDS)[0]["a.jpg"]())) == {-1, 0}


@pytest.mark.parametrize(
    ("annotations", "more", "message"),
    [
        ([{"image_id": 7, "category_id": 9, "bbox": [0, 0, 1, 1]}], {}, "must name classes of the package.* 'unused'"),
        ([{"image_id": 7, "category_id": 4, "bbox": [0, 0, 1, 1]}], {}, "must have known categories, got 4"),
        ([{"image_id": 7, "category_id": 1}], {}, "must have a bbox of 4 numbers, got None"),
        ([{"image_id": 7, "category_id": 1, "bbox": ["a", 0, 1, 1]}], {}, "must have a bbox of 4 numbers, got .'a', 0"),
        ([{"image_id": 7, "category_id": 1, "bbox": [9, 0, -4, 1]}], {}, "9, 0, -4, 1. in .*; give left, top, width"),
        ([{"image_id": 1, "category_id": 1}], {}, "must be COCO's JSON with images, categories and annotations"),
        ([], {"images": None}, "must be COCO's JSON"),
    ],
)
def test_wrong_coco_is_refused(tmp_path: Path, annotations: Any, more: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_box_labels(coco(tmp_path, annotations, **more), IDS)


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ([], "must have polygons of at least 3 corners"),
        ([[1, 2, 3, 4]], r"at least 3 corners, x and y in turn, got \[\[1, 2, 3, 4\]\]"),
        ([[0, 0, 4, 0, "x", 4]], "must have polygons of at least 3 corners"),
        ([0, 0, 4, 0, 4, 4], "must have polygons of at least 3 corners"),
        (None, "polygons or of run lengths of all 24 pixels, got None"),
        ({"counts": [8, 8]}, "run lengths of all 24 pixels, got {'counts': .8, 8.}"),
        ({"counts": [-1, 25]}, "run lengths of all 24 pixels"),
        ({"counts": [10**15]}, "run lengths of all 24 pixels"),
        ({"counts": "~~"}, "must hold whole run lengths"),
    ],
)
def test_wrong_shapes_of_coco_are_refused(tmp_path: Path, segmentation: Any, message: str) -> None:
    annotations = [{"image_id": 7, "category_id": 1, "segmentation": segmentation}]
    masks, _ = read_mask_labels(coco(tmp_path, annotations), IDS)
    with pytest.raises(ConfigError, match=message):
        masks["a.jpg"]()


def test_masks_are_class_ids(tmp_path: Path) -> None:
    save_mask(tmp_path / "a.png", [[0, 1], [2, 255]])
    masks, _ = read_mask_labels(str(tmp_path), IDS)
    assert masks["a.png"]().tolist() == [[0, 1], [2, -1]]


def test_black_and_white_masks_are_two_classes(tmp_path: Path) -> None:
    save_mask(tmp_path / "a.png", [[0, 255]])
    save_mask(tmp_path / "b.png", [[0, 0]])
    masks, notes = read_mask_labels(str(tmp_path), TWO)
    assert (masks["a.png"]().tolist(), masks["b.png"]().tolist()) == ([[0, 1]], [[0, 0]])
    assert notes == ["masks hold 0 and 255 alone: 255 is read as 'vessel'"]
    save_mask(tmp_path / "c.png", [[0, 1]])
    masks, notes = read_mask_labels(str(tmp_path), TWO)
    assert masks["a.png"]().tolist() == [[0, -1]]  # what is not labelled, as usual
    assert notes == []


def test_masks_with_a_palette_or_16_bits_are_class_ids(tmp_path: Path) -> None:
    values = np.array([[0, 1], [2, 1]], np.uint8)
    colored = Image.fromarray(values, mode="P")
    colored.putpalette([250, 10, 10, 10, 250, 10, 10, 10, 250])
    colored.save(tmp_path / "a.png")
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "b.png")
    masks, notes = read_mask_labels(str(tmp_path), IDS)
    assert masks["a.png"]().tolist() == masks["b.png"]().tolist() == values.tolist()
    assert notes == []


def test_values_that_no_class_has_are_told(tmp_path: Path) -> None:
    save_mask(tmp_path / "a.png", [[0, 20, 40, 60], [80, 100, 120, 255]])
    masks, notes = read_mask_labels(str(tmp_path), IDS)
    assert masks["a.png"]().tolist() == [[0, -1, -1, -1], [-1, -1, -1, -1]]
    assert notes == [
        "masks hold values from 3 on (20, 40, 60, 80, 100, ...), which are no class: these pixels do not count; if "
        "they should, say what they are with --class-map"
    ]
    save_mask(tmp_path / "a.png", [[0, 1, 2, 255]])
    assert read_mask_labels(str(tmp_path), IDS)[1] == []


def test_masks_that_were_changed_by_their_format_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.jpg")
    masks, _ = read_mask_labels(str(tmp_path), IDS)
    with pytest.raises(ConfigError, match=r"got JPEG in .*a\.jpg, which changes them; save them as PNG"):
        masks["a.jpg"]()


def test_what_lies_beside_masks_does_no_harm(tmp_path: Path) -> None:
    save_mask(tmp_path / "z.png", [[0, 255]])
    write(tmp_path / "README.txt", "about")
    masks, notes = read_mask_labels(str(tmp_path), TWO)
    assert masks["z.png"]().tolist() == [[0, 1]]
    assert len(notes) == 1


def test_values_of_masks_go_through_the_map(tmp_path: Path) -> None:
    save_mask(tmp_path / "a.png", [[0, 7, 9, 1]])
    ids = ClassIds(COLORS, renamed={"7": "blue", "green": None})
    assert read_mask_labels(str(tmp_path), ids)[0]["a.png"]().tolist() == [[0, 2, -1, -1]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[[0, 0, 0]]], "must hold masks with one channel of class ids.*; save the numbers of the classes"),
        ([[7, 9]], "must hold class ids from 0 to 2, got 7, 9 alone in .* say what they are with --class-map"),
    ],
)
def test_wrong_masks_are_refused(tmp_path: Path, values: Any, message: str) -> None:
    save_mask(tmp_path / "a.png", values)
    masks, _ = read_mask_labels(str(tmp_path), IDS)
    with pytest.raises(ConfigError, match=message):
        masks["a.png"]()


def test_what_is_no_image_is_no_mask(tmp_path: Path) -> None:
    write(tmp_path / "a.png", "text")
    masks, _ = read_mask_labels(str(tmp_path), IDS)
    with pytest.raises(ConfigError, match="--labels: must hold masks, got"):
        masks["a.png"]()
    with pytest.raises(ConfigError, match="must be a folder of masks or COCO's JSON with task segmentation"):
        read_mask_labels(write(tmp_path / "a.csv", "x"), IDS)
