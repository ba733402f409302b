"""Encoded bytes of any supported format to pixels: the one door."""

from __future__ import annotations

from typing import Protocol

from inference_core.errors import InputError
from inference_core.images.boundary import decoder_boundary
from inference_core.images.jpeg import decode_jpeg
from inference_core.images.limits import Limits
from inference_core.images.npy import decode_npy
from inference_core.images.pillow_decoder import decode_with_pillow
from inference_core.images.policy import DecodePolicy
from inference_core.images.sniff import sniff
from inference_core.images.tiff import decode_tiff
from inference_core.records import DecodedImage


class _Decoder(Protocol):
    def __call__(self, data: bytes, *, policy: DecodePolicy, limits: Limits) -> DecodedImage: ...


_DECODERS: dict[str, _Decoder] = {"jpeg": decode_jpeg, "tiff": decode_tiff, "npy": decode_npy}
_DEFAULT_POLICY = DecodePolicy()
_DEFAULT_LIMITS = Limits()


def decode_image(
    data: bytes, *, policy: DecodePolicy = _DEFAULT_POLICY, limits: Limits = _DEFAULT_LIMITS, uri: str = ""
) -> DecodedImage:
    """Decode one image.

    The format is told by the signature. Limits are checked on the header before pixels are allocated. The same
    bytes give the same pixels or the same error message, in any thread.

    Args:
        data: the whole encoded file.
        policy: what to do with orientation, alpha, CMYK and depth; the page.
        limits: largest input.
        uri: carried by errors, not read.

    Raises:
        UnsupportedError: another format, or a variant that is not read.
        TooLargeError: over a limit.
        DecodeError: damaged or truncated, or it has no such page.

    Cost: 6 to 18 bytes per pixel while decoding, 3 of which stay; see ``Limits``.
    """
    try:
        limits.check_bytes(len(data))
        format_name = sniff(data)
        with decoder_boundary(format_name):
            decode = _DECODERS.get(format_name)
            if decode is None:
                return decode_with_pillow(data, format_name, policy=policy, limits=limits)
            return decode(data, policy=policy, limits=limits)
    except InputError as error:
        error.uri = error.uri or uri
        raise
