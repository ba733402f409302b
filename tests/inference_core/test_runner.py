from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inference_core.engines.onnx_engine import OnnxEngine
from inference_core.engines.protocol import Array, Engine, EngineFacts
from inference_core.engines.torch_engine import TorchEngine
from inference_core.errors import DeviceMemoryError, EngineError, ModelError
from inference_core.images import Limits
from inference_core.items import PreparedItem, RawItem
from inference_core.models.torch_module import TorchModel
from inference_core.preparer import Preparer
from inference_core.records import Uint8Array
from inference_core.runner import Runner
from inference_core.tasks.build import build_task
from inference_core.tasks.classification import ClassificationTask
from inference_core.tasks.segmentation import SegmentationTask
from tests.onnx_graphs import channel_means
from tests.specs import input_spec, model_spec

TILED = model_spec(
    {
        "task": "segmentation",
        "classes": ["background", "cell"],
        "input": {"fit": "tile", "size_hw": [8, 8], "overlap_px": 0},
        "output": {"activation": "none"},
    }
)
POISON = 255


class MeansEngine:
    """Channel means, as the tests' ONNX graph gives them, with the refusals of a device and a model.

    Args:
        max_tiles: more do not fit the device.
    """

    facts = EngineFacts(engine="means", device="cpu", precision="fp32", num_threads=1)

    def __init__(self, *, max_tiles: int = 10_000) -> None:
        self.max_tiles = max_tiles
        self.shapes: list[tuple[int, ...]] = []

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        self.shapes.append(batch.shape)
        if len(batch) > self.max_tiles:
            raise DeviceMemoryError("out of memory")
        if (batch == POISON).all(axis=(1, 2, 3)).any():
            raise EngineError("cannot take this image")
        return {"scores": batch.mean(axis=(1, 2), dtype=np.float32) / 255}


def runner_of(engine: Engine, *, batch_size: int, task: Any = None) -> Runner:
    return Runner(engine, task or build_task(model_spec({"output": {"activation": "none"}})), batch_size=batch_size)


def images(count: int, *, image_hw: tuple[int, int] = (8, 8), seed: int = 0) -> list[Uint8Array]:
    return list(np.random.default_rng(seed).integers(0, 250, (count, *image_hw, 3), np.uint8))


def prepared(sources: Sequence[Any], options: dict[str, Any] | None = None) -> list[PreparedItem]:
    """Items ``0``, ``1``, ... of arrays; None stands for a file that is no image."""
    preparer = Preparer(input_spec(options), limits=Limits())
    return [
        preparer.prepare(b"no image" if source is None else source, image_id=str(index))
        for index, source in enumerate(sources)
    ]


def best_class(item: RawItem) -> int:
    assert item.raw is not None, item.error
    return int(item.raw["class_ids"][0, 0])


def statuses(items: Sequence[RawItem]) -> list[str]:
    return [item.status for item in items]


def test_nothing_to_infer() -> None:
    engine = MeansEngine()
    assert runner_of(engine, batch_size=4).infer([]) == []
    assert engine.shapes == []


def test_only_failures() -> None:
    engine = MeansEngine()
    items = runner_of(engine, batch_size=4).infer(prepared([None, None]))
    assert statuses(items) == ["unsupported", "unsupported"]
    assert engine.shapes == []


def test_a_failed_item_passes_through_untouched() -> None:
    (item,) = prepared([None])
    (raw,) = runner_of(MeansEngine(), batch_size=4).infer([item])
    assert (raw.source, raw.error, raw.stage_ms, raw.engine, raw.raw) == (
        item.source,
        item.error,
        item.stage_ms,
        "",
        None,
    )


@pytest.mark.parametrize(
    ("present", "batch_sizes"),
    [
        pytest.param("1", [1], id="one"),
        pytest.param("1111", [4], id="full"),
        pytest.param("11111", [4, 1], id="rest"),
        pytest.param("101111", [3, 2], id="a-failure-counts"),
        pytest.param("00001", [1], id="a-chunk-of-failures"),
        pytest.param("0111" "1111" "0000" "1000" "11", [3, 4, 1, 2], id="mixed"),
    ],
)  # fmt: skip
def test_what_shares_a_forward_depends_on_the_order_of_items_alone(present: str, batch_sizes: list[int]) -> None:
    sources = [image if flag == "1" else None for image, flag in zip(images(len(present)), present, strict=True)]
    engine = MeansEngine()
    items = runner_of(engine, batch_size=4).infer(prepared(sources))
    assert [shape[0] for shape in engine.shapes] == batch_sizes
    assert [item.status == "ok" for item in items] == [flag == "1" for flag in present]
    assert [item.source.image_id for item in items] == [str(index) for index in range(len(present))]


def test_items_of_one_shape_share_a_batch_and_order_is_kept() -> None:
    small, large = images(4), images(3, image_hw=(16, 8))
    sources = [small[0], large[0], small[1], None, large[1], small[2], large[2], small[3]]
    engine = MeansEngine()
    items = runner_of(engine, batch_size=8).infer(
        prepared(sources, {"fit": "native", "size_hw": None, "multiple_px": 8})
    )
    assert engine.shapes == [(4, 8, 8, 3), (3, 16, 8, 3)]
    assert [item.source.image_id for item in items] == [str(index) for index in range(8)]
    for item, source in zip(items, sources, strict=True):
        if source is not None:
            assert best_class(item) == source.mean(axis=(0, 1)).argmax()


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_the_size_of_a_batch_changes_no_answer(batch_size: int, device: str) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 3, 3), nn.AdaptiveAvgPool2d(1)).eval()
    engine = TorchEngine(TorchModel(module=module), input_spec(), device=device, precision="fp32", num_threads=0)
    task = build_task(model_spec())
    items = prepared(images(10))
    expected = runner_of(engine, batch_size=10, task=task).infer(items)
    for item, other in zip(runner_of(engine, batch_size=batch_size, task=task).infer(items), expected, strict=True):
        assert item.raw is not None
        assert other.raw is not None
        np.testing.assert_allclose(item.raw["scores"], other.raw["scores"], atol=1e-5)
        assert np.array_equal(item.raw["class_ids"], other.raw["class_ids"])


def test_one_poisonous_image_in_a_batch_of_64() -> None:
    sources = images(64)
    sources[17] = np.full((8, 8, 3), POISON, np.uint8)
    engine = MeansEngine()
    items = runner_of(engine, batch_size=64).infer(prepared(sources))
    assert statuses(items) == ["infer_error" if index == 17 else "ok" for index in range(64)]
    assert items[17].error == "the model refused the image: cannot take this image"
    assert items[17].engine == "means on cpu, fp32"
    for item, source in zip(items, sources, strict=True):
        if item.status == "ok":
            assert best_class(item) == source.mean(axis=(0, 1)).argmax()


@pytest.mark.parametrize(("max_tiles", "largest"), [(7, 5), (1, 1)])
def test_batches_shrink_to_what_fits(max_tiles: int, largest: int) -> None:
    engine = MeansEngine(max_tiles=max_tiles)
    items = runner_of(engine, batch_size=20).infer(prepared(images(20)))
    assert statuses(items) == ["ok"] * 20
    assert max(shape[0] for shape in engine.shapes if shape[0] <= max_tiles) == largest


def test_an_image_that_never_fits_is_oom() -> None:
    items = runner_of(MeansEngine(max_tiles=0), batch_size=4).infer(prepared(images(3)))
    assert statuses(items) == ["oom"] * 3
    assert "does not fit the device's memory even alone; lower its size" in items[0].error


class Blank(nn.Module):
    """Not finite for black images, in half precision as an overflow would be."""

    def forward(self, batch: Tensor) -> Tensor:
        means = batch.mean(dim=(2, 3))
        return torch.where(means == 0, torch.full_like(means, float("nan")), means)


def test_an_output_that_is_not_finite_is_a_row(device: str) -> None:
    sources = images(5)
    sources[3] = np.zeros((8, 8, 3), np.uint8)
    engine = TorchEngine(
        TorchModel(module=Blank().eval()), input_spec(), device=device, precision="fp32", num_threads=0
    )
    items = runner_of(engine, batch_size=5, task=build_task(model_spec())).infer(prepared(sources))
    assert statuses(items) == ["ok", "ok", "ok", "infer_error", "ok"]
    assert items[3].error == "the model's output is not finite; check the weights, or use a higher precision"
    assert items[0].raw is not None
    assert "finite" not in items[0].raw


@pytest.mark.parametrize("fixed", [1, 3])
def test_a_graph_of_a_fixed_batch(fixed: int) -> None:
    engine = OnnxEngine(channel_means(batch=fixed), input_spec(), device="cpu", num_threads=1)
    sources = images(7)
    items = runner_of(engine, batch_size=5).infer(prepared(sources))
    assert [best_class(item) for item in items] == [source.mean(axis=(0, 1)).argmax() for source in sources]


def test_what_fitted_is_kept_over_calls_and_counted() -> None:
    engine = MeansEngine(max_tiles=5)
    runner = runner_of(engine, batch_size=20)
    runner.infer(prepared(images(20)))
    assert [shape[0] for shape in engine.shapes] == [20, 10, 5, 5, 5, 5]
    assert runner.num_oom_halvings == 2
    engine.shapes.clear()
    runner.infer(prepared(images(20)))
    assert [shape[0] for shape in engine.shapes] == [5, 5, 5, 5]
    assert runner.num_oom_halvings == 2


def test_a_shape_may_have_smaller_batches_than_the_chunk() -> None:
    engine = MeansEngine()
    task = build_task(model_spec({"output": {"activation": "none"}}))
    Runner(engine, task, batch_size=3, size_of_shape={(8, 8): 2}).infer(prepared(images(7)))
    assert [shape[0] for shape in engine.shapes] == [2, 1, 2, 1, 1]


class SlowMeansEngine(MeansEngine):
    """One whose batches can be begun before they are waited for.

    Args:
        max_under_way: more tiles at a time do not fit while another batch is under way.
    """

    def __init__(self, *, max_tiles: int = 10_000, max_under_way: int = 10_000) -> None:
        super().__init__(max_tiles=max_tiles)
        self.max_under_way = max_under_way
        self.log: list[str] = []

    def submit(self, tiles: Sequence[Uint8Array]) -> dict[str, Array]:
        self.log.append(f"submit {len(tiles)}")
        if len(tiles) > self.max_under_way:
            raise DeviceMemoryError("out of memory")
        return super().run(np.stack(tiles))

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        self.log.append(f"run {len(batch)}")
        return super().run(batch)

    def fetch(self, arrays: Mapping[str, Array]) -> Any:
        def wait() -> dict[str, Array]:
            self.log.append("wait")
            return dict(arrays)

        return wait


def raw_of(items: Sequence[RawItem]) -> list[Any]:
    return [(item.source.image_id, item.status, item.error, item.raw and item.raw["scores"].tolist()) for item in items]


def test_batches_of_an_engine_that_overlaps_are_begun_ahead() -> None:
    engine = SlowMeansEngine()
    runner_of(engine, batch_size=4).infer(prepared(images(10)))
    assert engine.log == ["submit 4", "submit 4", "wait", "submit 2", "wait", "wait"]


@pytest.mark.parametrize(
    "limits",
    [{}, {"max_tiles": 3}, {"max_under_way": 0}, {"max_under_way": 5, "max_tiles": 2}],
    ids=["fits", "halved", "never-ahead", "both"],
)
def test_an_engine_that_overlaps_gives_what_another_gives(limits: dict[str, int]) -> None:
    sources: list[Any] = [*images(30), *images(5, image_hw=(16, 8)), *images(6, seed=1)]
    sources[3], sources[17] = None, np.full((8, 8, 3), POISON, np.uint8)
    items = prepared(sources, {"fit": "native", "size_hw": None, "multiple_px": 8})
    expected = runner_of(MeansEngine(), batch_size=8).infer(items)
    assert raw_of(runner_of(SlowMeansEngine(**limits), batch_size=8).infer(items)) == raw_of(expected)
    assert statuses(expected).count("infer_error") == 1


def test_what_did_not_fit_ahead_lowers_the_following_batches() -> None:
    engine = SlowMeansEngine(max_tiles=4)
    runner = runner_of(engine, batch_size=8)
    runner.infer(prepared(images(24)))
    assert engine.log[:3] == ["submit 8", "run 8", "run 4"]
    assert engine.log[4:] == ["submit 4", "submit 4", "wait", "submit 4", "wait", "submit 4", "wait", "wait"]
    assert runner.num_oom_halvings == 1


# Tiles


class FirstChannel:
    """The first channel as the foreground's score; refuses black tiles."""

    facts = EngineFacts(engine="first", device="cpu", precision="fp32", num_threads=1)

    def run(self, batch: Uint8Array) -> dict[str, Array]:
        if (batch == 0).all(axis=(1, 2, 3)).any():
            raise EngineError("cannot take black")
        return {"scores": batch[:, None, :, :, 0].astype(np.float32) / 255}


def tiled(sources: Sequence[Uint8Array]) -> list[PreparedItem]:
    preparer = Preparer(TILED.input, limits=Limits())
    return [preparer.prepare(source, image_id=str(index)) for index, source in enumerate(sources)]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_an_image_gets_all_of_its_tiles_back(batch_size: int) -> None:
    sources = [*images(2, image_hw=(16, 24)), *images(1), *images(1, image_hw=(8, 16))]
    items = runner_of(FirstChannel(), batch_size=batch_size, task=SegmentationTask(TILED)).infer(tiled(sources))
    for item, source in zip(items, sources, strict=True):
        assert item.raw is not None
        assert item.placement is not None
        assert item.raw["foreground"].shape == (item.placement.num_tiles, 8, 8)
        for tile, (top, left) in zip(item.raw["foreground"], item.placement.tile_origins_yx, strict=True):
            assert np.array_equal(tile, source[top : top + 8, left : left + 8, 0])


def test_one_bad_tile_fails_its_image_and_no_other() -> None:
    sources = images(3, image_hw=(16, 16))
    sources[1][8:, :8] = 0
    items = runner_of(FirstChannel(), batch_size=12, task=SegmentationTask(TILED)).infer(tiled(sources))
    assert statuses(items) == ["ok", "infer_error", "ok"]
    assert items[1].error == "the model refused the image: cannot take black"


def test_time_is_shared_by_tiles() -> None:
    sources = [*images(1), *images(1, image_hw=(16, 24))]
    small, large = runner_of(FirstChannel(), batch_size=12, task=SegmentationTask(TILED)).infer(tiled(sources))
    assert large.stage_ms.infer == pytest.approx(6 * small.stage_ms.infer)
    assert small.stage_ms.infer > 0
    assert small.stage_ms.prepare > 0


# What is no image's fault


class Averages(nn.Module):
    """One output for the whole batch."""

    def forward(self, batch: Tensor) -> Tensor:
        return batch.mean(dim=(0, 2, 3))[None]


def test_an_output_without_a_batch_axis_is_the_models_fault() -> None:
    engine = TorchEngine(TorchModel(module=Averages()), input_spec(), device="cpu", precision="fp32", num_threads=0)
    runner = runner_of(engine, batch_size=4)
    with pytest.raises(ModelError, match="must give one output for each image of a batch, got 1 for 3; export it with"):
        runner.infer(prepared(images(3)))


class HungryTask(ClassificationTask):
    """Needs more memory than there is to reduce more than two images, or fails otherwise."""

    def __init__(self, error: Exception) -> None:
        super().__init__(model_spec({"output": {"activation": "none"}}))
        self.error = error

    def reduce(self, outputs: Mapping[str, Array], *, tile_hw: tuple[int, int]) -> dict[str, Array]:
        if len(outputs["scores"]) > 2:
            raise self.error
        return super().reduce(outputs, tile_hw=tile_hw)


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")], ids=["numpy", "torch"]
)
def test_a_reduction_that_does_not_fit_is_halved_too(error: Exception) -> None:
    engine = MeansEngine()
    items = runner_of(engine, batch_size=8, task=HungryTask(error)).infer(prepared(images(8)))
    assert statuses(items) == ["ok"] * 8
    assert [shape[0] for shape in engine.shapes] == [8, 4, 2, 2, 2, 2]


def test_another_error_of_the_reduction_is_a_bug() -> None:
    runner = runner_of(MeansEngine(), batch_size=8, task=HungryTask(RuntimeError("shapes do not match")))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        runner.infer(prepared(images(8)))
