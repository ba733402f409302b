"""What a finished run is reported on anew with: its own settings, and others for what is only made at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inference_core.assignments import put, read_assignment
from inference_core.errors import ConfigError, ModelError
from inference_core.models.package import ModelPackage
from inference_core.validation import build_settings
from jobs.config import JobConfig
from jobs.explanations import asked_before, check_explain
from jobs.kept_model import find_model, model_of_run
from jobs.plan import Plan
from jobs.visuals.request import VisualRequest, visual_request

MADE_AT_THE_END = ("visuals", "explain", "videos")
"""Settings of what a finished run can be given anew."""


def settings_again(plan: Plan, assignments: Sequence[str], *, output: str) -> JobConfig:
    """The run's settings with others on top, and with the explanations that were last asked for where none are named.

    Args:
        plan: the run's.
        assignments: ``key.subkey=value`` of MADE_AT_THE_END.
        output: the run's folder or prefix.

    Raises:
        ConfigError: a setting is wrong, or would change rows.
    """
    data = dict(plan.config) | {"output": output}
    names_explain = False
    for assignment in assignments:
        dotted, value = read_assignment(assignment, example="visuals.random=20")
        if dotted.split(".")[0] not in MADE_AT_THE_END:
            raise ConfigError(
                f"must be of {', '.join(MADE_AT_THE_END)}, since the rows stay as they are; run a job with it into "
                "another output",
                key=dotted,
            )
        names_explain = names_explain or dotted.split(".")[0] == "explain"
        put(data, dotted, value)
    settings = build_settings(JobConfig, data, origin="the command line")
    return settings if names_explain else asked_before(settings)


def visuals_again(config: JobConfig, *, must_draw: bool, say: Callable[[str], None]) -> VisualRequest | None:
    """What is drawn anew.

    Args:
        config: the settings.
        must_draw: whether it is an error that the model is gone, which says how images are read.
        say: told otherwise that pictures stay as they are.

    Raises:
        ConfigError: there are too few colours, or the model is gone.
        ModelError: likewise.
    """
    if not config.visuals.is_wanted:
        return None
    try:
        spec = find_model(config).package.spec
    except (ConfigError, ModelError) as exc:
        if must_draw:
            raise
        say(f"visuals stay as they are: the model that says how images are read cannot be had ({exc})")
        return None
    return visual_request(config, spec)


def explained_again(
    config: JobConfig, plan: Plan, *, must_explain: bool, say: Callable[[str], None]
) -> ModelPackage | None:
    """The model whose answers are explained anew, None where that is not wanted.

    Args:
        config: the settings.
        plan: the run's.
        must_explain: whether it is an error that the run's model is gone.
        say: told otherwise that explanations stay as they are.

    Raises:
        ConfigError: the settings do not go with the model, or the model is gone or another one since.
        ModelError: likewise.
    """
    if not config.explain.is_wanted:
        return None
    try:
        package = model_of_run(config, plan)
    except (ConfigError, ModelError) as exc:
        if must_explain:
            raise
        say(f"explanations stay as they are: the run's model cannot be had ({exc})")
        return None
    check_explain(config, package)
    return package
