from __future__ import annotations

import numpy as np
import pytest
import torch

from inference_core.engines.memory_errors import is_out_of_memory


def test_torch_without_memory(device: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8, device=device)
    assert is_out_of_memory(caught.value)


def test_numpy_without_memory() -> None:
    with pytest.raises(MemoryError) as caught:
        np.empty(2**60, np.uint8)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param("", False, id="empty"),
        pytest.param("Given groups=1, expected input to have 3 channels", False, id="shape"),
        pytest.param("CUDA error: device-side assert triggered", False, id="device-assert"),
        pytest.param("CUDA out of memory. Tried to allocate 2.00 GiB", True, id="cuda"),
        pytest.param("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", True, id="cublas"),
        pytest.param("Failed to allocate memory for requested buffer of size 4096", True, id="onnxruntime"),
        pytest.param("std::bad_alloc", True, id="c++"),
    ],
)
def test_by_message(message: str, expected: bool) -> None:
    assert is_out_of_memory(RuntimeError(message)) is expected
