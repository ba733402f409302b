from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console

from inference_core.models.package import ModelPackage
from jobs.attempts import AttemptRecord, note_attempt
from jobs.cli import finalize_run, print_settings, read_log_format, report_outcome, show_state
from jobs.finalize import Outcome, finalize
from jobs.found_state import find_state
from jobs.outcome_lines import outcome_lines
from jobs.progress import LineProgress
from jobs.report.facts import RunCost
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import list_job, plan_job, run_shards


@pytest.fixture
def outcome(make_job: MakeJob, classifier: ModelPackage) -> Outcome:
    """Ten images, three of them bad."""
    config = make_job()
    plan = plan_job(config, classifier)
    attempt = AttemptRecord(
        started_s=0.0, layout="whole", layout_reason="asked [for]", actors=1, num_cores=1, versions={}
    )
    note_attempt(config.output, attempt)
    run_shards(config, classifier, plan)
    return finalize(config.output, plan)


def lines_on_console(width: int = 80) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, width=width, soft_wrap=True), written


@pytest.mark.parametrize("text", ["text", "json"])
def test_a_log_format_is_read(text: str) -> None:
    assert read_log_format(text) == text


@pytest.mark.parametrize("text", ["", "JSON", "xml"])
def test_another_log_format_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"must be text or json, got {text!r}"):
        read_log_format(text)


@pytest.mark.parametrize(("max_error_frac", "code"), [(0.0, 3), (0.29, 3), (0.3, 0), (1.0, 0)])
def test_the_exit_code_tells_whether_too_many_images_failed(
    outcome: Outcome, capsys: pytest.CaptureFixture[str], max_error_frac: float, code: int
) -> None:
    with pytest.raises(typer.Exit) as caught:
        report_outcome(outcome, max_error_frac=max_error_frac, log_format="text")
    assert caught.value.exit_code == code
    out, err = capsys.readouterr()
    assert "10 planned = 7 ok + 3 failed + 0 skipped" in out
    warned = f"done, but 3 of 10 images have no result, more than max_error_frac {max_error_frac:g}"
    assert (warned in err) == (code == 3)


def test_the_path_of_the_report_is_printed_whole(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        report_outcome(outcome, max_error_frac=1.0, log_format="text")
    assert f"{outcome.report_uri}/report.html" in capsys.readouterr().out


def test_the_end_says_where_to_look_next(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        report_outcome(outcome, max_error_frac=1.0, log_format="text")
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert told["review"] == f"{outcome.report_uri}/review.csv: the 7 lowest scores"
    assert told["errors"] == f"{outcome.report_uri}/errors.csv: 3 images without an answer"
    output = outcome.report_uri.removesuffix("/report")
    assert told["retry"].startswith(f"millrace retry {output} --status decode_error")


def test_the_end_of_a_run_without_failures_asks_for_nothing(outcome: Outcome) -> None:
    status = {**dict.fromkeys(outcome.summary.status, 0), "ok": 10}
    clean = replace(outcome, summary=replace(outcome.summary, status=status))
    names = [line.split()[0] for line in outcome_lines(clean)]
    assert {"errors", "retry", "cost"}.isdisjoint(names)
    priced = replace(outcome.facts, cost=RunCost(core_hours=2.5, gpu_hours=0.0, price=1.25))
    assert "cost            1.25 (2.5 core hours)" in outcome_lines(replace(outcome, facts=priced))


def test_the_end_as_json(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        report_outcome(outcome, max_error_frac=0.5, log_format="json")
    state = json.loads(capsys.readouterr().out)
    assert (state["event"], state["exit_code"], state["planned"], state["ok"], state["failed"]) == ("done", 0, 10, 7, 3)
    assert state["report"] == outcome.report_uri


def test_settings_are_printed_as_yaml_that_can_be_read_again(make_job: MakeJob) -> None:
    import yaml

    console, written = lines_on_console()
    settings = make_job()
    print_settings(settings, console=console, log_format="text")
    head, _, rest = written.getvalue().partition("\n")
    assert head == "settings"
    assert yaml.safe_load(rest) == settings.model_dump(mode="json")


@pytest.mark.parametrize("name", ["a[old]b", "a[/b]c"])
def test_brackets_in_a_path_are_printed(make_job: MakeJob, name: str) -> None:
    console, written = lines_on_console()
    print_settings(make_job(output=f"/tmp/{name}"), console=console, log_format="text")
    assert name in written.getvalue()


def test_brackets_in_the_end_are_printed(outcome: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        report_outcome(outcome, max_error_frac=1.0, log_format="text")
    assert "asked [for]" in capsys.readouterr().out


def test_settings_as_json(make_job: MakeJob, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_job()
    print_settings(settings, console=Console(), log_format="json")
    state = json.loads(capsys.readouterr().err)
    assert state.pop("event") == "settings"
    assert state.pop("time").endswith("+00:00")
    assert state == settings.model_dump(mode="json")


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_resumed_run_says_what_is_left(
    make_job: MakeJob, classifier: ModelPackage, capsys: pytest.CaptureFixture[str], log_format: Any
) -> None:
    config = make_job(execution__rows_per_shard=4)
    plan = plan_job(config, classifier)
    run_shards(config, classifier, plan, [0])
    console, written = lines_on_console(width=200)
    state = find_state(config.output, plan, list_job(config), is_new=False)
    assert isinstance(show_state(state, console=console, log_format=log_format), LineProgress)
    said = written.getvalue() + capsys.readouterr().err
    if log_format == "json":
        facts = json.loads(said)
        assert (facts["event"], facts["images"], facts["shards"], facts["shards_left"]) == ("resume", 10, 3, 2)
    else:
        assert said.startswith("resuming, 4 images done: 10 images (")
        assert said.endswith("in 3 shards, 2 to do\n")


def test_finalize_writes_the_report_again(outcome: Outcome, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "out" / "report" / "summary.json"
    before = report.read_bytes()
    report.unlink()
    with pytest.raises(typer.Exit) as caught:
        finalize_run(str(tmp_path / "out"), log_format="json")
    assert caught.value.exit_code == 3
    assert report.read_bytes() == before
    assert json.loads(capsys.readouterr().out)["exit_code"] == 3
