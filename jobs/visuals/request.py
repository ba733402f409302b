"""What drawing needs to know of a run besides its rows."""

from __future__ import annotations

from dataclasses import dataclass

from inference_core.errors import ConfigError
from inference_core.images import DecodePolicy, Limits
from inference_core.preparer import decode_policy
from inference_core.spec import ModelSpec
from inference_core.visualize.palette import Palette, build_palette
from jobs.afterwards_config import VisualsConfig
from jobs.config import JobConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class VisualRequest:
    """Which images are drawn, and how they are read."""

    settings: VisualsConfig
    policy: DecodePolicy
    """As the package reads images."""
    limits: Limits
    """The run's: what was too large for it is not drawn either."""
    palette: Palette
    bytes_column: str | None
    """Of Parquet files that hold images."""


def visual_request(config: JobConfig, spec: ModelSpec) -> VisualRequest | None:
    """What a job's settings ask for, None where that is nothing.

    Args:
        config: of the job.
        spec: of its model.

    Raises:
        ConfigError: there are too few colours, or one is none.
    """
    if not config.visuals.is_wanted:
        return None
    try:
        palette = build_palette(config.visuals.palette, num_classes=len(spec.classes))
    except ConfigError as exc:
        raise ConfigError(str(exc).removeprefix("palette: "), key="visuals.palette") from exc
    return VisualRequest(
        settings=config.visuals,
        policy=decode_policy(spec.input.decode),
        limits=config.limits.to_limits(),
        palette=palette,
        bytes_column=config.source.bytes_column,
    )
