"""A tiny model, a folder of drawn images and whole runs without Ray."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from inference_core.models.package import ModelPackage, load_package
from jobs.config import JobConfig
from jobs.settings import read_settings
from tests.drawn_images import draw_folder
from tests.tiny_models import tiny_classifier, tiny_segmenter

MakeJob = Callable[..., JobConfig]


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A model of three colours."""
    return load_package(str(tiny_classifier(tmp_path_factory.mktemp("classifier"))))


@pytest.fixture(scope="session")
def other_classifier(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """Another model of the same classes."""
    return load_package(str(tiny_classifier(tmp_path_factory.mktemp("other"), seed=1)))


@pytest.fixture(scope="session")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A model of three colours for every pixel."""
    return load_package(str(tiny_segmenter(tmp_path_factory.mktemp("segmenter"))))


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Seven good and three bad files."""
    return draw_folder(tmp_path / "images", 7, with_bad=True)


@pytest.fixture
def make_job(tmp_path: Path, images: Path, classifier: ModelPackage) -> MakeJob:
    """Settings of a job over ``images``, with changes by dotted key."""

    def make(**changes: Any) -> JobConfig:
        flags = {"model": classifier.uri, "input": str(images), "output": str(tmp_path / "out")}
        flags |= {key: changes.pop(key) for key in tuple(changes) if key in flags}
        assignments = [f"{key.replace('__', '.')}={value}" for key, value in changes.items()]
        return read_settings(None, flags=flags, assignments=assignments)

    return make


@pytest.fixture(autouse=True)
def _same_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stages set the threads of their process: here, of the tests."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = cv2.getNumThreads()
    yield
    cv2.setNumThreads(before)
