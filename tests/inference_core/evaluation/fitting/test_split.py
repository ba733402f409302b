from __future__ import annotations

import pytest

from inference_core.errors import ConfigError
from inference_core.evaluation.fitting.needed import check_enough
from inference_core.evaluation.fitting.split import split_images

IDS = [f"{index}.jpg" for index in range(101)]


def test_who_is_drawn_depends_on_names_and_seed_alone() -> None:
    drawn = dict(zip(IDS, split_images(IDS, fit_frac=0.5, seed=3).tolist(), strict=True))
    again = dict(zip(IDS[::-1], split_images(IDS[::-1], fit_frac=0.5, seed=3).tolist(), strict=True))
    assert drawn == again
    assert sum(drawn.values()) == 51
    assert drawn != dict(zip(IDS, split_images(IDS, fit_frac=0.5, seed=4).tolist(), strict=True))


@pytest.mark.parametrize(("fit_frac", "count"), [(0.01, 1), (0.25, 25), (0.99, 100)])
def test_the_share_is_kept(fit_frac: float, count: int) -> None:
    assert split_images(IDS, fit_frac=fit_frac, seed=0).sum() == count


@pytest.mark.parametrize(
    ("fit_frac", "count", "message"),
    [
        (0.0, 9, "--fit-frac: must lie between 0 and 1, got 0.0"),
        (1.0, 9, "must lie between 0 and 1, got 1.0"),
        (0.5, 1, "must leave labelled images to fit on and others to measure on, got 0.5 of 1"),
        (0.01, 9, "label more images, or choose a share near 0.5"),
    ],
)
def test_both_sides_need_images(fit_frac: float, count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        split_images(IDS[:count], fit_frac=fit_frac, seed=0)


def test_five_images_are_too_few_and_a_hundred_not_many() -> None:
    with pytest.raises(
        ConfigError, match=r"temperature must be fitted on at least 20 labelled images, got 5 .* label 15"
    ):
        check_enough("temperature", 5)
    assert (
        check_enough("temperature", 100) == "temperature fitted on 100 images may be chance; from 200 on it hardly is"
    )
    assert check_enough("temperature", 200) == ""
    assert check_enough("temperature", 3, are_masks=True).startswith(
        "temperature fitted on 3 images may be chance; from 10"
    )
    with pytest.raises(ConfigError, match="isotonic must be fitted on at least 200"):
        check_enough("isotonic", 199)
