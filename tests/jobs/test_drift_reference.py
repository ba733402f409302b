from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from jobs.drift_reference import KEPT_FILE, find_reference, keep_reference, kept_reference, read_reference
from jobs.finalize import finalize
from tests.drawn_images import draw_folder
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import finish_job, plan_job


@pytest.fixture
def earlier(make_job: MakeJob, classifier: ModelPackage, tmp_path: Path) -> str:
    """The output of an earlier run over forty images."""
    images = draw_folder(tmp_path / "before", 40)
    config = make_job(input=str(images), output=str(tmp_path / "earlier"))
    finish_job(config, classifier)
    return config.output


def summary_of(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(output.removeprefix("file://")) / "report" / "summary.json").read_text())
    return found


@pytest.mark.parametrize("names_file", [False, True])
def test_a_run_is_held_to_an_earlier_one(
    make_job: MakeJob, classifier: ModelPackage, earlier: str, tmp_path: Path, names_file: bool
) -> None:
    reference = f"{earlier}/report/summary.json" if names_file else earlier
    config = make_job(input=str(draw_folder(tmp_path / "same", 40)), drift_reference=reference)
    plan = plan_job(config, classifier)
    keep_reference(config.output, find_reference(config, task=plan.task))
    assert find_reference(config, task=plan.task) is None  # kept already
    outcome = finish_job(config, classifier)
    assert outcome.facts.drift is not None
    assert outcome.facts.drift.warnings == ()
    block = summary_of(config.output)["drift"]
    assert block["reference_run_id"] == summary_of(earlier)["run"]["run_id"]
    assert set(block["quantities"]) == {"classes", "score", "entropy"}
    assert {row["psi"] for row in block["quantities"].values()} == {0.0}
    page = (tmp_path / "out" / "report" / "report.html").read_text()
    assert "Nothing drifted further than chance" in page
    # The end of the run does not depend on the earlier one's place any more.
    Path(earlier.removeprefix("file://")).rename(tmp_path / "elsewhere")
    assert finalize(config.output, plan).facts.drift == outcome.facts.drift


def test_other_images_drift(make_job: MakeJob, classifier: ModelPackage, earlier: str, tmp_path: Path) -> None:
    images = tmp_path / "red"
    for path in draw_folder(tmp_path / "many", 120).rglob("*.png"):
        if int(path.stem) % 3 == 0:
            images.mkdir(exist_ok=True)
            (images / path.name).write_bytes(path.read_bytes())
    config = make_job(input=str(images), drift_reference=earlier)
    plan = plan_job(config, classifier)
    keep_reference(config.output, find_reference(config, task=plan.task))
    outcome = finish_job(config, classifier)
    assert outcome.facts.drift is not None
    assert outcome.facts.drift.drifts["classes"].level == "large"
    assert outcome.facts.drift.warnings[0].startswith("classes drifted from the reference: large (PSI ")
    assert "<td>large</td>" in (tmp_path / "out" / "report" / "report.html").read_text()


def test_without_a_reference_there_is_no_drift(make_job: MakeJob, classifier: ModelPackage) -> None:
    config = make_job()
    assert find_reference(config, task="classification") is None
    keep_reference(config.output, None)
    outcome = finish_job(config, classifier)
    assert outcome.facts.drift is None
    assert "drift" not in summary_of(config.output)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "drift_reference: must be a summary.json of a run, got .* which is none"),
        ("no json", "must be a summary.json of a run"),
        ('{"task": "detection", "run": {"run_id": "x"}, "histograms": {}, "classes": []}', "must be of task classif"),
    ],
)
def test_something_else_is_no_reference(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_reference(f"file://{path}", task="classification")


def test_a_run_that_is_not_finished_is_no_reference(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"drift_reference: must be a finished run or its report/summary.json, got"):
        read_reference(f"file://{tmp_path}", task="classification")


def test_a_damaged_reference_is_told(tmp_path: Path) -> None:
    assert kept_reference(f"file://{tmp_path}") is None
    (tmp_path / KEPT_FILE).write_text("no json")
    with pytest.raises(ConfigError, match=r"must be as it was written, got .* delete it to go without"):
        kept_reference(f"file://{tmp_path}")
