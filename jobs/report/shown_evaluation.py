"""What the page reads of ``report/evaluation.json``, checked, since the file may be of another version or edited."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

LENIENT = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class ShownFigure(BaseModel):
    """One figure with the ends of its interval."""

    model_config = LENIENT
    value: float | None
    low: float | None
    high: float | None


class ShownBin(BaseModel):
    """Scores of one bin."""

    model_config = LENIENT
    count: float
    score_mean: float
    right_frac: float


class ShownErrors(BaseModel):
    """How wrong scores are."""

    model_config = LENIENT
    reliability: tuple[ShownBin, ...]


class ShownCalibration(BaseModel):
    """Scores before a fit and after it."""

    model_config = LENIENT
    before: ShownErrors
    after: ShownErrors


class ShownPoint(BaseModel):
    """What a threshold gives."""

    model_config = LENIENT
    f1: float | None


class ShownThreshold(BaseModel):
    """The best threshold of a class, and the present one."""

    model_config = LENIENT
    label: str | None
    threshold: float
    measured: ShownPoint
    present_threshold: float
    present: ShownPoint


class ShownFit(BaseModel):
    """What was fitted."""

    model_config = LENIENT
    calibration: ShownCalibration | None
    thresholds: tuple[ShownThreshold, ...]


class ShownVerdict(BaseModel):
    """Answers of one verdict beside their labels."""

    model_config = LENIENT
    verdict: str
    num_images: int
    frac: float | None
    error: float | None


class ShownVerdicts(BaseModel):
    """All verdicts."""

    model_config = LENIENT
    error: str
    by_verdict: tuple[ShownVerdict, ...]


class ShownEvaluation(BaseModel):
    """All of it."""

    model_config = LENIENT
    run_id: str
    num_images: int
    num_evaluated: int
    warnings: tuple[str, ...]
    figures: dict[str, ShownFigure]
    per_class: tuple[dict[str, str | int | float | None], ...]
    reliability: tuple[ShownBin, ...] | None
    fit: ShownFit | None
    verdicts: ShownVerdicts | None = None
