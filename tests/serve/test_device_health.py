from __future__ import annotations

import numpy as np
import pytest

from inference_core.items import RawItem
from inference_core.records import SourceFacts
from serve.device_health import MAX_FAILURES, DeviceHealth, is_sticky


def raw(*, error: str = "", engine: str = "onnxruntime on cpu, fp32") -> RawItem:
    return RawItem(
        source=SourceFacts(image_id=""),
        raw=None if error else {"scores": np.zeros(1)},
        status="infer_error" if error else "ok",
        error=error,
        engine=engine,
    )


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("CUDA error: an illegal memory access was encountered", True),
        ("CUDNN_STATUS_EXECUTION_FAILED", True),
        ("CUDA error: device-side assert triggered", True),
        ("CUDA out of memory. Tried to allocate 2 GiB", False),
        ("CUDA error: out of memory", False),
        ("the model refused the image: shapes differ", False),
        ("", False),
    ],
)
def test_tells_lost_devices_from_full_ones(message: str, expected: bool) -> None:
    assert is_sticky(message) is expected


def test_a_bad_image_among_good_ones_is_no_reason_to_doubt() -> None:
    health = DeviceHealth()
    for _ in range(9):
        health.note_items([raw(error="the model refused the image"), raw()])
    assert not health.is_doubted


def test_failures_in_a_row_are() -> None:
    health = DeviceHealth()
    for _ in range(MAX_FAILURES - 1):
        health.note_items([raw(error="refused")])
        health.note_items([raw(error="not an image", engine="")])  # never reached the model
    assert not health.is_doubted
    health.note_error(RuntimeError("broken"))
    assert health.is_doubted
    health.note_good()
    assert not health.is_doubted


def test_a_sticky_error_is_for_ever() -> None:
    health = DeviceHealth()
    health.note_items([raw(error="CUDA error: unspecified launch failure")])
    assert health.is_broken
    health.note_good()
    assert health.is_broken
    assert not health.was_good_within(60)
