from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inference_core.errors import ConfigError
from inference_core.golden.pick import pick_images, spread
from inference_core.models.package import ModelPackage, load_package
from tests.drawn_images import png_bytes, write
from tests.tiny_models import tiny_classifier


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    return load_package(str(tiny_classifier(tmp_path / "package")))


def names(package: ModelPackage, *uris: Path, count: int = 8) -> list[str]:
    return [image.name for image in pick_images(package, [str(uri) for uri in uris], count=count)]


def test_a_folder_is_taken_evenly(package: ModelPackage, tmp_path: Path) -> None:
    for index in range(40):
        write(tmp_path / "images" / f"{index:02d}.png", png_bytes(index))
    assert names(package, tmp_path / "images", count=3) == ["00.png", "13.png", "26.png"]
    assert len(names(package, tmp_path / "images")) == 8


def test_images_of_every_size_come_first(package: ModelPackage, tmp_path: Path) -> None:
    for index in range(8):
        write(tmp_path / "images" / f"{index}.png", png_bytes(index, image_hw=(9, 9) if index == 7 else (20, 24)))
    assert names(package, tmp_path / "images", count=2) == ["0.png", "7.png"]


def test_equal_images_count_once_and_named_files_need_no_ending(package: ModelPackage, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c"):
        write(tmp_path / "images" / name, png_bytes(int(name == "c")))
    assert names(package, tmp_path / "images") == ["a.png"]
    assert names(package, tmp_path / "images", tmp_path / "images" / "c") == ["a.png", "c"]


def test_what_is_hidden_or_no_image_by_name_is_left_out_of_a_folder(package: ModelPackage, tmp_path: Path) -> None:
    for name in (".hidden.png", ".thumbs/a.png", "labels.csv", "deep/GOOD.PNG"):
        write(tmp_path / "images" / name, png_bytes(0))
    assert names(package, tmp_path / "images") == ["GOOD.PNG"]


NOTHING = "must name images or folders of images, got .*images"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda folder: write(folder / "a.png", b""), r"a\.png: decode_error: .*leave it out", id="empty"),
        pytest.param(lambda folder: write(folder / "a.png", b"text"), r"a\.png: unsupported", id="text"),
        pytest.param(lambda folder: write(folder / "a.png", png_bytes(0)[:90]), r"a\.png: decode_error", id="cut-off"),
        pytest.param(lambda folder: folder.mkdir(), NOTHING, id="nothing"),
        pytest.param(lambda folder: None, NOTHING, id="no-folder"),
    ],
)
def test_a_bad_image_is_refused_by_its_name(
    package: ModelPackage, tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    make(tmp_path / "images")
    with pytest.raises(ConfigError, match=message):
        names(package, tmp_path / "images")


def test_at_least_one_is_asked_for(package: ModelPackage, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--count: must be at least 1, got 0"):
        names(package, tmp_path, count=0)


@pytest.mark.parametrize(
    ("have", "count", "taken"),
    [(0, 3, []), (1, 3, [0]), (3, 3, [0, 1, 2]), (10, 3, [0, 3, 6])],
    ids=["none", "one", "all", "some"],
)
def test_spread(have: int, count: int, taken: list[int]) -> None:
    assert spread([str(index) for index in range(have)], count=count) == [str(index) for index in taken]
