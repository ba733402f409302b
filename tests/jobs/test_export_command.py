from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from jobs.annotations import check_annotations
from jobs.export_command import export_answers
from jobs.finalize import finalize
from jobs.plan import load_plan
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import finish_job


def test_the_command_says_what_it_wrote(
    make_job: MakeJob, segmenter: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = make_job(model=segmenter.uri)
    finish_job(config, segmenter)
    capsys.readouterr()
    export_answers(config.output, ["coco", "yolo", "csv"], to=str(tmp_path / "to"))
    said = capsys.readouterr().out
    assert "7 images" in said
    assert "3 left out, which have no answer" in said
    assert "7 files of single images" in said
    assert (tmp_path / "to" / "coco" / "instances.json").is_file()
    assert len((tmp_path / "to" / "csv" / "rows.csv").read_text().splitlines()) == 11
    export_answers(config.output, ["coco"], to=str(tmp_path / "to"), as_json=True)
    assert json.loads(capsys.readouterr().out)["num_left_out"] == 3


def test_annotations_come_with_the_run(make_job: MakeJob, segmenter: ModelPackage, tmp_path: Path) -> None:
    config = make_job(model=segmenter.uri, results__masks="rle", results__annotations="[coco, labelstudio]")
    finish_job(config, segmenter)
    folder = tmp_path / "out" / "annotations"
    assert {path.name for path in folder.iterdir()} == {"coco", "labelstudio"}
    before = (folder / "coco" / "instances.json").stat().st_mtime_ns
    finalize(config.output, load_plan(config.output))
    assert (folder / "coco" / "instances.json").stat().st_mtime_ns == before


def test_the_page_links_to_what_was_exported_later(make_job: MakeJob, segmenter: ModelPackage, tmp_path: Path) -> None:
    config = make_job(model=segmenter.uri)
    finish_job(config, segmenter)
    page = tmp_path / "out" / "report" / "report.html"
    before = page.read_text()
    export_answers(config.output, ["coco"], to=str(tmp_path / "to"))
    assert page.read_text() == before
    export_answers(config.output, ["yolo", "coco"])
    assert 'href="../annotations/"' not in before
    assert 'href="../annotations/"' in page.read_text()
    assert "coco, yolo" in page.read_text()
    finalize(config.output, load_plan(config.output))
    assert "coco, yolo" in page.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"formats": ["coco"]}, "--format: must have a place for classification, got coco", id="task"),
        pytest.param({"shape": "circles"}, "--shape: must be polygons or rle, got 'circles'", id="shape"),
        pytest.param({"min_score": 2.0}, "--min-score: must lie between 0 and 1, got 2", id="score"),
        pytest.param({"to": "https://host/x"}, "must be a local folder or s3://", id="place"),
    ],
)
def test_wrong_usage_is_refused(
    make_job: MakeJob, classifier: ModelPackage, options: dict[str, object], message: str
) -> None:
    config = make_job()
    finish_job(config, classifier)
    with pytest.raises(ConfigError, match=message):
        export_answers(config.output, **{"formats": ["jsonl"], **options})  # type: ignore[arg-type]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="must hold a run"):
        export_answers(str(tmp_path), ["csv"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"results__annotations": "[voc]"}, "place for classification, got voc", id="task"),
        pytest.param({"results__masks": "none"}, "must go with masks, which annotations are made of", id="no-masks"),
    ],
)
def test_annotations_that_cannot_be_are_refused_before_the_work(
    make_job: MakeJob, classifier: ModelPackage, segmenter: ModelPackage, changes: dict[str, str], message: str
) -> None:
    config = make_job(**{"results__annotations": "[coco]", **changes})
    with pytest.raises(ConfigError, match=message):
        check_annotations(config.results, segmenter if "results__masks" in changes else classifier)


def test_the_command_is_there() -> None:
    from jobs.cli import register

    app = typer.Typer()
    register(app)
    assert "export" in {command.name for command in app.registered_commands}
