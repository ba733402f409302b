"""NPY files: arrays as NumPy saves them, never pickles."""

from __future__ import annotations

import io
import math

import numpy as np

from inference_core.errors import DecodeError, UnsupportedError
from inference_core.images.array_pixels import check_image_shape, decode_array
from inference_core.images.limits import Limits
from inference_core.images.policy import DecodePolicy
from inference_core.records import DecodedImage

_MAX_HEADER_BYTES = 10_000


def decode_npy(data: bytes, *, policy: DecodePolicy, limits: Limits) -> DecodedImage:
    """Decode an NPY file, format 1.0 or 2.0.

    Shape and type are checked before anything is allocated, and the data is used where it lies.

    Raises:
        InputError: see ``decode_array``; also for object arrays and files that are too short.
    """
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise UnsupportedError(f"npy version must be 1.0 or 2.0, got {version[0]}.{version[1]}; save it with NumPy")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read_header(stream, max_header_size=_MAX_HEADER_BYTES)
    if dtype.kind not in "buif":
        raise UnsupportedError(f"npy values must be bool, integer or float, got {dtype}; save numbers")
    check_image_shape(shape, limits)
    num_values, offset = math.prod(shape), stream.tell()
    if len(data) - offset < num_values * dtype.itemsize:
        found = f"{len(data) - offset} of {num_values * dtype.itemsize} bytes"
        raise DecodeError(f"npy data must be whole, got {found}; replace the file")
    values = np.frombuffer(data, dtype, count=num_values, offset=offset)
    array = values.reshape(shape, order="F" if is_fortran else "C")
    return decode_array(array, policy=policy, limits=limits, format_name="npy")
