"""Read and prepare the images of a shard: the first verb of a run, in whatever process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from inference_core import storage
from inference_core.items import PreparedItem, StageMs
from inference_core.pipeline import build_preparer
from inference_core.preparer import Preparer, PrepareSource, elapsed_ms
from inference_core.provenance import sha256_hex
from inference_core.records import SourceFacts
from jobs.fetch import fetch_images
from jobs.golden import check_preparing
from jobs.manifest import read_refs
from jobs.planned_package import read_package
from jobs.process_threads import set_process_threads
from jobs.reuse.known_answers import KnownAnswers
from jobs.sources.image_ref import ImageRef
from jobs.stage_settings import StageSettings


class PrepareWorker:
    """What a process keeps to prepare shards of one run."""

    def __init__(self, settings: StageSettings) -> None:
        self._settings = settings
        limits = settings.limits
        package = read_package(settings)
        if settings.checks_golden:
            check_preparing(package)
        self._preparer = build_preparer(package, limits=limits.to_limits(), max_fit_pixels=limits.max_fit_pixels)
        self._page = package.spec.input.decode.page
        self._known = KnownAnswers(settings.known_answers, has_places=settings.reuses_by_etag)

    def prepare(self, shard_id: int) -> Iterator[PreparedItem]:
        """The prepared items of a shard, in order, read ahead where reading is slow."""
        return self.prepare_refs(self.read_refs(shard_id))

    def read_refs(self, shard_id: int) -> list[ImageRef]:
        """The listed images of a shard, in order."""
        return list(read_refs(self._settings.manifest.read_shard(shard_id)))

    def prepare_refs(self, refs: Sequence[ImageRef]) -> Iterator[PreparedItem]:
        """The prepared items of some images of a shard."""
        settings = self._settings
        unread = {ref.image_id: found for ref in refs if (found := self._known.find_unread(ref)) is not None}
        to_read = [ref for ref in refs if ref.image_id not in unread]
        fetched = fetch_images(to_read, max_bytes=settings.limits.max_bytes, bytes_column=settings.bytes_column)
        seen: set[tuple[str, int]] = set()
        for ref in refs:
            if (found := unread.get(ref.image_id)) is not None:
                yield known_item(ref, size_bytes=found.size_bytes, sha256=found.sha256, page=found.page, fetch_ms=0.0)
                continue
            started = time.perf_counter()
            source = next(fetched)
            fetch_ms = elapsed_ms(started)
            if not isinstance(source, bytes):
                yield prepare_ref(self._preparer, ref, source, fetch_ms=fetch_ms)
                continue
            key = sha256_hex(source), self._page if ref.page is None else ref.page
            if key in self._known or key in seen:
                yield known_item(ref, size_bytes=len(source), sha256=key[0], page=key[1], fetch_ms=fetch_ms)
                continue
            item = prepare_ref(self._preparer, ref, source, fetch_ms=fetch_ms, sha256=key[0])
            if item.status == "ok" and not settings.infers_duplicates:
                seen.add(key)
            yield item


def known_item(ref: ImageRef, *, size_bytes: int, sha256: str, page: int, fetch_ms: float) -> PreparedItem:
    """An image with nothing to infer: the sink takes its answer over. It counts where batches are formed, as do images
    that cannot be decoded.
    """
    facts = replace(source_facts(ref), size_bytes=size_bytes, sha256=sha256, page=page)
    return PreparedItem(source=facts, stage_ms=StageMs(fetch=fetch_ms))


def prepare_ref(
    preparer: Preparer, ref: ImageRef, source: PrepareSource, *, fetch_ms: float = 0.0, sha256: str = ""
) -> PreparedItem:
    """The prepared item of a listed image."""
    return preparer.prepare(
        source,
        image_id=ref.image_id,
        uri=storage.mask_secrets(ref.uri),
        page=ref.page,
        frame_index=ref.frame_index,
        time_s=ref.time_s,
        fetch_ms=fetch_ms,
        sha256=sha256,
    )


def source_facts(ref: ImageRef) -> SourceFacts:
    """What is known of a listed image that nobody has touched."""
    return SourceFacts(
        image_id=ref.image_id,
        uri=storage.mask_secrets(ref.uri),
        page=ref.page or 0,
        frame_index=ref.frame_index,
        time_s=ref.time_s,
    )


@lru_cache(maxsize=1)
def prepare_worker(settings: StageSettings) -> PrepareWorker:
    """This process's PrepareWorker; tasks come and go, the process and its worker stay."""
    set_process_threads(settings.num_threads)
    return PrepareWorker(settings)
