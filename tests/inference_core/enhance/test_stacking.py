from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.engines.build import build_engine
from inference_core.engines.protocol import EngineFacts, LoadingEngine
from inference_core.enhance.build import build_answer
from inference_core.enhance.engine import EnhancedEngine
from inference_core.enhance.forwards import ViewsOfModel
from inference_core.enhance.stacking import most_views, runs_of_equal
from inference_core.errors import DeviceMemoryError
from tests.view_nets import view_package

VIEWS = ["hflip", "rot90", "vflip", "rot180"]


class CountingEngine:
    """An engine that says how many images each forward had, and takes only so many.

    Args:
        engine: that it stands for.
        most: images in a forward; more do not fit.
    """

    def __init__(self, engine: Any, *, most: int = 1000) -> None:
        self.facts = engine.facts
        self.sizes: list[int] = []
        self._engine = engine
        self._most = most

    def run(self, batch: Any) -> Any:
        raise AssertionError("batches are loaded first")

    def load(self, batch: Any) -> Any:
        return self._engine.load(batch)

    def enable_dropout(self) -> None:
        self._engine.enable_dropout()

    def run_loaded(self, pixels: Any, *, dropout_seed: Any = None) -> Any:
        self.sizes.append(len(pixels))
        if len(pixels) > self._most:
            raise DeviceMemoryError("out of memory")
        return self._engine.run_loaded(pixels, dropout_seed=dropout_seed)


def counting(folder: Path, *, most: int = 1000, **spec: Any) -> tuple[EnhancedEngine, CountingEngine]:
    package = view_package(folder, "dropping", **spec)
    built = build_engine(package, device="cpu", precision="fp32", num_threads=1)
    assert isinstance(built, LoadingEngine)
    engine = CountingEngine(built, most=most)
    source = ViewsOfModel(engine, package.spec, code=package.code)
    return EnhancedEngine(source, build_answer(package.spec), engines=[engine], facts=engine.facts), engine


def batch(count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)


def test_small_views_share_a_forward_and_answer_as_they_do_alone(tmp_path: Path) -> None:
    together, engine = counting(tmp_path / "a", tta=VIEWS)
    apart, lone = counting(tmp_path / "b", tta=VIEWS, most=2)
    found, expected = together.run(batch(2)), apart.run(batch(2))
    assert engine.sizes == [10]
    assert lone.sizes == [10, 2, 2, 2, 2, 2]  # what does not fit is run view by view, and so from then on
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-6)
    apart.run(batch(2))
    assert lone.sizes[6:] == [2] * 5


def test_samples_are_not_stacked(tmp_path: Path) -> None:
    enhanced, engine = counting(tmp_path, tta=["hflip"], dropout={"samples": 3})
    enhanced.run(batch(2))
    assert engine.sizes == [2] * 6


def test_one_image_that_does_not_fit_alone_is_told(tmp_path: Path) -> None:
    enhanced, _ = counting(tmp_path, tta=VIEWS, most=0)
    with pytest.raises(DeviceMemoryError):
        enhanced.run(batch(1))


@pytest.mark.parametrize(
    ("device", "max_batch", "shape", "expected"),
    [
        pytest.param("cpu", None, (1, 128, 128, 3), 4, id="small"),
        pytest.param("cpu", None, (4, 128, 128, 3), 1, id="a batch"),
        pytest.param("cpu", None, (1, 512, 512, 3), 1, id="large"),
        pytest.param("cuda:0", None, (8, 512, 512, 3), 8, id="gpu"),
        pytest.param("cpu", 8, (2, 1024, 1024, 3), 4, id="fixed graph"),
        pytest.param("cpu", 2, (3, 8, 8, 3), 1, id="more than the graph takes"),
    ],
)
def test_how_many_views_share_a_forward(
    device: str, max_batch: int | None, shape: tuple[int, ...], expected: int
) -> None:
    facts = EngineFacts(engine="torch", device=device, precision="fp32", num_threads=1, max_batch=max_batch)
    assert most_views(facts, shape) == expected


@given(st.lists(st.sampled_from([(1, 2), (2, 1)]), min_size=1, max_size=9), st.integers(1, 4))
def test_runs_cover_all_positions_in_order(shapes: list[tuple[int, int]], most: int) -> None:
    runs = list(runs_of_equal(shapes, most=most))
    assert [position for run in runs for position in run] == list(range(len(shapes)))
    for run in runs:
        assert len({shapes[position] for position in run}) == 1
        assert len(run) <= most
