from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.convert.sample import MAX_IMAGES, read_sample
from inference_core.errors import ConfigError
from inference_core.golden.read import GoldenImage
from inference_core.golden.seal import seal
from inference_core.models.package import ModelPackage, load_package
from tests.drawn_images import draw_folder, png_bytes
from tests.tiny_models import tiny_classifier


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    return load_package(str(tiny_classifier(tmp_path / "package")))


def names(package: ModelPackage, *images: Path) -> list[str]:
    return [item.source.image_id.rpartition("/")[2] for item in read_sample(package, [str(path) for path in images])]


def test_files_and_folders_in_order(tmp_path: Path, package: ModelPackage) -> None:
    folder = draw_folder(tmp_path / "images", 3)
    (tmp_path / "alone.png").write_bytes(png_bytes(9))
    assert names(package, tmp_path / "alone.png", folder) == ["alone.png", "0000.png", "0001.png", "0002.png"]


def test_what_is_no_image_is_left_out(tmp_path: Path, package: ModelPackage) -> None:
    assert names(package, draw_folder(tmp_path / "images", 2, with_bad=True)) == ["0000.png", "0001.png"]


def test_a_large_folder_is_sampled_evenly(tmp_path: Path, package: ModelPackage) -> None:
    found = names(package, draw_folder(tmp_path / "images", 2 * MAX_IMAGES))
    assert len(found) == MAX_IMAGES
    assert len(set(found)) == MAX_IMAGES
    assert found[-1] >= f"{2 * MAX_IMAGES - 10:04d}.png"


def test_golden_images_are_the_default(package: ModelPackage) -> None:
    seal(package, [GoldenImage(name="first.png", data=png_bytes(0)), GoldenImage(name="other.png", data=png_bytes(1))])
    assert [name.rpartition("-")[2] for name in names(package)] == ["first.png", "other.png"]


def test_without_images_there_is_no_proof(package: ModelPackage) -> None:
    with pytest.raises(ConfigError, match=r"--images: must name images.* got 0.*or seal the package"):
        read_sample(package, [])


def test_unreadable_images_are_told(tmp_path: Path, package: ModelPackage) -> None:
    (tmp_path / "text.png").write_bytes(b"text")
    with pytest.raises(ConfigError, match=r"got 1, none of them readable; .*text.png: "):
        read_sample(package, [str(tmp_path / "text.png")])


def test_an_absent_file_is_told(tmp_path: Path, package: ModelPackage) -> None:
    with pytest.raises(ConfigError, match=r"got 1, none of them readable; .*absent.png"):
        read_sample(package, [str(tmp_path / "absent.png")])
