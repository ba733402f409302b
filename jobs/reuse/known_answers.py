"""Answers of earlier runs as a worker takes them over: the row, and the mask and the score map beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core import storage
from inference_core.errors import StorageError
from inference_core.export.native_source import native_bytes
from jobs.reuse.answer_index import AnswerIndex
from jobs.reuse.earlier_runs import EarlierFile
from jobs.reuse.etag_index import EtagIndex, KnownBytes
from jobs.sources.image_ref import ImageRef

PLANE_FOLDERS = {"mask_path": "masks", "map_path": "maps"}
"""Columns that name a file of pixels, and where such files lie below an output."""
MAX_TABLES = 16
"""Files of rows that a process holds: images that stood together before mostly do so again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAnswer:
    """An answer for the bytes at hand."""

    row: dict[str, Any]
    """By column name, as the earlier run has it."""
    run_id: str | None
    """Of the run that inferred it; None where it is this one."""
    engine: str
    plane_uris: Mapping[str, str]
    """Where its mask and its score map are, by column of PLANE_FOLDERS, those that it has."""


class KnownAnswers:
    """What is known before anything is inferred.

    Args:
        folder: of the index; "" where nothing is.
        has_places: whether the index tells what lies where, too.
    """

    def __init__(self, folder: str, *, has_places: bool = False) -> None:
        self._folder = folder
        self._has_places = has_places and folder != ""

    def __contains__(self, key: tuple[str, int]) -> bool:
        """Whether the answer for bytes of this SHA-256 and a page of them is known, its files too."""
        answer = self.find(*key)
        return answer is not None and all(storage.exists(uri) for uri in answer.plane_uris.values())

    def find(self, sha256: str, page: int) -> KnownAnswer | None:
        """The answer for some bytes, None where there is none or its file is gone."""
        if not self._folder:
            return None
        for file, row in self._index.find(sha256, page):
            table = read_rows(file)
            found = table.slice(row, 1).to_pylist()[0] if table is not None and row < len(table) else {}
            if (found.get("sha256"), found.get("page"), found.get("status")) == (sha256, page, "ok"):
                return answer_of(found, file)
        return None

    def find_unread(self, ref: ImageRef) -> KnownBytes | None:
        """What an image is whose bytes need not be read: it lies where it lay, unchanged, and its answer is known."""
        found = self._etags.find(ref) if self._has_places else None
        return found if found is not None and (found.sha256, found.page) in self else None

    @cached_property
    def _index(self) -> AnswerIndex:
        return AnswerIndex(self._folder)

    @cached_property
    def _etags(self) -> EtagIndex:
        return EtagIndex(self._folder)


NO_ANSWERS = KnownAnswers("")


def answer_of(row: dict[str, Any], file: EarlierFile) -> KnownAnswer:
    """A row of an earlier run as an answer of this one."""
    return KnownAnswer(
        row=row,
        run_id=row.get("reused_from") or file.run_id,
        engine=file.engine,
        plane_uris=plane_uris_of(row, file.output),
    )


def plane_uris_of(row: Mapping[str, Any], output: str) -> dict[str, str]:
    """Where the files of a row's pixels are, by column."""
    paths = {column: row.get(column) for column in PLANE_FOLDERS}
    return {column: storage.join(output, *path.split("/")) for column, path in paths.items() if path}


@lru_cache(maxsize=MAX_TABLES)
def read_rows(file: EarlierFile) -> pa.Table | None:
    """The rows of a file, None where it is gone or damaged: its images are inferred again."""
    try:
        return pq.read_table(native_bytes(storage.read_bytes(storage.join(file.output, *file.path.split("/")))))
    except (StorageError, pa.ArrowException, OSError):
        return None
