"""The harmless types that training loops leave in checkpoints beside tensors, by the names that pickles call them.

``torch.load(weights_only=True)`` knows tensors and plain containers. Checkpoints of Lightning, of timm's training
script and of many others also hold the arguments of the run, paths, scalars of NumPy and the like. Each name below is
given a type that does nothing when it is made: some are the type itself, others a plain stand-in for it, so that no
other library has to be installed. What is not listed is refused.
"""

from __future__ import annotations

import argparse
import datetime
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath
from threading import Lock
from typing import Any

import numpy as np

LIGHTNING_MODULES = (
    "lightning_fabric.utilities.data",
    "lightning.fabric.utilities.data",
    "pytorch_lightning.utilities.parsing",
    "lightning.pytorch.utilities.parsing",
)
"""Where versions of Lightning keep their dict of hyper-parameters, ``AttributeDict``."""

_LOCK = Lock()
"""torch keeps what is allowed in one place for the whole process: one checkpoint is read at a time."""


@contextmanager
def harmless_types_allowed() -> Iterator[None]:
    """Let ``torch.load(weights_only=True)`` take the harmless types."""
    import torch

    with _LOCK, torch.serialization.safe_globals(list_harmless_types()):
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedType:
    """A type that a checkpoint names as a value, such as the factory of a default dict; it cannot be called."""

    name: str
    """As the pickle calls it."""


def list_harmless_types() -> list[Any]:
    """(what is made, the name in the pickle) of each type."""
    made: dict[str, Any] = {
        "argparse.Namespace": argparse.Namespace,
        "types.SimpleNamespace": argparse.Namespace,
        "collections.defaultdict": make_plain_dict,
        "collections.deque": make_list,
        "datetime.datetime": datetime.datetime,
        "datetime.timedelta": datetime.timedelta,
        "uuid.UUID": uuid.UUID,
        "builtins.slice": slice,
        "builtins.complex": complex,
        "builtins.frozenset": frozenset,
        "builtins.bytes": make_no_bytes,
        **{f"{module}.AttributeDict": dict for module in LIGHTNING_MODULES},
        **{f"builtins.{name}": NamedType(name=name) for name in ("dict", "list", "int", "float", "str", "bool")},
    }
    for module in ("pathlib", "pathlib._local"):
        made |= {f"{module}.{kind}": PurePosixPath for kind in ("Path", "PosixPath", "PurePath", "PurePosixPath")}
        made |= {f"{module}.{kind}": PureWindowsPath for kind in ("WindowsPath", "PureWindowsPath")}
    return [(what, name) for name, what in (*made.items(), *numpy_types().items())]


def numpy_types() -> dict[str, Any]:
    """What arrays and scalars of NumPy are made of."""
    found: dict[str, Any] = {"numpy.dtype": np.dtype, "numpy.ndarray": np.ndarray}
    for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
        found[f"{module}.scalar"] = np.float64(0).__reduce__()[0]
        found[f"{module}._reconstruct"] = np.zeros(1).__reduce__()[0]
    for code in "?bBhHiIlLqQefdgFDGSU":
        dtype = np.dtype(code)
        found[f"numpy.{dtype.type.__name__}"] = dtype.type
        found[f"numpy.dtypes.{type(dtype).__name__}"] = type(dtype)
    return found


def make_plain_dict(*_: Any) -> dict[Any, Any]:
    """An empty dict in place of a default dict, whose factory is not kept."""
    return {}


def make_list(items: Iterable[Any] = (), *_: Any) -> list[Any]:
    """A list in place of a deque."""
    return list(items)


def make_no_bytes() -> bytes:
    """What pickles write for empty bytes; with an argument it would make any number of them."""
    return b""
