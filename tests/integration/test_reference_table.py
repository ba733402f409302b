"""Every row of the table of references is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.reference_table import Row, is_reached, list_rows, measure_row

pytestmark = pytest.mark.assets


@pytest.mark.parametrize("row", list_rows(), ids=str)
def test_the_reference_is_reached(row: Row, tmp_path: Path, assets: Path) -> None:
    found = measure_row(row, assets=assets, folder=tmp_path)
    assert is_reached(row, found), (row.figures, row.expected, found)


def test_a_figure_off_its_reference_is_told() -> None:
    row = list_rows()[0]
    assert is_reached(row, row.expected)
    assert not is_reached(row, [value + 0.01 for value in row.expected])
