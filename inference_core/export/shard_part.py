"""What a format makes of one shard, and how the parts of all shards become its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from inference_core.export.annotated_image import AnnotatedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPart:
    """One shard in one format."""

    lines: Mapping[str, Sequence[str]]
    """Entries of the merged files, by section, each a line of text."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Files of single images, by path below the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """The place of a section in a merged file."""

    section: str
    between: str = ",\n"
    """What stands between two entries."""
    closing: str = ""
    """What stands behind the last one, where there is any."""
    is_numbered: bool = False
    """Whether entries are JSON objects that get an ``id``, from 1."""


MergedFile = Sequence[str | Lines]
"""Texts and sections in turn."""


class Writer(Protocol):
    """One format."""

    @property
    def sections(self) -> tuple[str, ...]:
        """Names of what a part's ``lines`` hold."""

    @property
    def merged_files(self) -> Mapping[str, MergedFile]:
        """Files of the whole run, by path below the target."""

    def write(self, images: Sequence[AnnotatedImage]) -> ShardPart:
        """One shard; the same whatever was written before."""
