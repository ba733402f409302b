"""What a command finds of a run when it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference_core.importing.findings import Findings
from jobs.commits import CommitLog
from jobs.golden import GoldenNote
from jobs.listing import Listing
from jobs.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """What a command finds when it begins."""

    plan: Plan
    listing: Listing
    """What is listed so far."""
    is_new: bool
    """Whether this command made the plan."""
    todo: Sequence[int]
    """Shards that are not committed."""
    rows_done: int
    """Rows of committed shards."""
    golden: GoldenNote | None = None
    """What became of the package's golden images; None where there is nothing left to do."""
    imported: Findings | None = None
    """What was found of a model that this command imported."""


def find_state(output: str, plan: Plan, listing: Listing, *, is_new: bool) -> RunState:
    """What is committed already and what is left."""
    done = CommitLog(output).committed()
    return RunState(
        plan=plan,
        listing=listing,
        is_new=is_new,
        todo=[shard_id for shard_id in range(len(listing.shards)) if shard_id not in done],
        rows_done=sum(len(listing.shards.rows_of(shard_id)) for shard_id in done if shard_id < len(listing.shards)),
    )
