"""How large an input may be. Every check runs on header values, before any pixel is allocated."""

from __future__ import annotations

from dataclasses import dataclass, fields

from inference_core.errors import ConfigError, TooLargeError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one input; over any of them the image is ``too_large``.

    Decoding an 8-bit image needs, beside the file, 6 to 14 bytes of memory per pixel by format (18 for WebP), of
    which 3 are the result. The default of 100 million pixels is thus up to 1.8 GB for the largest image let through.
    """

    max_bytes: int = 256 * 1024 * 1024
    """Largest file in bytes."""
    max_pixels: int = 100_000_000
    """Largest width times height of one page or frame."""
    max_side_px: int = 65_535
    """Largest width or height; 65,535 is what a JPEG can hold."""
    max_frames: int = 10_000
    """Most pages or frames in one file, whichever of them is read."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value < 1:
                raise ConfigError(f"{field.name} must be at least 1, got {value}; give a positive limit")

    def check_bytes(self, num_bytes: int) -> None:
        """Raise TooLargeError for a file over ``max_bytes``."""
        if num_bytes > self.max_bytes:
            raise _over("size in bytes", num_bytes, "max_bytes", self.max_bytes)

    def check_size(self, *, width: int, height: int) -> None:
        """Raise TooLargeError for a page over ``max_side_px`` or ``max_pixels``."""
        if max(width, height) > self.max_side_px:
            raise _over(f"longer side of {width}x{height}", max(width, height), "max_side_px", self.max_side_px)
        if width * height > self.max_pixels:
            raise _over(f"pixels of {width}x{height}", width * height, "max_pixels", self.max_pixels)

    def check_frames(self, num_frames: int) -> None:
        """Raise TooLargeError for a file of more than ``max_frames`` pages or frames."""
        if num_frames > self.max_frames:
            raise _over("number of frames", num_frames, "max_frames", self.max_frames)


def _over(what: str, value: int, name: str, limit: int) -> TooLargeError:
    return TooLargeError(f"{what} must be at most {limit}, got {value}; raise {name} if this image is meant to be read")
