"""What ``millrace evaluate`` prints and stores."""

from __future__ import annotations

import json
import sys
from typing import Any

from inference_core import storage
from inference_core.evaluation.findings import confusion_rows
from inference_core.evaluation.write_back import has_golden, write_fitted
from jobs.evaluation.evaluate import evaluate
from jobs.evaluation.fit import package_of
from jobs.evaluation.otsu import find_groups
from jobs.evaluation.request import EvaluateRequest
from jobs.evaluation.result import EvaluationResult
from jobs.evaluation.text import otsu_lines, result_lines
from jobs.finalize import REPORT
from jobs.json_events import finite
from jobs.page_again import write_page_again
from jobs.places import blamed_on
from jobs.plan import load_plan
from jobs.report.csv_files import write_csv
from jobs.stage_progress import Stages

OUTPUT = "evaluation"


def evaluate_and_show(request: EvaluateRequest, *, as_json: bool) -> None:
    """Evaluate, store what was found beside the run's report, print it, and write the package that is asked for."""
    result = evaluate(request)
    record: dict[str, Any] = finite(result.record())
    write_files(request.output, result, record)
    write_page_again(request.output, result.run.plan)
    show(result, record, as_json=as_json)
    if request.write is not None:
        write_package_copy(request, result, record, as_json=as_json)


def show(result: EvaluationResult, record: dict[str, Any], *, as_json: bool) -> None:
    """Write what was found, and warnings to the other stream."""
    for warning in result.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    if as_json:
        sys.stdout.write(json.dumps(record, allow_nan=False) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in result_lines(result)))
        sys.stdout.write(f"\nreport  {storage.join(result.run.output, REPORT, f'{OUTPUT}.json')}\n")


def write_files(uri: str, result: EvaluationResult, record: dict[str, Any]) -> None:
    """Store the evaluation beside the run's report."""
    files = {f"{OUTPUT}.json": (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()}
    rows = [dict(row) for row in result.findings.per_class]
    names = list(rows[0])
    files[f"{OUTPUT}_classes.csv"] = write_csv(names, ([row[name] for name in names] for row in rows))
    if result.findings.confusion is not None:
        pairs = confusion_rows(result.findings.confusion, result.run.plan.classes)
        columns = ("true", "answered", "count")
        files[f"{OUTPUT}_confusion.csv"] = write_csv(columns, ([pair[name] for name in columns] for pair in pairs))
    for name, content in files.items():
        storage.replace(storage.join(uri, REPORT, name), content)


def write_package_copy(
    request: EvaluateRequest, result: EvaluationResult, record: dict[str, Any], *, as_json: bool
) -> None:
    """Write the copy of the package, and say what has to be done with it."""
    assert request.write is not None, "only called where it is asked for"
    assert result.fit is not None, "it goes with a fit"
    package = package_of(result.run, request)
    written = write_fitted(package, request.write, result.fit.fitted, record=record)
    out = sys.stderr if as_json else sys.stdout
    out.write(f"wrote {written.uri}\ndigest {written.digest}\n")
    if has_golden(package):
        out.write(
            f"golden images were sealed for other scores and are not in it; seal it again: millrace models seal "
            f"{written.uri} --images ...\n"
        )


def show_groups(
    uri: str, *, num_groups: int, model: str | None, trusts_code: bool, as_json: bool, stages: Stages
) -> None:
    """Divide scores without labels."""
    with blamed_on("output"):
        plan = load_plan(uri)
    found = find_groups(uri, plan, num_groups=num_groups, model=model, trusts_code=trusts_code, stages=stages)
    record = {"run_id": plan.run_id, "task": plan.task, **found.record()}
    text = json.dumps(record, allow_nan=False) if as_json else "\n".join(otsu_lines(found))
    sys.stdout.write(f"{text}\n")
