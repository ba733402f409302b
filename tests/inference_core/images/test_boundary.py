"""Whatever a decoder raises leaves as one of our errors, in words that do not change between runs."""

from __future__ import annotations

import io
import logging
import struct
import warnings

import pytest
from PIL import TiffImagePlugin
from PIL.Image import DecompressionBombError

from inference_core.errors import DecodeError, TooLargeError, UnsupportedError
from inference_core.images.boundary import decoder_boundary, describe_error, silence_decoders


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError("truncated"), DecodeError),
        (SyntaxError("broken PNG"), DecodeError),
        (TypeError("Missing dimensions"), DecodeError),
        (ZeroDivisionError(), DecodeError),
        (struct.error("short"), DecodeError),
        (RecursionError(), DecodeError),
        (NotImplementedError("mode"), UnsupportedError),
        (OSError("Unsupported BMP pixel depth (0)"), UnsupportedError),
        (SyntaxError("unknown pixel mode"), UnsupportedError),
        (ValueError("LERC requires the 'imagecodecs' package"), UnsupportedError),
        (MemoryError(), TooLargeError),
        (DecompressionBombError("bomb"), TooLargeError),
        (TooLargeError("ours"), TooLargeError),
    ],
    ids=repr,
)
def test_translation(raised, expected):
    with pytest.raises(expected) as caught, decoder_boundary("png"):
        raise raised
    assert type(caught.value) is expected
    assert caught.value is raised or caught.value.__cause__ is raised


def test_what_is_no_error_of_a_decoder_goes_through():
    with pytest.raises(KeyboardInterrupt), decoder_boundary("png"):
        raise KeyboardInterrupt


def test_messages_hold_no_addresses_and_are_short():
    error = OSError(f"cannot identify {io.BytesIO()!r}\n  at all " + "x" * 500)
    text = describe_error(error)
    assert text.startswith("OSError: cannot identify object at all xxx")
    assert "0x" not in text
    assert len(text) < 220


def test_warnings_and_logs_of_decoders_stay_inside(caplog):
    silence_decoders()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        silence_decoders()  # renews its filter over the one just set
        broken = b"II*\0\x08\0\0\0\x01\0\x00\x01\x05\0\xff\0\0\0\xff\xff\0\0"
        with pytest.raises(DecodeError), decoder_boundary("tiff"):
            TiffImagePlugin.TiffImageFile(io.BytesIO(broken))
    assert seen == []
    logging.getLogger("PIL.TiffImagePlugin").error("noise")
    logging.getLogger("tifffile").error("noise")
    assert caplog.records == []
