"""The error of a model that has no layer for Grad-CAM."""

from __future__ import annotations

from inference_core.errors import ConfigError


class NoLayerError(ConfigError):
    """No layer gives maps that the answer depends on, or no gradient comes through."""
