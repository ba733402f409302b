from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from inference_core.cli import build_app
from inference_core.errors import ConfigError
from tests.explained_nets import explained_package


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)).save(path)
    return path


def test_it_prints_a_line_and_saves_a_picture_for_each_image(photo: Path, tmp_path: Path) -> None:
    package = explained_package(tmp_path / "model", "deep")
    broken = tmp_path / "broken.png"
    broken.write_bytes(photo.read_bytes()[:60])
    arguments = [
        "explain",
        str(photo),
        str(broken),
        "--model",
        package.uri,
        "--save",
        str(tmp_path / "out"),
        "--arrays",
    ]
    done = CliRunner().invoke(build_app(), [*arguments, "--class", "b", "--method", "gradcam"])
    good, bad = (json.loads(line) for line in done.stdout.splitlines())
    assert done.exit_code == 3  # as with predict, where an image failed
    assert (good["method"], good["label"], good["layer"]) == ("gradcam", "b", "activation")
    assert (good["height"], good["width"]) == (40, 60)
    heatmap = np.load(good["heatmap_path"])
    with Image.open(good["picture_path"]) as picture:
        assert picture.width > 60
    assert heatmap.shape == (40, 60)
    assert heatmap.dtype == np.float32
    assert bad["status"] == "decode_error"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["photo.png.npy", "photo.png.png"]


def test_a_folder_that_cannot_be_is_told_before_any_image(photo: Path, tmp_path: Path) -> None:
    package = explained_package(tmp_path / "model", "deep")
    done = CliRunner().invoke(build_app(), ["explain", str(photo), "--model", package.uri, "--save", str(photo)])
    assert isinstance(done.exception, ConfigError)
    assert "--save: must be a folder that can be written, got" in str(done.exception)
    assert not done.stdout


def test_a_mistake_ends_it_before_any_image(photo: Path, tmp_path: Path) -> None:
    package = explained_package(tmp_path / "model", "deep")
    done = CliRunner().invoke(build_app(), ["explain", str(photo), "--model", package.uri, "--class", "bbb"])
    assert isinstance(done.exception, ConfigError)
    assert "class: must be one of the model's 4 classes, got 'bbb'" in str(done.exception)
    assert not done.stdout
