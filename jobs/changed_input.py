"""What of a run's input was added, changed or removed since it was listed: a merge of two ordered listings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from inference_core import storage
from inference_core.errors import JobError
from inference_core.validation import build_settings
from jobs.config import JobConfig
from jobs.listing import LISTING_FILE, Listing, check_parts, read_listing, read_stored
from jobs.plan import inputs_of, load_plan
from jobs.sources.image_ref import ImageRef
from jobs.sources.inputs import Inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One image that differs."""

    kind: Literal["added", "changed", "removed"]
    image_id: str
    uri: str
    what: str = ""
    """Of a changed one: what is other."""


def compare_input(output: str) -> Iterator[Change]:
    """Differences between the listing that a run stored and its input as it is now, in the order of the listing.

    Args:
        output: the run's folder or prefix.

    Raises:
        ConfigError: there is no run, or its input cannot be listed.
        JobError: its listing was never completed, or a part of it is gone.

    Cost: lists the input once. Holds a few thousand rows; of tables whose rows name images, which have no order of
    their own, two numbers for each row.
    """
    uri = storage.normalise(output)
    config = build_settings(JobConfig, load_plan(uri).config, origin=uri)
    listing = read_listing(uri)
    if listing is None:
        raise JobError(
            f"the input must be listed to its end to be compared, got {uri} without {LISTING_FILE}; run the same "
            "command again"
        )
    check_parts(uri, listing)
    inputs = inputs_of(config)
    now = (entry for entry in inputs.list() if entry is not None)
    if inputs.has_order:
        yield from merge_listings(read_stored(uri, listing), now, inputs=inputs)
    else:
        yield from match_listings(uri, listing, now)


def merge_listings(before: Iterator[ImageRef], now: Iterator[ImageRef], *, inputs: Inputs) -> Iterator[Change]:
    """Differences of two listings in the same order, each read once.

    Args:
        before: the stored one.
        now: the present one.
        inputs: knows the order.
    """
    old, new = next(before, None), next(now, None)
    while old is not None or new is not None:
        if new is None or (old is not None and inputs.place(old) < inputs.place(new)):
            assert old is not None, "one of them is there"
            yield change_of("removed", old)
            old = next(before, None)
        elif old is None or inputs.place(new) < inputs.place(old):
            yield change_of("added", new)
            new = next(now, None)
        else:
            if what := difference(old, new):
                yield change_of("changed", new, what=what)
            old, new = next(before, None), next(now, None)


def match_listings(output: str, listing: Listing, now: Iterator[ImageRef]) -> Iterator[Change]:
    """Differences of two listings whose order may differ: by their ids, of which only hashes are held."""
    facts_of = {hash(ref.image_id): hash((ref.uri, ref.size_bytes, ref.etag)) for ref in read_stored(output, listing)}
    for new in now:
        before = facts_of.pop(hash(new.image_id), None)
        if before is None:
            yield change_of("added", new)
        elif before != hash((new.uri, new.size_bytes, new.etag)):
            yield change_of("changed", new, what="its row says otherwise")
    for old in read_stored(output, listing) if facts_of else ():
        if hash(old.image_id) in facts_of:
            yield change_of("removed", old)


def change_of(kind: Literal["added", "changed", "removed"], ref: ImageRef, *, what: str = "") -> Change:
    """A change of one image."""
    return Change(kind=kind, image_id=ref.image_id, uri=ref.uri, what=what)


def difference(old: ImageRef, new: ImageRef) -> str:
    """What is other of an image in its place, "" for nothing."""
    if old.size_bytes != new.size_bytes:
        return f"{old.size_bytes:,} bytes before, {new.size_bytes:,} now"
    return "another etag" if old.etag != new.etag else ""
