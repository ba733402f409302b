from __future__ import annotations

from pathlib import Path
from typing import Any

import captum.attr
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference_core.engines.protocol import EngineFacts
from inference_core.explain.explainer import Explainer
from inference_core.explain.occlusion import occlude, plan_windows
from inference_core.records import Uint8Array
from tests.explained_nets import build_net, explained_package
from tests.tiny_models import tiny_classifier


class MeanEngine:
    """Gives the mean of each image."""

    facts = EngineFacts(engine="onnxruntime", device="cpu", precision="fp32", num_threads=1)

    def __init__(self) -> None:
        self.batches: list[int] = []

    def run(self, batch: Uint8Array) -> dict[str, Any]:
        self.batches.append(len(batch))
        return {"mean": batch.mean(axis=(1, 2, 3))}


@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_windows_cover_all_and_no_more(height: int, width: int) -> None:
    covered = np.zeros((height, width), int)
    for place in plan_windows((height, width)):
        assert covered[place].size > 0
        covered[place] += 1
    assert covered.min() >= 1


@pytest.mark.parametrize(
    ("size_hw", "window_hw", "count"),
    [
        pytest.param((224, 224), (32, 32), 169, id="square"),
        pytest.param((128, 128), (19, 19), 144, id="not a multiple"),
        pytest.param((1, 1), (1, 1), 1, id="a pixel"),
        pytest.param((4, 400), (4, 6), 133, id="a strip"),
    ],
)
def test_windows_are_chosen_by_size(size_hw: tuple[int, int], window_hw: tuple[int, int], count: int) -> None:
    windows = plan_windows(size_hw)
    assert windows.window_hw == window_hw
    assert len(list(windows)) == count


def test_a_plain_image_of_the_covering_colour_tells_nothing() -> None:
    tile = np.full((14, 14, 3), 90, np.uint8)
    found = occlude(
        MeanEngine(),
        tile,
        support=lambda out: out["mean"],
        windows=plan_windows((14, 14)),
        color=(90,) * 3,
        batch_size=4,
    )
    assert not found.any()


def test_batches_are_as_large_as_asked() -> None:
    engine = MeanEngine()
    tile = np.zeros((14, 14, 3), np.uint8)
    occlude(
        engine, tile, support=lambda out: out["mean"], windows=plan_windows((14, 14)), color=(0,) * 3, batch_size=50
    )
    assert engine.batches == [1, 50, 50, 50, 19]


def test_it_peaks_where_the_answer_comes_from(tmp_path: Path) -> None:
    pixels = np.full((64, 64, 3), 60, np.uint8)
    pixels[40:56, 40:56] = 250
    explanation = Explainer(explained_package(tmp_path, "corner")).explain(
        pixels, method="occlusion", class_name="bright"
    )
    row, column = np.unravel_index(explanation.heatmap.argmax(), (64, 64))
    assert 40 <= row < 56
    assert 40 <= column < 56
    assert np.abs(explanation.heatmap[:20]).max() == 0  # windows that reach the quarter do not begin there
    assert np.abs(explanation.heatmap[:, :20]).max() == 0
    assert explanation.method == "occlusion"


def test_it_is_that_of_captum(tmp_path: Path) -> None:
    picture = np.random.default_rng(11).integers(0, 40, (32, 32, 3), np.uint8)
    picture[6:18, 10:26] += 200
    explanation = Explainer(explained_package(tmp_path, "deep")).explain(picture, method="occlusion", class_name="b")
    net = build_net("deep")
    windows, color = plan_windows((32, 32)), explanation.baseline
    assert color is not None

    def log_odds(values: torch.Tensor) -> torch.Tensor:
        logits = net(values)
        return logits[:, 1] - torch.logsumexp(logits[:, [0, 2, 3]], dim=1)

    with torch.no_grad():
        reference = captum.attr.Occlusion(log_odds).attribute(
            torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255,
            sliding_window_shapes=(3, *windows.window_hw),
            strides=(3, *windows.stride_hw),
            baselines=torch.tensor(color).view(1, 3, 1, 1).expand(1, 3, 32, 32) / 255,
        )
    expected = reference[0, 0].numpy()
    assert np.abs(explanation.heatmap - expected).max() <= 1e-3 * np.abs(expected).max()  # values are rounded to fp32
    assert np.abs(expected).max() > 1e-3


def test_a_graph_without_gradients_is_explained(tmp_path: Path) -> None:
    from inference_core.models.package import load_package

    pixels = np.full((16, 16, 3), 40, np.uint8)
    pixels[3:7, 9:13] = (250, 40, 40)
    explanation = Explainer(load_package(str(tiny_classifier(tmp_path)))).explain(pixels)
    assert (explanation.method, explanation.label) == ("occlusion", "red")
    peak = np.unravel_index(explanation.heatmap.argmax(), (16, 16))
    assert 3 <= peak[0] < 7
    assert 9 <= peak[1] < 13
    assert "onnxruntime" in explanation.engine
