from __future__ import annotations

from dataclasses import replace

import pytest

from inference_core.golden.deviation import Deviation, percent
from inference_core.golden.lines import COLUMNS, cells_of, sentence_of, table_text, tolerance_text
from inference_core.golden.record import Tolerance

EXACT = Deviation(engine="torch", precision="fp32", resampler="pillow", num_images=8)
NEAR = replace(EXACT, outputs_largest=2.2e-6)
OFF = replace(EXACT, prepared_frac=0.2, prepared_largest=3, outputs_frac=0.5, outputs_largest=0.25, faults=("a", "b"))
MISPLACED = replace(EXACT, prepared_largest=None, outputs_largest=None, faults=("moved",))
ABSENT = replace(EXACT, refusal="engine torch needs torch")


@pytest.mark.parametrize(
    ("found", "num_sealed", "expected"),
    [
        pytest.param(EXACT, 8, "8 images, largest difference 0, passed on torch fp32", id="exact"),
        pytest.param(NEAR, 8, "8 images, largest difference 2.2e-06, passed on torch fp32", id="near"),
        pytest.param(NEAR, 9, "8 of 9 images, largest difference 2.2e-06, passed on torch fp32", id="some"),
        pytest.param(replace(EXACT, num_images=1), 1, "1 image, largest difference 0, passed on torch fp32", id="one"),
        pytest.param(OFF, 8, "8 images, failed on torch fp32: a; b", id="failed"),
        pytest.param(ABSENT, 8, "torch fp32: does not run: engine torch needs torch", id="absent"),
    ],
)
def test_a_replay_in_a_line(found: Deviation, num_sealed: int, expected: str) -> None:
    assert sentence_of(found, num_sealed=num_sealed) == expected


@pytest.mark.parametrize(
    ("found", "is_judged", "cells"),
    [
        pytest.param(EXACT, True, ("equal", "equal", "0 %", "0 %", "pass"), id="exact"),
        pytest.param(NEAR, True, ("equal", "2.2e-06", "0 %", "0 %", "pass"), id="near"),
        pytest.param(OFF, True, ("20.0 % differ, by up to 3", "0.25", "50.0 %", "0 %", "FAIL"), id="failed"),
        pytest.param(OFF, False, ("20.0 % differ, by up to 3", "0.25", "50.0 %", "0 %", "for information"), id="shown"),
        pytest.param(MISPLACED, True, ("another size or place", "not comparable", "0 %", "0 %", "FAIL"), id="moved"),
        pytest.param(ABSENT, True, ("", "", "", "", "does not run"), id="absent"),
    ],
)
def test_a_replay_as_a_row(found: Deviation, is_judged: bool, cells: tuple[str, ...]) -> None:
    assert cells_of(found, is_judged=is_judged) == ("torch", "fp32", "pillow", *cells)


def test_a_table_of_plain_text_is_aligned() -> None:
    head, row = table_text([cells_of(OFF)]).splitlines()
    for column, cell in zip(COLUMNS, cells_of(OFF), strict=True):
        assert row[head.index(column) :].startswith(cell)


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0 %"), (1e-9, "under 0.1 %"), (0.001, "0.1 %"), (0.0204, "2.0 %"), (1, "100.0 %")]
)
def test_a_share_that_is_not_zero_does_not_look_like_it(share: float, text: str) -> None:
    assert percent(share) == text


def test_the_tolerance_is_said() -> None:
    text = tolerance_text(Tolerance(outputs_abs=0.5))
    assert "0.5 + 0.0001 x the largest" in text
