from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from inference_core.engines.cuda_graphs import recorded_size
from inference_core.engines.torch_engine import TorchEngine
from inference_core.errors import ConfigError, EngineError
from inference_core.models.torch_module import TorchModel
from tests.specs import input_spec

BATCH = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
BATCH.flags.writeable = False


def net() -> TorchModel:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return TorchModel(module=nn.Sequential(*layers).eval())


def engine_of(model: TorchModel, *, device: str = "cpu", precision: str = "fp32", **options: bool) -> TorchEngine:
    return TorchEngine(model, input_spec(), device=device, precision=precision, num_threads=1, **options)  # type: ignore[arg-type]


def test_the_engine_gives_what_the_module_gives(device: str) -> None:
    with torch.inference_mode():
        expected = net().module(torch.from_numpy(BATCH.copy()).permute(0, 3, 1, 2) / 255).numpy()
    found = engine_of(net(), device=device).run(BATCH)["output"].cpu().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_bf16_changes_the_last_digits_only(device: str) -> None:
    exact, low = (engine_of(net(), device=device, precision=one).run(BATCH)["output"] for one in ("fp32", "bf16"))
    assert low.dtype == torch.float32
    assert 0 < float((exact - low).abs().max()) < 0.01  # bf16 keeps 8 bits of numbers below 1


def test_convolutions_run_in_channels_last_memory() -> None:
    seen = []
    model = net()
    model.module[0].register_forward_hook(  # type: ignore[index]
        lambda _, inputs, output: seen.append(output.is_contiguous(memory_format=torch.channels_last))
    )
    engine_of(model).run(BATCH)
    assert seen == [True]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch compiles for the CPU with g++, which is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_compiled_module_gives_the_same_and_says_so() -> None:
    plain, compiled = engine_of(net()), engine_of(net(), compiles=True)
    assert str(plain.facts) == "torch on cpu, fp32"
    assert str(compiled.facts) == "torch on cpu, fp32, compiled"
    for batch in (BATCH, BATCH[:2], BATCH[:1]):  # of any size, without compiling anew for each
        torch.testing.assert_close(compiled.run(batch)["output"], plain.run(batch)["output"], atol=1e-5, rtol=0)


def test_cuda_graphs_need_cuda() -> None:
    with pytest.raises(ConfigError, match="device: must be a CUDA device with CUDA graphs, got 'cpu'; turn them off"):
        engine_of(net(), cuda_graphs=True)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_cuda_graphs_give_the_same_for_every_batch_of_every_shape(precision: str) -> None:
    if not torch.cuda.is_available():
        (pytest.fail if os.environ.get("REQUIRE_GPU") == "1" else pytest.skip)("there is no CUDA device for this test")
    plain = engine_of(net(), device="cuda:0", precision=precision)
    replayed = engine_of(net(), device="cuda:0", precision=precision, cuda_graphs=True)
    assert replayed.facts.has_cuda_graphs
    kept = replayed.run(BATCH)["output"]
    for batch in (BATCH, 255 - BATCH, BATCH[:1], np.resize(BATCH, (2, 16, 8, 3)), BATCH):
        torch.testing.assert_close(replayed.run(batch)["output"], plain.run(batch)["output"], atol=1e-3, rtol=0)
    torch.testing.assert_close(kept, plain.run(BATCH)["output"], atol=1e-3, rtol=0)


@pytest.mark.parametrize(("count", "size"), [(0, 1), (1, 1), (2, 2), (3, 4), (5, 8), (8, 8), (33, 64)])
def test_batches_are_recorded_in_powers_of_two(count: int, size: int) -> None:
    assert recorded_size(count) == size


def test_a_model_that_refuses_its_input_says_why() -> None:
    with pytest.raises(EngineError, match="expected input"):
        engine_of(TorchModel(module=nn.Conv2d(4, 1, 1))).run(BATCH)
