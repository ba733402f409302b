"""``millrace evaluate``: hold a run's answers beside labels, and fit what can be fitted by them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from inference_core.commands.model_facts import TrustOption
from inference_core.errors import ConfigError
from jobs.settings import folder_uri
from jobs.stage_progress import shown_stages


def evaluate_run(
    output: Annotated[str, typer.Argument(help="Folder or prefix of a run.")],
    labels: Annotated[
        str | None,
        typer.Option(
            help="Truth: a CSV file, COCO's JSON, a folder of masks, of YOLO's text files or of folders named after "
            "classes; or the word folders for those of the images themselves."
        ),
    ] = None,
    class_map: Annotated[
        str | None, typer.Option(help="YAML file: what labels call classes, and ours; null for what does not count.")
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit calibration and thresholds on a part of the images, measure on the rest.")
    ] = False,
    fit_frac: Annotated[float, typer.Option(help="Share of the labelled images to fit on.")] = 0.5,
    method: Annotated[
        str,
        typer.Option(help="Calibration: temperature, platt or isotonic, each also with -by-class; or none."),
    ] = "temperature",
    goal: Annotated[
        str, typer.Option(help="What thresholds are to be best at: f1, dice, iou, precision or recall.")
    ] = "f1",
    conformal: Annotated[
        str | None, typer.Option(help="With --fit: the quantile of conformal sets, lac or aps.")
    ] = None,
    coverage: Annotated[float, typer.Option(help="Share of these sets that shall hold the true class.")] = 0.9,
    precision: Annotated[
        float | None, typer.Option(help="Wanted: give the threshold, and what is left to review.")
    ] = None,
    recall: Annotated[float | None, typer.Option(help="Likewise.")] = None,
    otsu: Annotated[
        int | None, typer.Option(help="Without labels: divide the scores into so many groups; 2 is Otsu's method.")
    ] = None,
    infer: Annotated[
        bool, typer.Option("--infer", help="Answer labelled images again where rows do not keep enough.")
    ] = False,
    write: Annotated[str | None, typer.Option(help="Folder for a copy of the package with what was fitted.")] = None,
    model: Annotated[str | None, typer.Option(help="The run's package, where it was moved.")] = None,
    seed: Annotated[int, typer.Option(help="Of the division of images and of the intervals.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
    trust_package_code: TrustOption = False,
) -> None:
    """Compare a run's answers with labels; find the calibration and the thresholds that they ask for."""
    from inference_core.evaluation.write_back import check_target
    from jobs.evaluation.request import EvaluateRequest, FitRequest, check_wanted, read_goal, read_method, read_sets
    from jobs.evaluation.show import evaluate_and_show, show_groups

    uri = folder_uri(output, key="output")
    stages = shown_stages(Console(stderr=True, soft_wrap=True), log_format="text")
    if otsu is not None:
        if labels is not None:
            raise ConfigError("must be left away with --labels, which give better thresholds: --fit", key="--otsu")
        show_groups(uri, num_groups=otsu, model=model, trusts_code=trust_package_code, as_json=as_json, stages=stages)
        return
    if labels is None:
        raise ConfigError("must be given; without labels there is --otsu 2", key="--labels")
    if write is not None and not fit:
        raise ConfigError("must go with --fit, whose result it writes; add that", key="--write")
    if conformal is not None and not fit:
        raise ConfigError("must go with --fit; add that", key="--conformal")
    check_wanted(precision, key="--precision")
    check_wanted(recall, key="--recall")
    asked = FitRequest(
        method=read_method(method) if fit else None,
        fit_frac=fit_frac,
        goal=read_goal(goal),
        sets=read_sets(conformal),
        coverage_frac=coverage,
        seed=seed,
    )
    request = EvaluateRequest(
        output=uri,
        labels=labels,
        class_map=class_map,
        infers=infer,
        fit=asked if fit else None,
        division=asked,
        precision=precision,
        recall=recall,
        seed=seed,
        model=model,
        trusts_code=trust_package_code,
        write=write,
        stages=stages,
    )
    if write is not None:
        check_target(write)
    evaluate_and_show(request, as_json=as_json)
