"""Lets a torchvision that was built for another torch be imported: timm, transformers and Lightning import it.

PyPI's torchvision is built for CUDA and fails beside torch's CPU build, because it describes operators that its own
library would have registered. Their schemas are enough for everything but calling them. Tests alone may do this.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib.util import find_spec

import torch

ARGUMENTS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def import_torchvision() -> torch.library.Library | None:
    """Import torchvision where it is installed; call this before the libraries that look for it are imported."""
    if find_spec("torchvision") is None:
        return None
    try:
        import torchvision
    except RuntimeError:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    else:
        return None
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}{ARGUMENTS}")
    import torchvision  # noqa: F401

    return library  # the schemas go with it: the cache keeps it
