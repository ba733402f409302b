from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from inference_core.errors import ConfigError, ShapeError
from inference_core.records import Uint8Array
from inference_core.results import Result, Spread
from inference_core.visualize.charts import legend_lines, share_text
from inference_core.visualize.color_scale import add_color_bar, color_values, scale_colors
from inference_core.visualize.contours import draw_contours
from inference_core.visualize.draw import KINDS_OF, draw_change, draw_result
from inference_core.visualize.grid import draw_grid
from inference_core.visualize.overlay import tint_classes
from inference_core.visualize.palette import DEFAULT_PALETTE, build_palette, class_color
from inference_core.visualize.picture_size import working_copy
from inference_core.visualize.score_maps import uncertainty_of
from tests.drawn_results import classification, detection, embedding, multilabel, segmentation

GRAY = np.full((60, 80, 3), 100, np.uint8)
GRAY.setflags(write=False)
HALF = np.zeros((60, 80), np.uint8)
HALF[:, 40:] = 2


def is_nearly(pixels: Uint8Array, color: tuple[int, int, int]) -> bool:
    """Whether pixels have a colour but for the smoothing of lines."""
    return bool((np.abs(pixels.astype(int) - color) < 30).all())


def results(image_hw: tuple[int, int]) -> list[tuple[Result, str]]:
    mask = np.ones(image_hw, np.uint8)
    return [
        (segmentation(mask), "segmentation"),
        (detection((0, 0, image_hw[1], image_hw[0])), "detection"),
        (classification(0.9, 0.1), "classification"),
        (multilabel(0.9, 0.6, 0.1, num_shown=2), "multilabel"),
    ]


@pytest.mark.parametrize("image_hw", [(1, 1), (1, 300), (300, 1), (1, 20_000), (20_000, 1), (3, 2), (60, 80)])
def test_every_kind_of_every_task_draws_images_of_every_size(image_hw: tuple[int, int]) -> None:
    pixels = np.zeros((*image_hw, 3), np.uint8)
    for result, task in results(image_hw):
        for kind in KINDS_OF[task]:  # type: ignore[index]
            drawn = draw_result(pixels, result, kind=kind)
            assert drawn.dtype == np.uint8
            assert drawn.shape[0] >= min(image_hw[0], 4096)
            assert drawn.shape[1] >= min(image_hw[1], 4096)


def test_a_huge_image_is_drawn_on_a_smaller_copy() -> None:
    side = 20_000
    pixels = np.broadcast_to(np.uint8([[[10, 20, 30]]]), (side, 40, 3))
    mask = np.zeros((side, 40), np.uint8)
    mask[side // 2 :] = 1
    drawn = draw_result(np.ascontiguousarray(pixels), segmentation(mask), max_side_px=1000, has_legend=False)
    assert drawn.shape == (1000, 2, 3)
    assert (drawn[:498] == [10, 20, 30]).all()
    assert (drawn[502:] != [10, 20, 30]).any(axis=-1).all()


def test_a_copy_moves_boxes_along() -> None:
    _, copy = working_copy(GRAY, detection((10, 20, 40, 60)), max_side_px=40)
    assert copy.boxes_xyxy.tolist() == [[5, 10, 20, 30]]  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", KINDS_OF["segmentation"])
def test_a_mask_of_another_size_is_refused(kind: str) -> None:
    with pytest.raises(ShapeError, match=r"mask must be \[60, 80\] as the image, got \[60, 81\]; give the image that"):
        draw_result(GRAY, segmentation(np.zeros((60, 81), np.uint8)), kind=kind)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("result", "kind", "message"),
    [
        (classification(1.0), "overlay", "kind: must be auto, top_k for classification, got 'overlay'; choose one"),
        (detection(), "heatmap", "kind: must be auto, boxes, side_by_side for detection"),
        (embedding(), "auto", "must be of a task that can be drawn, got embedding"),
    ],
)
def test_kinds_that_do_not_fit_are_refused(result: Result, kind: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        draw_result(GRAY, result, kind=kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_alpha_is_the_share_of_the_colour(alpha: float) -> None:
    drawn = tint_classes(GRAY, HALF, alpha=alpha)
    expected = [100 * (1 - alpha) + channel * alpha for channel in class_color(2)]
    assert (drawn[:, :40] == 100).all()
    np.testing.assert_allclose(drawn[30, 60], expected, atol=1)


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_other_alphas_are_refused(alpha: float) -> None:
    with pytest.raises(ConfigError, match=r"alpha: must lie in \[0, 1\], got"):
        draw_result(GRAY, segmentation(HALF), alpha=alpha)


def test_own_colours_are_drawn() -> None:
    palette = build_palette(["black", "red", "#00ff00"], num_classes=3)
    drawn = draw_result(GRAY, segmentation(HALF), kind="mask", palette=palette, has_legend=False)
    assert drawn[30, 60].tolist() == [0, 255, 0]
    assert drawn[30, 20].tolist() == [0, 0, 0]


def test_contours_lie_on_the_edges_of_classes_alone() -> None:
    drawn = draw_contours(GRAY, HALF)
    assert is_nearly(drawn[30, 40], class_color(2))
    assert (drawn[5:55, :38] == 100).all()
    assert (drawn[5:55, 43:77] == 100).all()


def test_a_hole_has_an_outline_too() -> None:
    mask = np.ones((60, 80), np.uint8)
    mask[20:40, 30:50] = 0
    drawn = draw_contours(GRAY, mask)
    assert is_nearly(drawn[19, 30:50], class_color(1))


def test_a_legend_names_the_classes_that_occur() -> None:
    with_legend = draw_result(GRAY, segmentation(HALF))
    assert with_legend.shape[1] > GRAY.shape[1]
    beside = with_legend[:, GRAY.shape[1] :].reshape(-1, 3)
    for class_id, is_there in ((0, True), (1, False), (2, True)):
        assert (beside == class_color(class_id)).all(axis=1).any() == is_there


def test_a_background_that_is_not_painted_has_no_colour_in_the_legend() -> None:
    shown = legend_lines(segmentation(HALF), palette=DEFAULT_PALETTE, background=0)
    assert [(line.text, line.color) for line in shown] == [("a", None), ("c", class_color(2))]
    painted = legend_lines(segmentation(HALF), palette=DEFAULT_PALETTE)
    assert painted[0].color == class_color(0)


@pytest.mark.parametrize("num_classes", [24, 25, 256])
def test_a_legend_has_an_end_and_says_so(num_classes: int) -> None:
    mask = np.resize(np.arange(num_classes, dtype=np.uint8), (60, 80))
    result = replace(segmentation(mask, num_classes=num_classes), labels=tuple(map(str, range(num_classes))))
    lines = legend_lines(result, palette=DEFAULT_PALETTE)
    assert len(lines) == min(num_classes, 25)
    assert (lines[-1].text == f"{num_classes - 24} more") == (num_classes > 24)
    assert draw_result(GRAY, result).shape[1] > 80


def test_what_there_is_of_a_class_is_never_nothing() -> None:
    assert [share_text(share) for share in (0, 1e-9, 0.0005, 1)] == ["0.0%", "<0.1%", "0.1%", "100.0%"]


def test_a_thousand_classes_have_ten_bars() -> None:
    drawn = draw_result(GRAY, classification(*[0.001] * 1000, labels=tuple(map(str, range(1000)))))
    assert drawn.shape[0] < 400


def test_bars_are_as_long_as_their_scores() -> None:
    drawn = draw_result(GRAY, classification(0.75, 0.25))
    beside = drawn[:, GRAY.shape[1] :]
    blue, slate = ((beside == color).all(axis=-1).sum(axis=1).max() for color in ((0, 114, 178), (148, 163, 184)))
    assert blue / slate == pytest.approx(3, rel=0.05)


def test_all_labels_that_are_shown_are_blue() -> None:
    drawn = draw_result(GRAY, multilabel(0.9, 0.8, 0.3, num_shown=2))
    rows = (drawn == (0, 114, 178)).all(axis=-1).any(axis=1)
    assert np.count_nonzero(np.diff(rows.astype(int)) == 1) == 2


@pytest.mark.parametrize(
    ("scores", "num_classes", "expected"),
    [
        pytest.param([[0, 255, 127, 128]], 2, [[0, 0, 254, 254]], id="two classes: near a half is unsure"),
        pytest.param([[0, 255, 127]], 3, [[255, 0, 128]], id="more: what is missing to 1"),
    ],
)
def test_uncertainty_where_the_package_measures_none(
    scores: list[list[int]], num_classes: int, expected: list[list[int]]
) -> None:
    plane = np.array(scores, np.uint8)
    result = segmentation(np.zeros_like(plane), scores=plane, num_classes=num_classes)
    assert uncertainty_of(result).tolist() == expected


def test_uncertainty_that_the_package_measures_is_shown() -> None:
    measured = np.array([[7, 9]], np.uint8)
    plain = segmentation(np.zeros((1, 2), np.uint8))
    spread = Spread(pixels=measured)
    result = type(plain)(**{name: getattr(plain, name) for name in plain.__slots__ if name != "spread"}, spread=spread)
    assert uncertainty_of(result) is measured


def test_a_scale_is_light_where_values_are_high() -> None:
    colors = color_values(np.arange(256, dtype=np.uint8)[None])[0].astype(int)
    luma = colors @ [299, 587, 114] / 1000
    assert (np.diff(luma) > -1.5).all()
    assert luma[255] - luma[0] > 150


def test_a_bar_has_the_colours_of_the_scale() -> None:
    picture = color_values(np.full((200, 100), 255, np.uint8))
    beside = add_color_bar(picture, scale_colors("viridis"), title="score")[:, 100:].reshape(-1, 3)
    for value in (0, 255):
        color = color_values(np.full((1, 1), value, np.uint8))[0, 0]
        assert (beside == color).all(axis=1).any()


def test_before_and_after_stand_side_by_side() -> None:
    before, after = segmentation(HALF), segmentation(np.zeros_like(HALF))
    drawn = draw_change(GRAY, before, after)
    assert drawn.shape[1] > 2 * GRAY.shape[1]
    tinted = (drawn == tint_classes(GRAY, HALF)[30, 60]).all(axis=-1).any(axis=0)
    assert tinted[: drawn.shape[1] // 2].any()
    assert not tinted[drawn.shape[1] // 2 :].any()


def test_the_same_twice_and_nothing_is_modified() -> None:
    pixels: Uint8Array = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    pixels.setflags(write=False)
    for result, _ in results((60, 80)):
        assert (draw_result(pixels, result) == draw_result(pixels, result)).all()


def test_hostile_names_do_no_harm() -> None:
    names = ("<script>alert(1)</script>", "a\nb\t\x1b[31m", "ж" * 500, "", "$x_1$", "🐈")
    drawn = draw_result(GRAY, classification(*[0.1] * 6, labels=names))
    assert drawn.shape[0] > GRAY.shape[0]
    draw_result(GRAY, detection(*[(5, 5, 20, 20)] * 6, labels=names))
    draw_grid([GRAY] * 6, titles=names)


@pytest.mark.parametrize("name", ["vessel\nof\nthe eye", "ж" * 500, "🐈"])
def test_a_title_of_a_bar_is_one_line_with_an_end(name: str) -> None:
    plain, named = (
        draw_result(GRAY, replace(segmentation(HALF // 2, num_classes=2), labels=("a", label)), kind="heatmap")
        for label in ("b", name)
    )
    assert named.shape[0] == plain.shape[0]
    assert named.shape[1] < 80 + 160
    bar = slice(30, None)  # below the title
    assert (named[bar, 80:112] == plain[bar, 80:112]).all()
