"""What is made of a finished run shows how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from inference_core.models.package import ModelPackage
from jobs.annotations import write_annotations
from jobs.explanations import explain_review
from jobs.finalize import finalize
from jobs.plan import Plan
from jobs.stage_progress import Advance
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import finish_job, plan_job
from tests.serve.drawn_videos import draw_video


class Noted:
    """Keeps what stages tell: name, total, and how many are done in the end."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, int]] = []

    @contextmanager
    def __call__(self, name: str, *, total: int) -> Iterator[Advance]:
        counts = [0]
        yield counts.append
        self.told.append((name, total, sum(counts)))


@pytest.fixture
def noted() -> Noted:
    return Noted()


def test_annotations_count_the_rows_of_each_format(make_job: MakeJob, classifier: ModelPackage, noted: Noted) -> None:
    config = make_job(results__annotations='["labelstudio", "fiftyone"]')
    finish_job(config, classifier)
    plan = plan_job(config, classifier)
    finalize(config.output, plan, stages=noted)
    assert noted.told == [("annotations", 20, 20)]  # 10 images in two formats, though both are there already


def test_annotations_without_answers_count_too(make_job: MakeJob, classifier: ModelPackage, noted: Noted) -> None:
    config = make_job(execution__rows_per_shard=3)
    finish_job(config, classifier)
    write_annotations(config.output, plan_job(config, classifier), ["csv"], num_rows=10, stages=noted)
    assert noted.told == [("annotations", 10, 10)]  # whatever became of them


def test_videos_count_frames(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, noted: Noted) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    draw_video(folder / "a.mkv", 4)
    draw_video(folder / "b.mkv", 2)
    config = make_job(input=str(folder), source__kind="videos", source__frames_per_s="all")
    finish_job(config, classifier)
    plan: Plan = plan_job(config, classifier)
    finalize(config.output, plan, stages=noted)
    assert noted.told == [("videos", 6, 6), ("annotations", 0, 0)]


def test_explanations_count_images(make_job: MakeJob, classifier: ModelPackage, noted: Noted) -> None:
    config = make_job(explain={"images": "review", "max_images": 2})
    finish_job(config, classifier)
    explain_review(config, classifier, say=lambda message: None, stages=noted)
    assert noted.told == [("explanations", 2, 2)]
