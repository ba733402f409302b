from __future__ import annotations

import numpy as np
import pytest

from inference_core.errors import ConfigError, ShapeError
from inference_core.visualize.grid import contact_sheet, draw_grid, side_by_side

RED, BLUE = (np.full((20, 30, 3), color, np.uint8) for color in ((255, 0, 0), (0, 0, 255)))


def columns_of(drawn: np.ndarray, color: tuple[int, int, int]) -> list[int]:  # type: ignore[type-arg]
    return np.flatnonzero((drawn == color).all(axis=-1).any(axis=0)).tolist()


def test_pictures_stand_side_by_side_as_they_are() -> None:
    drawn = side_by_side([RED, BLUE])
    red, blue = columns_of(drawn, (255, 0, 0)), columns_of(drawn, (0, 0, 255))
    assert (len(red), len(blue)) == (30, 30)
    assert max(red) < min(blue)


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, None, 1), (4, None, 2), (5, None, 2), (5, 2, 3), (2, 9, 1)])
def test_rows_and_columns(count: int, columns: int | None, rows: int) -> None:
    drawn = draw_grid([RED] * count, num_columns=columns)
    is_red = (drawn == (255, 0, 0)).all(axis=-1).any(axis=1).astype(int)
    assert np.count_nonzero(np.diff(is_red, prepend=0) == 1) == rows
    assert (drawn == (255, 0, 0)).all(axis=-1).sum() == count * 600


def test_titles_stand_above() -> None:
    plain, titled = draw_grid([RED]), draw_grid([RED], titles=["a title"])
    assert titled.shape[0] > plain.shape[0]
    assert (titled == 0).all(axis=-1).any()


@pytest.mark.parametrize("hw", [(1, 1), (1, 900), (900, 1), (400, 400)])
def test_a_sheet_scales_pictures_into_its_cells(hw: tuple[int, int]) -> None:
    drawn = contact_sheet([np.zeros((*hw, 3), np.uint8)], cell_px=64)
    is_black = (drawn == 0).all(axis=-1)
    assert max(is_black.any(axis=0).sum(), is_black.any(axis=1).sum()) == 64


@pytest.mark.parametrize(
    ("pictures", "options", "message"),
    [
        ([], {}, "pictures: must be 1 to 1000 in a grid, got 0"),
        ([RED] * 1001, {}, "got 1001; make several"),
        ([RED], {"num_columns": 0}, "num_columns: must be at least 1, got 0"),
    ],
)
def test_what_is_no_grid_is_refused(pictures: list[np.ndarray], options: dict[str, int], message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(ConfigError, match=message):
        draw_grid(pictures, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 0, 3), np.uint8), np.zeros((4, 4, 3))])
def test_what_is_no_picture_is_refused(picture: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(ShapeError, match=r"pictures must be \(H, W, 3\) uint8, got"):
        draw_grid([picture])
