"""How many labelled images a fit needs: below, its result says more about them than about the model."""

from __future__ import annotations

from types import MappingProxyType

from inference_core.errors import ConfigError

LEAST_IMAGES = MappingProxyType({"temperature": 20, "platt": 50, "isotonic": 200, "thresholds": 20})
"""On the fitting side, of answers that are one for each image. One number is found by a few dozen, a curve is not."""
ENOUGH_IMAGES = MappingProxyType({"temperature": 200, "platt": 500, "isotonic": 1000, "thresholds": 200})
"""From which on no warning is given."""
LEAST_MASKS, ENOUGH_MASKS = 2, 10
"""Of masks, each of which holds many pixels that are not independent of one another."""
LEAST_OF_CLASS = 20
"""Images for a curve of one class's own; a class with fewer has that of all."""


def check_enough(what: str, count: int, *, are_masks: bool = False) -> str:
    """Whether so many images are enough.

    Args:
        what: a key of LEAST_IMAGES.
        count: labelled images to fit on.
        are_masks: whether the labels are masks.

    Returns:
        A warning, "" where they are enough.

    Raises:
        ConfigError: they are too few for anything.
    """
    least = LEAST_MASKS if are_masks else LEAST_IMAGES[what]
    enough = ENOUGH_MASKS if are_masks else ENOUGH_IMAGES[what]
    if count < least:
        raise ConfigError(
            f"{what} must be fitted on at least {least} labelled images, got {count} (and others to measure it "
            f"on); label {least - count} more on each side, or raise --fit-frac",
            key="--fit",
        )
    return "" if count >= enough else f"{what} fitted on {count} images may be chance; from {enough} on it hardly is"
