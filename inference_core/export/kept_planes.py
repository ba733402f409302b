"""The mask of a row, whatever the run keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from inference_core import storage
from inference_core.export.mask_files import read_plane
from inference_core.export.mask_runs import mask_of_runs
from inference_core.records import Uint8Array

MASK_COLUMNS = ("mask_path", "mask_rle")
"""Where a row may say what its mask is."""


def read_kept_mask(output: str, row: Mapping[str, Any]) -> Uint8Array | None:
    """The (H, W) uint8 class ids of a row's mask, None where the run kept none.

    Args:
        output: the run's folder or prefix.
        row: by column name, with those of MASK_COLUMNS that the run has, and ``height`` and ``width``.

    Raises:
        JobError: the file is damaged.
        StorageError: it cannot be read.
    """
    runs = row.get("mask_rle")
    if runs is not None:
        return mask_of_runs(runs, image_hw=(row["height"], row["width"]))
    path = row.get("mask_path")
    if path is None:
        return None
    uri = storage.join(output, *path.split("/"))
    return read_plane(storage.read_bytes(uri), origin=uri).astype(np.uint8, copy=False)  # 16 bits hold no more
