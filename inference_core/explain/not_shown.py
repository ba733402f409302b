"""The error of an image that does not show what is to be explained."""

from __future__ import annotations

from inference_core.errors import UnsupportedError


class NotShownError(UnsupportedError):
    """The answer holds no such class or object."""
