"""What is done with everything in a file that is not plain upright 8-bit RGB."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args, get_type_hints

from inference_core.errors import ConfigError, DecodeError

Alpha = Literal["white", "black", "drop"]
Cmyk = Literal["profile", "naive"]
Depth = Literal["type_range", "image_range"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodePolicy:
    """Choices that change pixels. They belong to the model package, not to the job.

    Not choices: a truncated image is always an error, and a colour profile of an RGB image is ignored (as in
    the pipelines that models are trained with).
    """

    apply_orientation: bool = True
    """Turn the image upright as its EXIF (else XMP) orientation says."""
    alpha: Alpha = "white"
    """``white`` or ``black``: composite over that colour. ``drop``: ignore alpha, keep the stored colours."""
    cmyk: Cmyk = "profile"
    """``profile``: convert through the embedded ICC profile, naively where there is none or it is broken.
    ``naive``: always ``(1 - c) * (1 - k)``."""
    depth: Depth = "type_range"
    """How more than 8 bits become 8; values are never clipped.

    ``type_range``: the range of the stored type: 65,535 of 16 bits and 4,095 of 12 bits become 255. Float must
    lie in [0, 1]; float outside it and signed integers are ``unsupported``, since nothing says what is white.
    ``image_range``: the image's own minimum becomes 0 and its maximum 255.
    8-bit images are never changed. Pillow hands out 16-bit RGB PNG, and 16-bit RGB TIFF that is neither
    uncompressed nor deflated, as its high bytes already: both settings then give those.
    """
    page: int = 0
    """Page or frame to read, from 0; a file with fewer is a ``decode_error``."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            value, choices = getattr(self, field.name), get_args(hints[field.name])
            if choices and value not in choices:
                raise ConfigError(f"{field.name} must be one of {', '.join(choices)}, got {value!r}")
        if self.page < 0:
            raise ConfigError(f"page must be at least 0, got {self.page}; pages count from 0")

    def check_page(self, num_pages: int) -> None:
        """Raise DecodeError unless a file of ``num_pages`` has the page."""
        if self.page >= num_pages:
            raise DecodeError(f"page must be less than {num_pages}, got {self.page}; this image has {num_pages}")
