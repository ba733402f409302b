from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.errors import ConfigError
from inference_core.evaluation.labels.class_ids import ClassIds, read_class_map

CLASSES = ["background", "car", "person"]


def test_names_and_numbers_are_class_ids() -> None:
    ids = ClassIds(CLASSES)
    assert ids.of_names(["person", "car", "person"], origin="x") == {"person": 2, "car": 1}
    assert [ids.of_number(number, origin="x") for number in (0, 2)] == [0, 2]


def test_other_classes_are_named_with_what_is_near() -> None:
    with pytest.raises(ConfigError) as caught:
        ClassIds(CLASSES).of_names(["car", "persons", "tree"], origin="labels.csv")
    assert str(caught.value) == (
        "--labels: must name classes of the package, got 2 others in labels.csv: 'persons' (near: 'person'), 'tree'; "
        "rename them, or say what they are with --class-map FILE (YAML, theirs: ours, or null to leave it out)"
    )


def test_of_many_wrong_names_the_first_are_shown() -> None:
    with pytest.raises(ConfigError, match=r"got 9 others in x: 'a0', 'a1', 'a2', 'a3', 'a4' and 4 more; rename"):
        ClassIds(CLASSES).of_names([f"a{index}" for index in range(9)], origin="x")


def test_a_map_renames_leaves_out_and_takes_the_rest() -> None:
    ids = ClassIds(CLASSES, renamed={"truck": "car", "ego": None, "7": "person", "*": "background"})
    assert ids.of_names(["truck", "ego", "person", "sky"], origin="x") == {
        "truck": 1,
        "ego": None,
        "person": 2,
        "sky": 0,
    }
    assert [ids.of_number(number, origin="x") for number in (7, 1, 99)] == [2, 0, 0]


def test_a_number_is_renamed_by_its_class_too() -> None:
    ids = ClassIds(CLASSES, renamed={"person": None})
    assert [ids.of_number(number, origin="x") for number in (1, 2)] == [1, None]


@pytest.mark.parametrize("number", [3, -1, 255])
def test_a_number_of_no_class_is_refused(number: int) -> None:
    with pytest.raises(ConfigError, match=f"must hold class ids from 0 to 2, got {number} in x; correct it, or give"):
        ClassIds(CLASSES).of_number(number, origin="x")


def test_a_map_to_no_class_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--class-map: must map to classes of the package, got 'cars'.*near: 'car'"):
        ClassIds(CLASSES, renamed={"vehicle": "cars"})


def test_a_map_is_yaml(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("7: car\nego: null\n'*': background\n")
    assert read_class_map(str(path)) == {"7": "car", "ego": None, "*": "background"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "got nothing"), ("a: 3", "must map names to names or null, got 3"), ("[a]", "must hold a mapping")],
)
def test_another_file_is_no_map(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "map.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_class_map(str(path))
    with pytest.raises(ConfigError, match="--class-map: must be an existing file"):
        read_class_map(str(tmp_path / "none.yaml"))
