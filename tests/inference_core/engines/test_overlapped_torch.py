from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inference_core.engines.build import build_engine
from inference_core.engines.overlap import OverlappingEngine
from inference_core.engines.overlapped_torch import OverlappedTorchEngine, begin_download, lock_tiles
from inference_core.engines.torch_engine import TorchEngine
from inference_core.images import Limits
from inference_core.items import PreparedItem, RawItem
from inference_core.models.torch_module import TorchModel
from inference_core.preparer import Preparer
from inference_core.records import Uint8Array
from inference_core.runner import Runner
from inference_core.tasks.build import build_task
from tests.onnx_graphs import channel_means
from tests.specs import input_spec, model_spec, package_of


def tiles(count: int, *, side_px: int = 8, seed: int = 0) -> list[Uint8Array]:
    found = list(np.random.default_rng(seed).integers(0, 250, (count, side_px, side_px, 3), np.uint8))
    for tile in found:
        tile.setflags(write=False)
    return found


@pytest.mark.parametrize(("count", "size"), [(1, 1), (3, 3), (3, 4), (5, 2)], ids=["one", "full", "filled", "over"])
def test_tiles_become_one_batch_filled_with_blank_ones(count: int, size: int) -> None:
    sources = tiles(count)
    batch = lock_tiles(sources, size=size, pin_memory=False)
    assert batch.shape == (max(count, size), 8, 8, 3)
    assert np.array_equal(batch[:count].numpy(), np.stack(sources))
    assert int(batch[count:].sum()) == 0


def test_what_is_on_the_cpu_stays_as_it_is() -> None:
    array = np.arange(3.0)
    assert begin_download(array).tolist() == [0, 1, 2]
    tensor = torch.arange(3)
    assert begin_download(tensor) is tensor


def test_engines_on_the_cpu_do_not_overlap() -> None:
    package = package_of(channel_means())
    assert not isinstance(build_engine(package, device="cpu", precision="fp32", num_threads=1), OverlappingEngine)
    assert not isinstance(plain_engine("cpu"), OverlappingEngine)


# On a GPU


@pytest.fixture
def cuda() -> str:
    if not torch.cuda.is_available():
        (pytest.fail if os.environ.get("REQUIRE_GPU") == "1" else pytest.skip)("there is no CUDA device for this test")
    return "cuda:0"


class Net(nn.Module):
    """Three scores; above ``max_images`` there is no memory while another batch is under way.

    Args:
        max_images: 0 for any number.
        width: of the convolution: how long a forward takes.
    """

    def __init__(self, *, max_images: int = 0, width: int = 8) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.max_images = max_images
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3), nn.ReLU(), nn.Conv2d(width, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )

    def forward(self, batch: Tensor) -> Tensor:
        if 0 < self.max_images < len(batch):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        scores: Tensor = self.layers(batch)
        return scores


def plain_engine(device: str, **options: Any) -> TorchEngine:
    cuda_graphs = options.pop("cuda_graphs", False)
    module = Net(**options).eval()
    return TorchEngine(
        TorchModel(module=module),
        input_spec({"fit": "native", "size_hw": None, "multiple_px": 8}),
        device=device,
        precision="fp32",
        num_threads=0,
        cuda_graphs=cuda_graphs,
    )


def items_of(sources: list[Uint8Array]) -> list[PreparedItem]:
    preparer = Preparer(input_spec({"fit": "native", "size_hw": None, "multiple_px": 8}), limits=Limits())
    return [preparer.prepare(source, image_id=str(index)) for index, source in enumerate(sources)]


def infer(engine: Any, items: list[PreparedItem], *, batch_size: int) -> list[RawItem]:
    return Runner(engine, build_task(model_spec()), batch_size=batch_size).infer(items)


@pytest.mark.gpu
@pytest.mark.parametrize("options", [{}, {"max_images": 3}, {"cuda_graphs": True}], ids=["fits", "halved", "graphs"])
def test_answers_and_their_order_are_those_of_the_plain_engine(cuda: str, options: dict[str, Any]) -> None:
    items = items_of([*tiles(20), *tiles(7, side_px=16), *tiles(9, seed=1)])
    expected = infer(plain_engine(cuda), items, batch_size=8)
    found = infer(OverlappedTorchEngine(plain_engine(cuda, **options)), items, batch_size=8)
    assert [item.source.image_id for item in found] == [str(index) for index in range(36)]
    for one, other in zip(found, expected, strict=True):
        assert one.raw is not None
        assert other.raw is not None
        # CUDA convolves in TF32 by default, and chooses another algorithm for another number of images.
        np.testing.assert_allclose(one.raw["scores"], other.raw["scores"], atol=2e-3)


@pytest.mark.gpu
def test_a_batch_is_copied_out_before_its_tiles_may_change(cuda: str) -> None:
    engine = OverlappedTorchEngine(plain_engine(cuda, width=512))
    sources = [np.array(tile) for tile in tiles(16, side_px=64)]
    expected = {name: value.cpu().numpy() for name, value in engine.run(np.stack(sources)).items()}
    # The page-locked memory of the first is used again long before the last forward has ended.
    waits = [engine.fetch(engine.submit(sources)) for _ in range(8)]
    for source in sources:
        source[:] = 0
    for wait in waits:
        np.testing.assert_allclose(wait()["output"], expected["output"], atol=2e-3)


@pytest.mark.gpu
def test_page_locked_memory_is_used_again(cuda: str) -> None:
    engine = OverlappedTorchEngine(plain_engine(cuda))
    items = items_of(tiles(8))
    infer(engine, items * 4, batch_size=8)
    before = torch.cuda.host_memory_stats()["num_host_alloc"]
    infer(engine, items * 40, batch_size=8)
    assert torch.cuda.host_memory_stats()["num_host_alloc"] - before <= 2


@pytest.mark.gpu
def test_packages_on_cuda_are_run_so(cuda: str, tmp_path: Any) -> None:
    from inference_core.models.package import load_package
    from tests.failing_modules import fragile_package

    engine = build_engine(load_package(str(fragile_package(tmp_path))), device=cuda, precision="fp32", num_threads=0)
    assert isinstance(engine, OverlappingEngine)
