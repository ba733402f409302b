"""Labels as masks: a folder of images whose pixel values are class ids."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference_core import storage
from inference_core.errors import ConfigError, InputError
from inference_core.evaluation.labels.class_ids import KEY, MAP_KEY, ClassIds
from inference_core.images.boundary import decoder_boundary

UNLABELLED = -1
"""Of a pixel that does not count."""
NUM_LOOKED_AT = 16
"""Masks that are read to find out what their values mean."""
NUM_SHOWN = 5
"""Values in a note."""
WHITE = 255
LOSSY = ("JPEG", "MPO", "JPEG2000")
"""Formats that give other values than were stored, as a rule."""

Mask = NDArray[np.integer]


def list_masks(uri: str) -> dict[str, str]:
    """URI of each file below a folder or prefix, by its path.

    Raises:
        ConfigError: there is none.
    """
    found = {entry.path: entry.uri for entry in storage.list_objects(uri)}
    if not found:
        raise ConfigError(f"must be a folder of masks, got {uri} with nothing in it; check the path", key=KEY)
    return found


def read_mask(uri: str) -> Mask:
    """(H, W) values of a mask with one channel, as stored.

    Raises:
        ConfigError: it is no image, or has more channels.
    """
    data = storage.read_bytes(uri)
    try:
        with decoder_boundary("mask"), Image.open(io.BytesIO(data)) as image:
            kind, values = image.format, np.asarray(image)
    except InputError as exc:
        raise ConfigError(f"must hold masks, got {uri}: {exc}", key=KEY) from exc
    if kind in LOSSY:
        raise ConfigError(
            f"must hold masks whose values were kept, got {kind} in {uri}, which changes them; save them as PNG",
            key=KEY,
        )
    if values.ndim != 2 or values.dtype.kind not in "bu":
        raise ConfigError(
            f"must hold masks with one channel of class ids, got {values.shape} in {uri}; save the numbers of the "
            "classes, with a palette or without, not their colours",
            key=KEY,
        )
    return values.astype(np.int32)


class MaskValues:
    """Turns the values of masks into class ids.

    Args:
        ids: of the package, with the class map.
        is_white_foreground: whether 255 is class 1.
        unknown: values that were seen and are of no class.
    """

    def __init__(self, ids: ClassIds, *, is_white_foreground: bool = False, unknown: tuple[int, ...] = ()) -> None:
        self._num_classes = len(ids.classes)
        self._ids = ids
        self.is_white_foreground = is_white_foreground
        self._unknown = unknown

    @property
    def notes(self) -> list[str]:
        """What is assumed of the values."""
        notes = []
        if self.is_white_foreground:
            notes.append(f"masks hold 0 and 255 alone: 255 is read as {self._ids.classes[1]!r}")
        if self._unknown:
            shown = ", ".join(map(str, self._unknown[:NUM_SHOWN])) + (", ..." if self._unknown[NUM_SHOWN:] else "")
            notes.append(
                f"masks hold values from {self._num_classes} on ({shown}), which are no class: these pixels do not "
                f"count; if they should, say what they are with {MAP_KEY}"
            )
        return notes

    def class_ids(self, mask: Mask, *, origin: str) -> Mask:
        """(H, W) class ids, UNLABELLED where a value is none: from the number of classes on, or mapped to null.

        Raises:
            ConfigError: not a single pixel of the mask is of a class.
        """
        if self._ids.has_map:
            mapped = self._mapped(mask, origin=origin)
        elif self.is_white_foreground:
            mapped = np.where(mask == WHITE, 1, mask)
        else:
            mapped = mask
        known = np.where((mapped >= 0) & (mapped < self._num_classes), mapped, UNLABELLED)
        if mask.size and not (known != UNLABELLED).any():
            values = ", ".join(map(str, np.unique(mask)[:5].tolist()))
            raise ConfigError(
                f"must hold class ids from 0 to {self._num_classes - 1}, got {values} alone in {origin}; say what they "
                "are with --class-map",
                key=KEY,
            )
        return known

    def _mapped(self, mask: Mask, *, origin: str) -> Mask:
        """Values through the class map; those that it and the package do not have are no label."""
        table = {}
        for value in np.unique(mask).tolist():
            try:
                found = self._ids.of_number(value, origin=origin)
            except ConfigError:
                found = None
            table[value] = UNLABELLED if found is None else found
        values, places = np.unique(mask, return_inverse=True)
        return np.array([table[value] for value in values.tolist()])[places].reshape(mask.shape)


def look_at_values(masks: Mapping[str, str], ids: ClassIds) -> MaskValues:
    """Find out what the values of a folder's masks mean.

    With two classes and no class map, masks that hold 0 and 255 and never 1 are black and white: 255 is the foreground.
    Where 1 occurs, 255 is what is not labelled, as usual. Other values that no class has are told.
    """
    if ids.has_map:
        return MaskValues(ids)
    seen: set[int] = set()
    for uri in sorted(masks.values())[:NUM_LOOKED_AT]:
        with suppress(ConfigError):  # of an image or not: what is read for one tells
            seen.update(np.unique(read_mask(uri)).tolist())
    unknown = sorted(value for value in seen if value != WHITE and value >= len(ids.classes))
    is_black_and_white = len(ids.classes) == 2 and WHITE in seen and seen <= {0, WHITE}
    return MaskValues(ids, is_white_foreground=is_black_and_white, unknown=tuple(unknown))
