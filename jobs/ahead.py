"""What is worked on, and known, before Ray is there."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from inference_core.models.package import ModelPackage
from jobs.config import JobConfig
from jobs.found_state import RunState
from jobs.headstart import can_start_ahead, start_ahead
from jobs.listing import Listing
from jobs.plan import Plan
from jobs.progress import RunProgress
from jobs.resources import available_cpus
from jobs.stage_settings import StageSettings
from jobs.told_stages import index_answers, stage_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """Processes of this machine that work until the pipeline does."""

    num_processes: int = 0
    claims: str = ""
    """Folder where they and the actors claim shards; "" where there are none."""
    known_answers: str | None = None
    """See StageSettings; None where nobody has looked for any yet."""

    def settings(self, config: JobConfig, package: ModelPackage, plan: Plan, listing: Listing) -> StageSettings:
        """What they and the actors are told."""
        known = self.known_answers or ""
        return stage_settings(config, package, plan, listing, known_answers=known, claims=self.claims)


def begin_ahead(
    config: JobConfig,
    package: ModelPackage,
    state: RunState,
    *,
    suspects: frozenset[int],
    progress: RunProgress,
    until_closed: ExitStack,
) -> Ahead:
    """Start processes that work while Ray starts, where it starts on this machine.

    Args:
        config: the settings.
        package: the model.
        state: what is left.
        suspects: shards that are not for them.
        progress: told of answers of earlier runs.
        until_closed: ends them.
    """
    todo = [shard_id for shard_id in state.todo if shard_id not in suspects]
    if not can_start_ahead(config.execution) or not todo:
        return Ahead()
    ahead = Ahead(
        num_processes=min(config.execution.actors or available_cpus(config.execution), len(todo)),
        claims=until_closed.enter_context(TemporaryDirectory(prefix="millrace-claims-", ignore_cleanup_errors=True)),
        known_answers=index_answers(config, state.plan, on_gpus=False, progress=progress),
    )
    settings = ahead.settings(config, package, state.plan, state.listing)
    until_closed.enter_context(start_ahead(settings, todo, num_processes=ahead.num_processes))
    return ahead
