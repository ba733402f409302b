"""Which shards a worker died or hung on: the next command, too, does them in quarantine and nowhere else."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence

from inference_core import storage
from inference_core.errors import JobError

SUSPECTS = "_suspects"


def note_suspects(output: str, shard_ids: Sequence[int]) -> None:
    """Keep that shards are to be done in quarantine, unless all of them are known already."""
    if set(shard_ids) - read_suspects(output):
        uri = storage.join(output, SUSPECTS, f"{secrets.token_hex(8)}.json")
        storage.create(uri, json.dumps({"shard_ids": sorted(shard_ids)}).encode())


def read_suspects(output: str) -> frozenset[int]:
    """All shards that were ever noted.

    Raises:
        JobError: a note is damaged.
    """
    found: set[int] = set()
    for entry in storage.list_objects(storage.join(output, SUSPECTS), recursive=False):
        try:
            found.update(int(shard_id) for shard_id in json.loads(storage.read_bytes(entry.uri))["shard_ids"])
        except (ValueError, TypeError, KeyError) as exc:
            raise JobError(f"{entry.uri} must be a note of shards, got another content ({exc}); delete it") from exc
    return frozenset(found)
