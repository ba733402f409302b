"""Sealed packages of a few kilobytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from inference_core.golden.read import GoldenImage
from inference_core.golden.seal import seal
from inference_core.models.package import ModelPackage, load_package
from tests.drawn_images import png_bytes
from tests.tiny_models import tiny_classifier

MakeSealed = Callable[..., ModelPackage]


@pytest.fixture
def images() -> list[GoldenImage]:
    """Three drawings of two sizes."""
    sizes = [(20, 24), (30, 18), (20, 24)]
    return [GoldenImage(name=f"{index}.png", data=png_bytes(index, image_hw=hw)) for index, hw in enumerate(sizes)]


@pytest.fixture
def make_sealed(tmp_path: Path, images: list[GoldenImage]) -> MakeSealed:
    """A tiny package, sealed; by default a classifier."""

    def make(build: Callable[[Path], Path] = tiny_classifier) -> ModelPackage:
        package = load_package(str(build(tmp_path / "package")))
        seal(package, images)
        return package

    return make
