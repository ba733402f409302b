from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from inference_core.errors import JobError
from inference_core.models.package import load_package
from jobs.config import JobConfig
from jobs.report.review_rows import ReviewRow, review_rows
from jobs.results import read_results
from jobs.review import read_review
from jobs.settings import read_settings
from tests.drawn_images import draw_folder
from tests.jobs.local_run import finish_job
from tests.tiny_models import tiny_classifier

RULES = [
    {"when": {"score": {"below": 0.9}}, "verdict": "review", "reason": "=unsure"},
    {"when": {"score": {"below": 0.5}}, "verdict": "reject"},
]


def run(folder: Path, **facts: Any) -> tuple[str, list[ReviewRow]]:
    """The output of a run of 30 images, and its queue as the report has it."""
    package = tiny_classifier(folder / "package")
    spec = yaml.safe_load((package / "model.yaml").read_text())
    (package / "model.yaml").write_text(yaml.safe_dump({**spec, **facts}))
    images = draw_folder(folder / "images", 30, with_bad=True)
    flags = {"model": str(package), "input": str(images), "output": str(folder / "out")}
    config: JobConfig = read_settings(None, flags=flags, assignments=["execution.rows_per_shard=7"])
    outcome = finish_job(config, load_package(str(package)))
    return config.output, review_rows(outcome.summary)


def test_the_queue_of_a_run_is_read_back_and_is_the_first_of_all_its_shards(tmp_path: Path) -> None:
    output, rows = run(tmp_path, quality={"rules": RULES, "review_size": 5})
    assert read_review(output) == rows
    found = [row for row in read_results(output).to_pylist() if row["verdict"] in ("review", "reject")]
    first = sorted(found, key=lambda row: (row["verdict"] == "reject", -row["priority"], row["image_id"]))[:5]
    assert [(row.rank, row.image_id) for row in rows] == [(rank, one["image_id"]) for rank, one in enumerate(first, 1)]
    assert len(found) > 5
    assert [(row.verdict, list(row.reasons)) for row in rows] == [(one["verdict"], one["reasons"]) for one in first]
    assert all("=unsure" in row.reasons for row in rows)  # exact, where the CSV makes it harmless


def test_without_rules_the_queue_is_of_the_lowest_scores(tmp_path: Path) -> None:
    output, rows = run(tmp_path)
    assert read_review(output) == rows
    assert {row.verdict for row in rows} == {""}
    scores = [row.score for row in rows]
    assert scores == sorted(scores)  # type: ignore[type-var]


def test_a_run_without_a_report_or_with_a_damaged_one_has_no_queue(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="must exist, got nothing there; let the run finish first"):
        read_review(str(tmp_path))
    (tmp_path / "report").mkdir()
    for content in ("{", "[]", "{}", '{"review": [{"image_id": 1}]}'):
        (tmp_path / "report" / "summary.json").write_text(content)
        with pytest.raises(JobError, match="must hold a review queue, got none"):
            read_review(str(tmp_path))
