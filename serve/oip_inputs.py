"""The images of a request of the Open Inference Protocol: which tensors it may hold, and what they hold."""

from __future__ import annotations

from collections.abc import Sequence

from inference_core.records import Uint8Array
from serve.answers import ServedModel
from serve.config import RequestLimits
from serve.errors import InvalidRequestError
from serve.oip_metadata import IMAGE, PIXELS, TensorMetadata, input_tensors
from serve.oip_tensors import GivenTensor, read_images, read_pixels
from serve.sent import check_image_bytes, check_num_images


def read_inputs(
    tensors: Sequence[GivenTensor], *, model: ServedModel, limits: RequestLimits
) -> Sequence[bytes | Uint8Array]:
    """The images of a request: encoded, or prepared as (1, h, w, C) uint8 each.

    Raises:
        InvalidRequestError: not exactly one known input of the right datatype and shape.
        BodyTooLargeError: more or larger images than one request may hold.
    """
    known = {metadata.name: metadata for metadata in input_tensors(model)}
    for tensor in tensors:
        if tensor.name not in known:
            raise InvalidRequestError(f"inputs must be among {', '.join(known)}, got {tensor.name!r}; correct the name")
    if len(tensors) != 1:
        raise InvalidRequestError(
            f"inputs must be either {IMAGE} (encoded images) or {PIXELS} (prepared pixels), got {len(tensors)} inputs; "
            "send exactly one"
        )
    (tensor,) = tensors
    check_tensor(tensor, known[tensor.name])
    check_num_images(tensor.shape[0], limits)
    if tensor.name == IMAGE:
        images = read_images(tensor)
        for image in images:
            check_image_bytes(len(image), limits)
        return images
    pixels = read_pixels(tensor)
    return [pixels[index : index + 1] for index in range(len(pixels))]


def check_tensor(tensor: GivenTensor, metadata: TensorMetadata) -> None:
    """Raise InvalidRequestError unless datatype and shape are those of the metadata."""
    if tensor.datatype != metadata.datatype:
        raise InvalidRequestError(
            f"datatype of input {tensor.name} must be {metadata.datatype}, got {tensor.datatype!r}; "
            f"{'send the bytes of image files' if tensor.name == IMAGE else 'send prepared pixels, not normalised'}"
        )
    shape = tensor.shape
    expected = (-1, 1) if tensor.name == IMAGE and len(shape) == 2 else metadata.shape
    if len(shape) != len(expected) or any(
        size < 1 or (wanted != -1 and size != wanted) for size, wanted in zip(shape, expected, strict=True)
    ):
        allowed = f"{list(metadata.shape)} or [-1, 1]" if tensor.name == IMAGE else f"{list(metadata.shape)}"
        raise InvalidRequestError(
            f"shape of input {tensor.name} must be {allowed}, where -1 is any size from 1, got {list(shape)}; "
            "the first axis is the images"
        )
