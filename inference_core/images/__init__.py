"""Decoding: anything that holds an image to ``DecodedImage``, under limits and by a stated policy."""

from inference_core.images.decode import decode_image
from inference_core.images.limits import Limits
from inference_core.images.load import ImageSource, load_image
from inference_core.images.policy import DecodePolicy
from inference_core.images.sniff import SUPPORTED_FORMATS, sniff

__all__ = ["SUPPORTED_FORMATS", "DecodePolicy", "ImageSource", "Limits", "decode_image", "load_image", "sniff"]
