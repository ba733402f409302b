"""Finish shards that a worker died on: in a child process, so that only the guilty images are lost.

A child says which images it is about to touch. Where it dies, those are tried one after the other in another child; an
image that ends two children is guilty, and gets a row with status ``crashed``. Then the shard is done as an actor would
have done it, with the guilty images left out of the forwards as those that cannot be decoded are.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from inference_core.errors import JobError
from jobs.isolated import Task
from jobs.isolated_process import Death, IsolatedProcess
from jobs.sink import Receipt
from jobs.stage_settings import StageSettings
from jobs.stages import receipts_table

MAX_UNEXPLAINED = 3
"""Deaths on a shard that no image alone explains, before what was worked on is blamed."""

Ask = Callable[[Task], Receipt | Death | None]


class QuarantineShards:
    """Does one shard after the other in child processes. A stage of the pipeline, as ``WholeShards``."""

    def __init__(self, settings: StageSettings) -> None:
        self._process = IsolatedProcess(settings)

    def __call__(self, shards: pa.Table) -> pa.Table:
        """Shard ids in, receipts out."""
        return receipts_table(
            [finish_shard(shard_id, self._process.ask) for shard_id in shards["shard_id"].to_pylist()]
        )

    def close(self) -> None:
        """End the child."""
        self._process.close()


def finish_shard(shard_id: int, ask: Ask) -> Receipt:
    """Commit a shard, whatever its images do to the process that works on them.

    Args:
        shard_id: the shard.
        ask: lets a child do a task; gives a receipt, None for a trial that went well, or how the child died.

    Raises:
        JobError: children die without any image being worked on.
        Exception: whatever the work raised in a child that stayed alive.
    """
    crashed: dict[int, str] = {}
    is_alone, num_unexplained = False, 0
    while True:
        found = ask(Task(shard_id=shard_id, crashed=dict(crashed), is_alone=is_alone))
        if isinstance(found, Receipt):
            return found
        assert isinstance(found, Death), "a shard that is done has a receipt"
        guilty = find_guilty(shard_id, found.positions, ask)
        if not guilty:
            num_unexplained += 1
            guilty = explain(shard_id, found, num_unexplained=num_unexplained, is_alone=is_alone)
            is_alone = True
        crashed.update(guilty)


def explain(shard_id: int, death: Death, *, num_unexplained: int, is_alone: bool) -> dict[int, str]:
    """Whom to blame for a death that no image alone explains: nobody, until it has happened often.

    Raises:
        JobError: it has, and no image was worked on.
    """
    if num_unexplained < MAX_UNEXPLAINED:
        return {}
    if not death.positions:
        raise JobError(
            f"the process that works on shard {shard_id} must stay alive between images, but {death.how}; see the "
            "logs of Ray's workers"
        )
    return {position: error_text(death.how) for position in death.positions} if is_alone else {}


def find_guilty(shard_id: int, positions: tuple[int, ...], ask: Ask) -> dict[int, str]:
    """Which of some images end the process that works on them, twice, and what their rows say.

    Cost: two children for each; the others share one.
    """
    guilty: dict[int, str] = {}
    while positions:
        death = ask(Task(shard_id=shard_id, only=positions))
        if not isinstance(death, Death) or not death.positions:
            break
        suspect = death.positions[0]
        again = ask(Task(shard_id=shard_id, only=(suspect,)))
        if isinstance(again, Death):
            guilty[suspect] = error_text(again.how)
        positions = positions[positions.index(suspect) + 1 :]
    return guilty


def error_text(how: str) -> str:
    """What the row of a guilty image says."""
    return f"the process that worked on the image {how}"
