"""Runs in this process that take answers over from earlier ones."""

from __future__ import annotations

from collections.abc import Iterable

from inference_core.models.package import ModelPackage
from jobs.config import JobConfig
from jobs.finalize import Outcome, finalize
from jobs.prepare_worker import prepare_worker
from jobs.progress import Counter, LineProgress
from jobs.stages import WholeShards, commit_worker
from jobs.told_stages import index_answers, stage_settings
from tests.jobs.local_run import list_job, plan_job, shard_table


class Notes(LineProgress):
    """A progress that keeps what is said."""

    def __init__(self) -> None:
        super().__init__(Counter(total=0, done=0), log_format="text")
        self.said: list[str] = []

    def say(self, message: str) -> None:
        """Keep it."""
        self.said.append(message)


def run_with_reuse(
    config: JobConfig, package: ModelPackage, *, shard_ids: Iterable[int] | None = None, notes: Notes | None = None
) -> None:
    """Commit shards of a job, all by default, as the command does but for Ray."""
    plan = plan_job(config, package)
    known = index_answers(config, plan, on_gpus=False, progress=notes or Notes())
    listing = list_job(config)
    settings = stage_settings(config, package, plan, listing, known_answers=known)
    prepare_worker.cache_clear()
    commit_worker.cache_clear()
    WholeShards(settings)(shard_table(range(len(listing.shards)) if shard_ids is None else shard_ids))


def finish(config: JobConfig, package: ModelPackage) -> Outcome:
    """The report of a job whose shards are committed."""
    return finalize(config.output, plan_job(config, package))
