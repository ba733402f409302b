"""Whatever a model gives, a row is whole or says why it is not: with all that a package can ask for, and without."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from inference_core.export.rows import RowBuilder
from inference_core.predictor import Predictor
from inference_core.quality_spec import MAX_REASON
from tests.odd_logits import BAD, ROWS, odd_image, odd_package

RULES = {"rules": [{"when": {"score": {"below": 0.9}}, "verdict": "review"}]}
FULL: dict[str, Any] = {"statistics": "full", "quality": RULES}
VIEWS = {"views": ["hflip", "rot90"]}
CURVE = {"x": [0.1, 0.9], "y": [0.2, 0.8]}
LABELS = {"task": "multilabel", "output": {"activation": "sigmoid"}}
MASKS = {"task": "segmentation"}
TWO = {**MASKS, "num_classes": 2}
STEPS = [{"min_area_px": 9}, {"fill_holes": True}]

PACKAGES: dict[str, dict[str, Any]] = {
    "classes": {},
    "classes, full": {**FULL, "conformal": {"quantile": 0.5}},
    "classes, temperature": {**FULL, "calibration": {"temperature": 0.01}},
    "classes, temperature by class": {**FULL, "calibration": {"temperature": {"a": 9.0, "b": 0.01}}},
    "classes, views": {**FULL, "tta": VIEWS, "conformal": {"method": "aps", "quantile": 0.9}},
    "classes, geometric": {**FULL, "tta": {**VIEWS, "merge": "geometric"}},
    "classes, max": {**FULL, "tta": {**VIEWS, "merge": "max"}},
    "classes, vote": {**FULL, "tta": {**VIEWS, "merge": "vote"}},
    "classes, platt": {**FULL, "output": {"activation": "sigmoid"}, "calibration": {"platt": {"a": 9.0}}},
    "one class": {"num_classes": 1, "output": {"activation": "sigmoid"}, "quality": RULES},
    "one class, views": {"num_classes": 1, "tta": VIEWS, "quality": RULES},
    "labels": LABELS,
    "labels, platt": {**LABELS, **FULL, "calibration": {"platt": {"a": {"a": 9.0, "b": -3.0}}}},
    "labels, isotonic": {**LABELS, **FULL, "calibration": {"isotonic": CURVE}},
    "labels, views": {**LABELS, **FULL, "tta": {**VIEWS, "merge": "geometric"}},
    "masks": MASKS,
    "masks, full": {**MASKS, **FULL, "uncertainty": {}, "postprocess": STEPS, "components": {}},
    "masks, views": {**MASKS, **FULL, "tta": VIEWS, "uncertainty": {"measure": "mutual_information"}},
    "two classes": TWO,
    "two classes, platt": {**TWO, **FULL, "calibration": {"platt": {"a": 9.0}}},
    "two classes, isotonic": {**TWO, **FULL, "calibration": {"isotonic": CURVE}},
    "two classes, views": {**TWO, **FULL, "tta": {**VIEWS, "merge": "max"}, "uncertainty": {"measure": "std"}},
}


def numbers_in(value: Any) -> Iterator[float]:
    """All numbers of a row."""
    if isinstance(value, float | int):
        yield value
    for part in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from numbers_in(part)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_row_is_whole_or_says_why_it_is_not(tmp_path: Path, name: str) -> None:
    package = odd_package(tmp_path, **PACKAGES[name])
    predictor = Predictor.load(package, device="cpu", num_threads=1, precision="fp32")
    predictions = predictor.predict_batch([odd_image(odd) for odd in ROWS])
    builder = RowBuilder(package.spec, model_digest=package.digest)
    for odd, found in zip(ROWS, predictions, strict=True):
        is_bad = odd in BAD
        assert found.status == ("infer_error" if is_bad else "ok"), odd
        assert ("output is not finite" in found.error) is is_bad
        row = builder.row(found, row_id=0)
        assert builder.table([row]).num_rows == 1
        assert all(math.isfinite(number) for number in numbers_in(row)), odd
        assert 0 <= (row.get("score") or 0.0) <= 1
        if package.spec.quality is not None:
            assert (row.get("verdict") is None) is is_bad
            assert all(0 < len(reason) <= MAX_REASON for reason in row.get("reasons", ()))
