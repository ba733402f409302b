"""How many of what run at a time."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from inference_core.validation import Frozen


class Pools(Frozen):
    """How many of what run at a time, and what Ray reserves for each."""

    layout: Literal["split", "whole"]
    actors: int = Field(gt=0)
    """The most there are."""
    min_actors: int | None = Field(default=None, gt=0)
    """What a pool that grows and shrinks begins with; None or ``actors`` for a fixed pool."""
    prepare_tasks: int = Field(ge=0)
    """0 in the whole layout."""
    actor_gpus: float = Field(ge=0)
    """GPUs of one actor."""
    actor_cpus: float = Field(ge=0)
    prepare_cpus: float = Field(ge=0)
    commit_cpus: float = Field(ge=0)
