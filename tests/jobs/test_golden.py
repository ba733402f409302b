from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from inference_core.engine_choice import EngineChoice
from inference_core.errors import ConfigError, ModelError
from inference_core.golden.read import GoldenImage
from inference_core.golden.seal import seal
from inference_core.golden.verify import with_resampler
from inference_core.models.package import ModelPackage, load_package
from inference_core.runner import Runner
from jobs import golden
from jobs.attempts import AttemptRecord, note_attempt
from jobs.cli import show_state
from jobs.driver import check_package
from jobs.finalize import finalize
from jobs.found_state import find_state
from jobs.golden import GoldenNote, check_preparing, check_worker, describe_golden, prove_golden
from jobs.identity import identity_of
from jobs.listing import Listing
from jobs.plan import Plan, find_plan, make_plan, read_plan
from jobs.prepare_worker import prepare_worker
from jobs.stages import make_runner
from jobs.told_stages import stage_settings
from tests.drawn_images import png_bytes
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import read_rows, run_shards, worker_settings
from tests.sealed_packages import edit_record, golden_folder, shift_outputs
from tests.tiny_models import tiny_classifier

IMAGES = [GoldenImage(name=f"{index}.png", data=png_bytes(index, image_hw=(30, 40))) for index in range(3)]


@pytest.fixture
def sealed(tmp_path: Path) -> ModelPackage:
    """A package of its own, sealed with three images."""
    package = load_package(str(tiny_classifier(tmp_path / "sealed")))
    seal(package, IMAGES)
    return package


@pytest.fixture
def make_sealed_job(make_job: MakeJob, sealed: ModelPackage) -> MakeJob:
    return lambda **changes: make_job(model=sealed.uri, **changes)


def runner_of(package: ModelPackage, job: Any) -> Runner:
    return check_package(package, job.execution)


def prove(job: Any, package: ModelPackage, choice: EngineChoice | None = None) -> GoldenNote:
    return prove_golden(job, package, runner_of(package, job), choice)


def chosen(engine: Any, precision: Any = "fp32") -> EngineChoice:
    return EngineChoice(engine=engine, precision=precision, reason="faster", warnings=(), table=())


def test_a_package_that_was_never_sealed_is_noted(make_job: MakeJob, classifier: ModelPackage) -> None:
    assert prove(make_job(), classifier) == GoldenNote(state="not sealed", line="not sealed")


def test_golden_images_that_pass_are_noted(make_sealed_job: MakeJob, sealed: ModelPackage) -> None:
    note = prove(make_sealed_job(), sealed)
    assert (note.state, note.line) == ("passed", "3 images, largest difference 0, passed on onnxruntime fp32")
    assert note.deviation is not None
    assert note.deviation.passed


def test_golden_images_that_fail_refuse_the_run_with_the_figures(
    make_sealed_job: MakeJob, sealed: ModelPackage
) -> None:
    shift_outputs(sealed, by=0.5)
    edit_record(sealed, lambda record: record["versions"].update(pillow="1.0"))
    with pytest.raises(ModelError) as refused:
        prove(make_sealed_job(), sealed)
    first, head, row, *others = str(refused.value).splitlines()
    assert first == f"golden images of {sealed.uri} must give what was sealed, got other values:"
    assert head.split()[:2] == ["engine", "precision"]
    assert row.split()[-1] == "FAIL"
    assert others[0].strip().startswith("33.3 % of raw outputs are off, by up to 0.5; allowed is")
    assert others[1].strip().startswith("pillow: sealed with 1.0, here ")
    assert others[-3].strip() == f"find out what changed: millrace models verify {sealed.uri}"
    assert others[-1].strip() == "to run all the same and record it: --set golden=record"


def test_a_failure_can_be_recorded(make_sealed_job: MakeJob, sealed: ModelPackage) -> None:
    shift_outputs(sealed, by=0.5)
    note = prove(make_sealed_job(golden="record"), sealed)
    assert note.state == "failed"
    assert note.line.startswith("3 images, failed on onnxruntime fp32: 33.3 % of raw outputs are off, by up to 0.5")
    assert describe_golden(note) == [f"warning: golden: {note.line}"]


def damage(package: ModelPackage) -> None:
    next((golden_folder(package) / "images").iterdir()).write_bytes(b"")


def change_digest(package: ModelPackage) -> None:
    edit_record(package, lambda record: record.update(model_digest="0" * 64))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(damage, "must be as they were sealed, got another images/", id="damaged"),
        pytest.param(change_digest, "must be sealed for digest", id="another-package"),
    ],
)
def test_golden_images_that_prove_nothing_refuse_the_run_too(
    make_sealed_job: MakeJob, sealed: ModelPackage, spoil: Any, message: str
) -> None:
    spoil(sealed)
    with pytest.raises(ModelError, match=rf"(?s){message}.*\nto run all the same and record it: --set golden=record"):
        prove(make_sealed_job(), sealed)
    note = prove(make_sealed_job(golden="record"), sealed)
    assert (note.state, note.deviation) == ("failed", None)
    assert message in note.line
    assert "\n" not in note.line


def test_skipped_they_are_not_even_read(make_sealed_job: MakeJob, sealed: ModelPackage) -> None:
    damage(sealed)
    assert prove(make_sealed_job(golden="skip"), sealed) == GoldenNote(state="skipped", line="not checked, as asked")


def test_the_engine_that_was_chosen_is_the_one_that_is_checked(make_sealed_job: MakeJob, sealed: ModelPackage) -> None:
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    note = prove(make_sealed_job(execution__engine="auto"), sealed, chosen("openvino"))
    assert note.line.endswith("passed on openvino fp32")


def test_an_engine_that_is_not_here_is_left_to_the_workers(make_sealed_job: MakeJob, sealed: ModelPackage) -> None:
    note = prove(make_sealed_job(execution__engine="auto"), sealed, chosen("tensorrt", "fp16"))
    assert note.line.endswith("passed on onnxruntime fp32")


def test_of_a_slow_model_some_are_checked(
    make_sealed_job: MakeJob, sealed: ModelPackage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(golden, "MAX_REPLAY_S", 0.0)
    assert prove(make_sealed_job(), sealed).line.startswith("1 of 3 images, ")


def test_where_workers_are_elsewhere_the_line_says_what_was_checked(
    make_sealed_job: MakeJob, sealed: ModelPackage
) -> None:
    note = prove(make_sealed_job(execution__address="ray://head:10001"), sealed)
    assert note.line.endswith("passed on onnxruntime fp32 on this machine's CPU; workers check it on theirs")


@pytest.mark.parametrize("engine", ["default", "auto"])
def test_a_new_plan_keeps_the_note(make_sealed_job: MakeJob, sealed: ModelPackage, engine: str) -> None:
    job = make_sealed_job(execution__engine=engine)
    runner = runner_of(sealed, job)
    asked: list[EngineChoice | None] = []

    def prove_it(choice: EngineChoice | None) -> GoldenNote:
        asked.append(choice)
        return prove_golden(job, sealed, runner, choice)

    made = make_plan(job, sealed, prove=prove_it)
    assert asked == [made.engine_choice]
    assert made.golden is not None
    assert made.golden.state == "passed"
    assert read_plan(job.output) == made


def test_a_refused_run_leaves_nothing_behind(make_sealed_job: MakeJob, sealed: ModelPackage, tmp_path: Path) -> None:
    shift_outputs(sealed, by=0.5)
    job = make_sealed_job()
    with pytest.raises(ModelError, match="must give what was sealed"):
        make_plan(job, sealed, prove=lambda choice: prove(job, sealed, choice))
    assert not (tmp_path / "out").exists()


def test_the_setting_may_change_when_a_run_is_resumed(make_sealed_job: MakeJob, sealed: ModelPackage) -> None:
    made = make_plan(make_sealed_job(), sealed)
    assert find_plan(make_sealed_job(golden="record"), sealed) == made
    identities = [identity_of(make_sealed_job(golden=value), model_digest="x") for value in ("check", "skip")]
    assert identities[0] == identities[1]


def test_another_value_of_the_setting_is_refused(make_job: MakeJob) -> None:
    with pytest.raises(ConfigError, match="golden: must be 'check', 'record' or 'skip', got 'off'"):
        make_job(golden="'off'")


def plan_with(job: Any, package: ModelPackage) -> Plan:
    return make_plan(job, package, prove=lambda choice: prove(job, package, choice))


def attempt(line: str, started_s: float) -> AttemptRecord:
    return AttemptRecord(
        started_s=started_s, layout="whole", layout_reason="", actors=1, num_cores=1, versions={}, golden=line
    )


def test_the_report_says_what_became_of_them(make_sealed_job: MakeJob, sealed: ModelPackage, tmp_path: Path) -> None:
    job = make_sealed_job()
    plan = plan_with(job, sealed)
    run_shards(job, sealed, plan)
    assert plan.golden is not None
    for number, line in enumerate([plan.golden.line, "not checked, as asked"]):
        note_attempt(job.output, attempt(line, float(number)))
    outcome = finalize(job.output, plan)
    expected = "3 images, largest difference 0, passed on onnxruntime fp32; not checked, as asked"
    assert outcome.facts.golden == expected
    report = tmp_path / "out" / "report"
    assert json.loads((report / "summary.json").read_text())["run"]["golden"] == expected
    assert f"<dt>Golden images</dt><dd>{expected}</dd>" in (report / "report.html").read_text()


def test_the_report_of_a_run_of_an_earlier_version_says_nothing(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path
) -> None:
    plan = make_plan(make_job(), classifier)
    run_shards(make_job(), classifier, plan)
    assert finalize(make_job().output, plan).facts.golden == ""
    assert "Golden images" not in (tmp_path / "out" / "report" / "report.html").read_text()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_the_console_says_it_in_a_line(
    make_sealed_job: MakeJob, sealed: ModelPackage, capsys: pytest.CaptureFixture[str], log_format: Any
) -> None:
    job = make_sealed_job()
    plan = plan_with(job, sealed)
    state = replace(find_state(job.output, plan, Listing(), is_new=True), golden=plan.golden)
    show_state(state, console=Console(stderr=True, soft_wrap=True), log_format=log_format)
    err = capsys.readouterr().err
    line = "3 images, largest difference 0, passed on onnxruntime fp32"
    if log_format == "text":
        assert f"\ngolden: {line}\n" in err
    else:
        assert json.loads(err)["golden"]["line"] == line


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, False, id="this-machine"),
        pytest.param({"execution__address": "ray://head:10001"}, True, id="cluster"),
        pytest.param({"execution__compile": "true", "execution__engine": "torch"}, True, id="compiled"),
        pytest.param({"execution__address": "ray://head:10001", "golden": "record"}, False, id="record"),
        pytest.param({"execution__address": "ray://head:10001", "golden": "skip"}, False, id="skip"),
    ],
)
def test_workers_check_where_the_driver_cannot(
    make_job: MakeJob, classifier: ModelPackage, changes: dict[str, str], expected: bool
) -> None:
    plan = make_plan(make_job(), classifier)
    assert stage_settings(make_job(**changes), classifier, plan, Listing()).checks_golden is expected


def test_a_worker_that_answers_otherwise_stops(make_sealed_job: MakeJob, sealed: ModelPackage) -> None:
    job = make_sealed_job()
    settings = replace(worker_settings(job, sealed, make_plan(job, sealed)), checks_golden=True)
    assert make_runner(settings).engine_facts.engine == "onnxruntime"
    prepare_worker(settings)
    shift_outputs(sealed, by=0.5)
    with pytest.raises(ModelError, match=r"on every worker, got 3 images, failed on .*mend that machine, or run"):
        make_runner(settings)
    prepare_worker.cache_clear()
    prepare_worker(settings)  # which prepares as it should
    run_shards(job, sealed, make_plan(job, sealed))  # which this machine's workers do unchecked
    assert sum(row["status"] == "ok" for row in read_rows(job.output)) == 7


def test_a_worker_that_prepares_otherwise_stops(make_sealed_job: MakeJob, sealed: ModelPackage) -> None:
    seal(with_resampler(sealed, "opencv"), IMAGES, force=True)  # as a machine with other libraries
    edit_record(sealed, lambda record: record["versions"].update(pillow="1.0"))
    with pytest.raises(ModelError, match=r"prepared alike on every worker, got other pixels \(pillow: sealed with 1"):
        check_preparing(sealed)
    job = make_sealed_job()
    settings = replace(worker_settings(job, sealed, make_plan(job, sealed)), checks_golden=True)
    with pytest.raises(ModelError, match="prepared alike on every worker"):
        prepare_worker(settings)


def test_workers_of_a_package_that_was_never_sealed_check_nothing(make_job: MakeJob, classifier: ModelPackage) -> None:
    check_preparing(classifier)
    check_worker(classifier, runner_of(classifier, make_job()))
