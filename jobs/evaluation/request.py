"""What an evaluation is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.errors import ConfigError
from inference_core.evaluation.fit_calibration import METHODS, Method
from inference_core.evaluation.fitting.fit_conformal import Method as SetMethod
from inference_core.evaluation.fitting.threshold_curve import GOALS, Goal
from jobs.stage_progress import Stages, silent_stages


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRequest:
    """What is fitted on one part of the labelled images, and measured on the other."""

    method: Method | None = "temperature"
    """Of the calibration; None for none."""
    fit_frac: float = 0.5
    goal: Goal = "f1"
    """What thresholds are to be best at."""
    sets: SetMethod | None = None
    """Of conformal sets; None for none."""
    coverage_frac: float = 0.9
    seed: int = 0
    """Of the division."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateRequest:
    """Which labels a run is held to, and what is to come of it."""

    output: str
    labels: str
    class_map: str | None = None
    infers: bool = False
    """Whether labelled images are answered again where rows do not keep enough."""
    fit: FitRequest | None = None
    division: FitRequest = FitRequest()
    """How images are divided where something is only to be measured."""
    precision: float | None = None
    """Wanted."""
    recall: float | None = None
    """Wanted."""
    seed: int = 0
    """Of the bootstrap."""
    model: str | None = None
    """Where the run's package is now."""
    trusts_code: bool = False
    write: str | None = None
    """Folder for a copy of the package with what was fitted."""
    stages: Stages = silent_stages
    """Show how far it is where images are answered again."""


def check_choice(value: str, choices: tuple[str, ...], *, key: str) -> None:
    """Raise ConfigError unless a value is one of the choices."""
    if value not in choices:
        raise ConfigError(f"must be {', '.join(choices[:-1])} or {choices[-1]}, got {value!r}; correct it", key=key)


def read_method(text: str) -> Method | None:
    """The way to calibrate, None for ``none``.

    Raises:
        ConfigError: there is no such way.
    """
    check_choice(text, (*METHODS, "none"), key="--method")
    return next((method for method in METHODS if method == text), None)


def read_goal(text: str) -> Goal:
    """What thresholds are to be best at.

    Raises:
        ConfigError: there is no such figure.
    """
    check_choice(text, GOALS, key="--goal")
    return next(goal for goal in GOALS if goal == text)


def read_sets(text: str | None) -> SetMethod | None:
    """The kind of conformal sets.

    Raises:
        ConfigError: there is no such kind.
    """
    if text is None:
        return None
    check_choice(text, ("lac", "aps"), key="--conformal")
    return "lac" if text == "lac" else "aps"


def check_wanted(value: float | None, *, key: str) -> None:
    """Raise ConfigError unless a wanted share lies in (0, 1]."""
    if value is not None and not 0 < value <= 1:
        raise ConfigError(f"must lie above 0 and at most at 1, got {value}; 0.95 is 95 %", key=key)
