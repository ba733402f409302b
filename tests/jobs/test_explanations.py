from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from PIL import Image

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from inference_core.validation import build_settings
from jobs.cli import finalize_run
from jobs.config import JobConfig
from jobs.explanations import asked_before, check_explain, class_of, explain_review
from jobs.finalize_again import explained_again
from jobs.progress import Counter, LineProgress, RunProgress
from jobs.retry import retry
from jobs.retry_plan import RetryPlan
from jobs.review import read_review
from tests.explained_nets import explained_package
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import finish_job, plan_job


def table_of(output: Path) -> list[dict[str, str]]:
    with (output / "report" / "explanations.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_review_queue_is_explained_once(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job(explain={"images": "review", "max_images": 3})
    output, said = tmp_path / "out", []
    finish_job(config, classifier)
    assert explain_review(config, classifier, say=said.append) == 3
    rows = table_of(output)
    assert [row["image_id"] for row in rows] == [row.image_id for row in read_review(config.output)[:3]]
    assert {row["method"] for row in rows} == {"occlusion"}  # its format is onnx
    for row in rows:
        with Image.open(output / row["picture"]) as picture:
            assert picture.width > 1
        assert row["picture"] == f"explanations/{row['image_id']}.png"
        assert not row["error"]
    again = (output / rows[0]["picture"]).read_bytes()
    assert explain_review(config, classifier, say=said.append) is None
    assert said == ["explains 3 images of the review queue"]
    assert (output / rows[0]["picture"]).read_bytes() == again
    more = make_job(explain={"images": "review", "max_images": 4})
    assert explain_review(more, classifier, say=said.append) == 4


def test_an_image_that_has_gone_is_a_row_with_its_error(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path
) -> None:
    config = make_job(explain="review")
    finish_job(config, classifier)
    first = read_review(config.output)[0]
    Path(first.uri.removeprefix("file://")).unlink()
    explain_review(config, classifier, say=lambda message: None)
    row = table_of(tmp_path / "out")[0]
    assert row["image_id"] == first.image_id
    assert not row["picture"]
    assert row["error"]


def test_a_finished_run_is_explained_anew(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job(max_error_frac=1)
    finish_job(config, classifier)
    with pytest.raises(typer.Exit) as caught:
        finalize_run(str(tmp_path / "out"), ["explain.images=review", "explain.max_images=2"], log_format="text")
    assert caught.value.exit_code == 0
    assert [row["image_id"] for row in table_of(tmp_path / "out")] == [
        row.image_id for row in read_review(config.output)[:2]
    ]


def test_a_retry_explains_as_the_run_does(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job(explain='{"images": "review", "max_images": 2}')
    finish_job(config, classifier)
    said: list[str] = []
    retry(config.output, statuses=["oom"], assignments=[], show=shown, notice=said.append)
    assert len(table_of(tmp_path / "out")) == 2
    assert said == ["explains 2 images of the review queue"]


def shown(chosen: RetryPlan, num_left: int) -> RunProgress:
    assert not num_left
    return LineProgress(Counter(total=0, done=0), log_format="text")


def test_another_model_does_not_explain_a_run(
    make_job: MakeJob, classifier: ModelPackage, other_classifier: ModelPackage
) -> None:
    config = make_job(explain="review")
    plan = plan_job(config, classifier)
    assert explained_again(config, plan, must_explain=True, say=pytest.fail) == classifier
    other = config.model_copy(update={"model": other_classifier.uri})
    said: list[str] = []
    with pytest.raises(ConfigError, match=r"model: must be the run's package \w{12}, got \w{12} at .*; name the one"):
        explained_again(other, plan, must_explain=True, say=said.append)
    assert explained_again(other, plan, must_explain=False, say=said.append) is None
    assert "explanations stay as they are" in said[0]


def test_pictures_that_the_table_no_longer_names_go(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path
) -> None:
    config = make_job(explain={"images": "review", "max_images": 3})
    finish_job(config, classifier)
    explain_review(config, classifier, say=lambda message: None)
    fewer = make_job(explain={"images": "review", "max_images": 2})
    assert explain_review(fewer, classifier, say=lambda message: None) == 2
    named = {row["picture"] for row in table_of(tmp_path / "out")}
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out" / "explanations").rglob("*.png")}
    assert found == named
    assert len(named) == 2


def test_what_was_asked_for_afterwards_stays_asked_for(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path
) -> None:
    config = make_job(max_error_frac=1)
    assert asked_before(config) == config
    finish_job(config, classifier)
    with pytest.raises(typer.Exit):
        finalize_run(str(tmp_path / "out"), ["explain.images=review", "explain.max_images=2"], log_format="text")
    assert asked_before(config).explain.max_images == 2
    (tmp_path / "out" / "report" / "explanations.csv").unlink()
    (tmp_path / "out" / "report" / "explanations.json").write_bytes(
        (tmp_path / "out" / "report" / "explanations.json").read_bytes().replace(b'"rank":2', b'"rank":7')
    )
    said: list[str] = []
    retry(config.output, statuses=["oom"], assignments=[], show=shown, notice=said.append)  # of another queue
    assert said == ["explains 2 images of the review queue"]
    assert [int(row["rank"]) for row in table_of(tmp_path / "out")] == [1, 2]


def test_the_class_of_the_row_is_explained(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job(explain={"images": "review", "max_images": 3})
    finish_job(config, classifier)
    explain_review(config, classifier, say=lambda message: None)
    queue = read_review(config.output)[:3]
    assert [row["label"] for row in table_of(tmp_path / "out")] == [row.label for row in queue]
    twice = classifier.spec.model_copy(update={"classes": ("red", "red", "blue")})
    assert class_of(queue[0], classifier) == queue[0].label
    assert class_of(replace(queue[0], label="red"), replace(classifier, spec=twice)) == ""


def test_an_empty_queue_leaves_an_empty_table(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job(explain={"images": "review", "max_images": 2})
    finish_job(config, classifier)
    explain_review(config, classifier, say=lambda message: None)
    summary = tmp_path / "out" / "report" / "summary.json"
    summary.write_text(json.dumps(json.loads(summary.read_text()) | {"review": []}))
    said: list[str] = []
    assert explain_review(config, classifier, say=said.append) == 0
    assert (said, table_of(tmp_path / "out")) == ([], [])
    assert not list((tmp_path / "out" / "explanations").rglob("*.png"))


def test_off_does_nothing(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> None:
    config = make_job()
    finish_job(config, classifier)
    assert explain_review(config, classifier, say=lambda message: None) is None
    assert not (tmp_path / "out" / "explanations").exists()
    assert not (tmp_path / "out" / "report" / "explanations.csv").exists()


@pytest.mark.parametrize(
    ("explain", "message"),
    [
        pytest.param({"images": "review", "method": "gradcam"}, "gradcam needs a model that torch runs", id="method"),
        pytest.param(
            {"images": "review", "layer": "x"}, "layer: must go with method gradcam, got occlusion", id="layer"
        ),
    ],
)
def test_what_the_model_does_not_allow_is_said_before_the_work(
    explain: dict[str, Any], message: str, make_job: MakeJob, classifier: ModelPackage
) -> None:
    with pytest.raises(ConfigError, match=message):
        check_explain(make_job(explain=explain), classifier)


def test_an_embedding_is_refused_only_where_it_is_asked_for(make_job: MakeJob, tmp_path: Path) -> None:
    package = explained_package(tmp_path / "features", "deep", task="embedding", classes=[])
    check_explain(make_job(), package)
    with pytest.raises(ConfigError, match="got embedding, which names no class"):
        check_explain(make_job(explain="review"), package)


@pytest.mark.parametrize(
    ("value", "images"),
    [("review", "review"), ("off", "off"), (False, "off"), ({"images": False}, "off"), ({}, "off")],
    ids=["word", "off", "off as YAML reads it", "off within", "nothing"],
)
def test_short_forms(value: Any, images: str) -> None:
    config = build_settings(JobConfig, {"model": "m", "input": ["i"], "output": "o", "explain": value}, origin="test")
    assert config.explain.images == images


def test_more_images_than_people_look_at_are_refused() -> None:
    data = {"model": "m", "input": ["i"], "output": "o", "explain": {"images": "review", "max_images": 501}}
    with pytest.raises(ConfigError, match=r"explain.max_images: must be less than or equal to 500, got 501"):
        build_settings(JobConfig, data, origin="test")
