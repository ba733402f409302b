from __future__ import annotations

import io
import os

import numpy as np
import pytest
import torch
from torch import nn

from inference_core.engines.build import build_engine
from inference_core.errors import ModelError
from inference_core.models.package import ModelPackage
from inference_core.models.torch_module import build_module
from tests.specs import package_of

BATCH = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 3)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.conv(values).mean((2, 3))


def exported(module: nn.Module, *inputs: torch.Tensor, is_free: bool) -> ModelPackage:
    shapes = tuple({0: torch.export.Dim("batch")} if is_free else None for _ in inputs)
    program = torch.export.export(module.eval(), inputs, dynamic_shapes=shapes)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return package_of(buffer.getvalue(), {"format": "torch_export", "weights": "tiny.pt2"})


@pytest.mark.parametrize(("is_free", "size", "max_batch"), [(True, 2, None), (False, 1, 1), (False, 4, 4)], ids=str)
def test_a_program_gives_what_its_module_gives(is_free: bool, size: int, max_batch: int | None) -> None:
    package = exported(Pooled(), torch.rand(size, 3, 8, 8), is_free=is_free)
    engine = build_engine(package, device="cpu", precision="fp32", num_threads=1)
    assert engine.facts.max_batch == max_batch
    with torch.inference_mode():
        expected = Pooled()(torch.from_numpy(BATCH).permute(0, 3, 1, 2) / 255).numpy()
    for start in range(0, 3, max_batch or 3):
        part = BATCH[start : start + (max_batch or 3)]
        found = engine.run(part)["output"]
        assert found.shape == (len(part), 3)
        np.testing.assert_allclose(found, expected[start : start + len(part)], atol=1e-6)


def test_bf16_changes_the_last_digits_only() -> None:
    package = exported(Pooled(), torch.rand(2, 3, 8, 8), is_free=True)
    exact, low = (
        build_engine(package, device="cpu", precision=precision, num_threads=1).run(BATCH)["output"]
        for precision in ("fp32", "bf16")
    )
    assert low.dtype == torch.float32
    assert 0 < float((exact - low).abs().max()) < 0.01  # bf16 keeps 8 bits of numbers below 1


class Counting(Pooled):
    """Makes a tensor of its own, whose device a capture writes down."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return super().forward(values) + torch.arange(3, dtype=torch.float32)


def test_a_program_is_built_for_its_device_with_the_tensors_that_it_makes() -> None:
    package = exported(Counting(), torch.rand(2, 3, 8, 8), is_free=True)
    module = build_module(package, device="meta").module  # the one other device that every machine has
    assert module(torch.empty(5, 3, 8, 8, device="meta")).device.type == "meta"
    found = build_module(package).module(torch.zeros(5, 3, 8, 8))
    torch.testing.assert_close(found, Counting()(torch.zeros(5, 3, 8, 8)))


@pytest.mark.gpu
def test_a_program_that_was_captured_on_the_cpu_runs_on_cuda() -> None:
    if not torch.cuda.is_available():
        (pytest.fail if os.environ.get("REQUIRE_GPU") == "1" else pytest.skip)("there is no CUDA device for this test")
    package = exported(Counting(), torch.rand(2, 3, 8, 8), is_free=True)
    here, there = (
        build_engine(package, device=device, precision="fp32", num_threads=1).run(BATCH)["output"].cpu()
        for device in ("cpu", "cuda")
    )
    torch.testing.assert_close(there, here, atol=2e-3, rtol=0)  # CUDA convolves in TF32


class Sum(nn.Module):
    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        return one + other


@pytest.mark.parametrize(
    ("module", "shapes", "message"),
    [
        pytest.param(Sum(), [(2, 3, 8, 8), (2, 3, 8, 8)], "must have one input, got 2", id="two-inputs"),
        pytest.param(Pooled(), [(2, 3, 9, 8)], "the graph takes 9 along H .* the package gives 8", id="height"),
        pytest.param(nn.ReLU(), [(2, 5)], r"must have 4 axes, got \[None, 5\]", id="rank"),
    ],
)
def test_a_program_for_another_input_is_refused(module: nn.Module, shapes: list[tuple[int, ...]], message: str) -> None:
    package = exported(module, *(torch.rand(shape) for shape in shapes), is_free=module.__class__ is not Sum)
    with pytest.raises(ModelError, match=message):
        build_engine(package, device="cpu", precision="fp32", num_threads=1)


def state_dict_bytes() -> bytes:
    buffer = io.BytesIO()
    torch.save(Pooled().state_dict(), buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [b"", b"no archive", state_dict_bytes()], ids=["empty", "text", "state-dict"])
def test_other_files_are_refused_quietly(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    package = package_of(data, {"format": "torch_export", "weights": "tiny.pt2"})
    with pytest.raises(ModelError, match=r"weights must be a file of torch\.export\.save, got tiny\.pt2"):
        build_engine(package, device="cpu", precision="fp32", num_threads=1)
    assert capfd.readouterr() == ("", "")
