"""``Predictor.visualize``: pictures of predictions in one call."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from inference_core.errors import ConfigError, InputError, ShapeError
from inference_core.predictor import Predictor
from tests.drawn_images import png_bytes
from tests.tiny_models import tiny_classifier, tiny_segmenter


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """With a step that takes small components away."""
    folder = tiny_segmenter(tmp_path_factory.mktemp("segmenter"))
    spec = yaml.safe_load((folder / "model.yaml").read_text())
    (folder / "model.yaml").write_text(yaml.safe_dump({**spec, "postprocess": [{"min_area_px": 100}]}))
    return Predictor.load(folder, device="cpu", num_threads=1)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor.load(tiny_classifier(tmp_path_factory.mktemp("classifier")), device="cpu", num_threads=1)


def blue_with_green_dot() -> np.ndarray:  # type: ignore[type-arg]
    pixels = np.zeros((40, 48, 3), np.uint8)
    pixels[..., 2] = 200
    pixels[10:15, 10:15] = (0, 220, 0)
    return pixels


def test_an_image_is_predicted_and_drawn(segmenter: Predictor) -> None:
    picture = segmenter.visualize(blue_with_green_dot(), kind="mask", has_legend=False, palette=["red", "lime", "navy"])
    assert picture.size == (48, 40)
    assert picture.getpixel((40, 30)) == (0, 0, 128)


def test_a_prediction_that_is_there_is_drawn(segmenter: Predictor) -> None:
    image = blue_with_green_dot()
    other = segmenter.predict(np.zeros_like(image))
    picture = segmenter.visualize(image, other, has_legend=False)
    assert (np.asarray(picture) == image).all()  # all of it is background there


def test_before_and_after_differ_where_a_step_took_something(segmenter: Predictor) -> None:
    picture = np.asarray(segmenter.visualize(blue_with_green_dot(), kind="before_after", alpha=1.0))
    half = picture.shape[1] // 2
    green = (np.abs(picture.astype(int) - (230, 159, 0)) < 3).all(axis=-1)  # the second class's colour is blue's
    sky = (np.abs(picture.astype(int) - (86, 180, 233)) < 3).all(axis=-1)
    assert green[:, :half].any()
    assert green[:, half:].any()
    assert sky[:, :half].any()
    assert not sky[:, half:].any()


def test_a_package_without_steps_has_no_before_and_after(classifier: Predictor) -> None:
    with pytest.raises(ConfigError, match="kind: must be of a package with postprocess, got one without"):
        classifier.visualize(blue_with_green_dot(), kind="before_after")


def test_orientation_is_applied_as_for_the_prediction(classifier: Predictor) -> None:
    image = Image.open(io.BytesIO(png_bytes(0)))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", exif=exif)
    picture = classifier.visualize(buffer.getvalue())
    assert picture.height >= 24  # it lies on its side in the file


def test_what_cannot_be_drawn_is_said(classifier: Predictor, segmenter: Predictor, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad = tmp_path / "bad.png"
    with pytest.raises(InputError):
        classifier.visualize(bad)
    image = blue_with_green_dot()
    with pytest.raises(ConfigError, match="prediction: must have a result to be drawn, got unsupported"):
        classifier.visualize(image, classifier.predict(bad))
    with pytest.raises(ShapeError, match="mask must be"):
        segmenter.visualize(image[:20], segmenter.predict(image))
    with pytest.raises(ConfigError, match="palette: must have a colour for each of 3 classes, got 1"):
        segmenter.visualize(image, palette=["red"])
