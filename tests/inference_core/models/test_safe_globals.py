from __future__ import annotations

import argparse
import datetime
import io
import pickle
import subprocess
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest
import torch

from inference_core.models.safe_globals import NamedType, harmless_types_allowed


def round_trip(value: Any, *, protocol: int = 2) -> Any:
    buffer = io.BytesIO()
    torch.save(value, buffer, pickle_protocol=protocol)
    buffer.seek(0)
    with harmless_types_allowed():
        return torch.load(buffer, weights_only=True)


def grouped() -> dict[str, list[int]]:
    values: dict[str, list[int]] = defaultdict(list)
    values["a"].append(1)
    return values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(
            argparse.Namespace(lr=0.1, widths=[1, 2]), argparse.Namespace(lr=0.1, widths=[1, 2]), id="arguments"
        ),
        pytest.param(Path("/data") / "a", PurePosixPath("/data/a"), id="path"),
        pytest.param(grouped(), {"a": [1]}, id="default dict"),
        pytest.param(deque([1, 2], maxlen=5), [1, 2], id="deque"),
        pytest.param({1, 2}, {1, 2}, id="set"),
        pytest.param(frozenset({1}), frozenset({1}), id="frozen set"),
        pytest.param(datetime.datetime(2020, 1, 2), datetime.datetime(2020, 1, 2), id="date"),
        pytest.param(datetime.timedelta(seconds=3), datetime.timedelta(seconds=3), id="duration"),
        pytest.param(uuid.UUID(int=5), uuid.UUID(int=5), id="uuid"),
        pytest.param(slice(1, 2), slice(1, 2), id="slice"),
        pytest.param(b"\xff\x00a", b"\xff\x00a", id="bytes"),
        pytest.param(np.float32(2.5), np.float32(2.5), id="float32"),
        pytest.param(np.int64(7), np.int64(7), id="int64"),
        pytest.param(np.bool_(True), np.True_, id="bool"),
        pytest.param(np.dtype("float16"), np.dtype("float16"), id="dtype"),
        pytest.param(np.float32, np.float32, id="type"),
        pytest.param(torch.float16, torch.float16, id="torch dtype"),
        pytest.param(torch.Size([2, 3]), torch.Size([2, 3]), id="torch size"),
        pytest.param(torch.device("cpu"), torch.device("cpu"), id="torch device"),
        pytest.param(int, NamedType(name="int"), id="a type is only named"),
    ],
)
def test_harmless_values_come_back(value: Any, expected: Any) -> None:
    found = round_trip(value)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("values", [np.arange(6.0).reshape(2, 3), np.array(["a", "bc"]), np.zeros((0, 2), np.uint8)])
def test_arrays_come_back(values: np.ndarray[Any, Any]) -> None:
    found = round_trip(values)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


class Calls:
    """Pickles as a call of a function with arguments."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(Calls(eval, "1 + 1"), id="eval"),
        pytest.param(Calls(getattr, np, "load"), id="getattr"),
        pytest.param(Calls(subprocess.run, ["true"]), id="process"),
        pytest.param(Calls(np.load, "a.npy"), id="numpy.load"),
        pytest.param(Calls(torch.load, "a.pth"), id="torch.load"),
        pytest.param(Calls(Path.unlink, PurePosixPath("a")), id="a method of a path"),
        pytest.param(Calls(list, "abc"), id="a type that is only named"),
        pytest.param(Calls(bytes, 10**12), id="a terabyte of zeros"),
    ],
)
def test_calls_are_refused(value: Any) -> None:
    with pytest.raises((pickle.UnpicklingError, TypeError)):
        round_trip(value)


def test_nothing_stays_allowed() -> None:
    before = set(torch.serialization.get_safe_globals())  # torch keeps a set, whose order is any
    round_trip(1)
    assert set(torch.serialization.get_safe_globals()) == before
