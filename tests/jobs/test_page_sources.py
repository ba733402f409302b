"""What a page is given of a run's output, from runs that were really made."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from inference_core import storage
from inference_core.models.package import ModelPackage
from inference_core.safe_text import csv_cell
from jobs import page_sources
from jobs.config import JobConfig
from jobs.decisions import decisions_of
from jobs.finalize import finalize
from jobs.page_again import write_page_again
from jobs.page_sources import cell_text, read_extras, read_within, small_jpeg
from jobs.plan import load_plan
from jobs.report.csv_files import write_csv
from jobs.visuals.request import visual_request
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, run_shards
from tests.jobs.report.test_pictures import EVALUATION
from tests.jobs.test_finalize import note
from tests.specs import model_spec


@pytest.fixture
def drawn(make_job: MakeJob, classifier: ModelPackage) -> JobConfig:
    """A finished run with pictures, some of failed images."""
    config = make_job(visuals__worst=3, visuals__per_error=2)
    plan = plan_job(config, classifier)
    run_shards(config, classifier, plan)
    note(config.output, started_s=1000.0)
    finalize(config.output, plan, visuals=visual_request(config, classifier.spec))
    return config


def page_of(config: JobConfig) -> str:
    return storage.read_bytes(storage.join(config.output, "report", "report.html")).decode()


def put(config: JobConfig, path: str, data: bytes) -> None:
    storage.replace(storage.join(config.output, *path.split("/")), data)


def test_a_run_with_pictures_has_them_on_its_page(drawn: JobConfig) -> None:
    extras = read_extras(drawn.output, load_plan(drawn.output))
    with_answer = [image for image in extras.images if image.status == "ok"]
    assert len(with_answer) == 3
    assert extras.num_drawn == len(extras.images) > 3
    assert all(image.thumbnail[:2] == image.picture[:2] == b"\xff\xd8" for image in with_answer)
    page = page_of(drawn)
    assert page.count("data:image/jpeg;base64,") == 2 * sum(bool(image.thumbnail) for image in extras.images)
    assert '<a href="../visuals/">' in page


def test_pictures_that_are_gone_or_of_another_run_are_left_out(drawn: JobConfig) -> None:
    plan = load_plan(drawn.output)
    storage.delete_many([e.uri for e in storage.list_objects(storage.join(drawn.output, "visuals", "thumbnails"))])
    assert not any(image.thumbnail for image in read_extras(drawn.output, plan).images)
    other = plan.model_copy(update={"run_id": "another"})
    assert read_extras(drawn.output, other).images == ()
    put(drawn, "visuals/index.json", b"{")
    assert read_extras(drawn.output, plan).images == ()


def test_no_more_is_embedded_than_there_is_room_for(drawn: JobConfig) -> None:
    for name, size in (("a", 60), ("b", 30), ("c", 30)):
        put(drawn, f"visuals/{name}", b"x" * size)
    paths = ["visuals/a", None, "visuals/gone", "visuals/b", "visuals/c"]
    assert [len(data) for data in read_within(drawn.output, paths, max_bytes=95)] == [60, 0, 0, 30, 0]
    assert [len(data) for data in read_within(drawn.output, paths, max_bytes=10)] == [0] * 5


def test_only_so_many_images_are_shown(drawn: JobConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_sources, "MAX_IMAGES", 2)
    extras = read_extras(drawn.output, load_plan(drawn.output))
    assert (len(extras.images), extras.num_drawn > 2) == (2, True)


def test_a_comparison_with_labels_is_shown_once_it_is_there(drawn: JobConfig) -> None:
    plan = load_plan(drawn.output)
    assert "Against labels" not in page_of(drawn)
    put(drawn, "report/evaluation.json", json.dumps({**EVALUATION, "run_id": plan.run_id}).encode())
    assert write_page_again(drawn.output, plan)
    assert "Against labels" in page_of(drawn)


@pytest.mark.parametrize("text", [b"", b"[]", b'{"run_id": 1}'], ids=["no JSON", "a list", "another version"])
def test_a_damaged_comparison_is_left_out(drawn: JobConfig, text: bytes) -> None:
    put(drawn, "report/evaluation.json", text)
    assert read_extras(drawn.output, load_plan(drawn.output)).evaluation is None


def test_explanations_are_shown_as_small_jpegs(drawn: JobConfig) -> None:
    columns = ("rank", "image_id", "uri", "picture", "method", "layer", "class_id", "label", "score", "error")
    rows = [
        (1, "=1+1.jpg", "", "explanations/x.png", "gradcam", "features.3", 0, "red", 0.5, ""),
        (2, "failed.jpg", "", None, None, None, None, None, None, "cannot be read"),
    ]
    put(drawn, "report/explanations.csv", write_csv(columns, rows))
    written = BytesIO()
    Image.new("RGBA", (900, 300)).save(written, "PNG")
    put(drawn, "explanations/x.png", written.getvalue())
    (shown,) = read_extras(drawn.output, load_plan(drawn.output)).explanations
    assert (shown.image_id, shown.label, shown.note) == ("=1+1.jpg", "red", "gradcam at features.3")
    assert (shown.thumbnail[:2], shown.thumbnail_hw) == (b"\xff\xd8", (140, 420))
    assert small_jpeg(written.getvalue())[1] == (140, 420)


@pytest.mark.parametrize("text", ["", "a", "'a", "=1", "'=1", "''=1", "@x"])
def test_cells_of_spreadsheets_are_read_back(text: str) -> None:
    if not text.startswith("'="):  # written as it is, so that it cannot be told from one that was made harmless
        assert cell_text(csv_cell(text)) == text


def test_a_page_is_written_again_only_where_there_is_one(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    plan = plan_job(config, classifier)
    assert not write_page_again(config.output, plan)
    assert not Path(config.output.removeprefix("file://"), "report").exists()


def test_decisions_are_what_makes_answers_of_scores() -> None:
    assert decisions_of(model_spec()) == {"calibration": {}}
    assert decisions_of(model_spec({"calibration": {"temperature": 2.0}}))["calibration"] == {"temperature": 2.0}
    several = model_spec({"task": "multilabel", "output": {"activation": "sigmoid", "threshold": 0.25}})
    assert decisions_of(several) == {"calibration": {}, "threshold": 0.25}
    judged = model_spec({"quality": {"rules": [{"when": {"score": {"below": 0.5}}, "verdict": "review"}]}})
    assert decisions_of(judged)["quality"]["rules"][0]["verdict"] == "review"
