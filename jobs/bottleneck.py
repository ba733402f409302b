"""Which stage holds a run back, told from where the time of its workers goes: expected before a run, found after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inference_core.stats.timings import STAGES
from jobs.report.number_text import plural, rate_text

WRITE = "write"
WORK = (*STAGES, WRITE)
"""What workers do. ``write`` is all that comes behind the last verb: masks, rows, statistics and the commit."""
WAITING = "waiting"
"""What is left of the workers' time: Ray's start, its scheduling and the last shards."""
STAGES_OF_POOL: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "whole": {"workers": WORK},
    "split": {"prepare": ("fetch", "prepare"), "infer": ("infer",), "commit": ("finish", WRITE)},
}
"""Of each layout: who does which stages."""
DOUBLE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """How many work at a time."""

    layout: str
    """whole or split."""
    actors: int
    prepare_tasks: int = 0
    """0 in the whole layout."""
    commit_tasks: int = 0
    """Likewise: those that find room beside all others."""
    num_cores: int = 1
    """CPU cores of the machines."""
    num_gpus: int = 0
    """That actors infer on."""

    def slots(self, pool: str) -> int:
        """Workers of a pool, at least one."""
        counts = {"prepare": self.prepare_tasks, "commit": self.commit_tasks}
        return max(1, counts.get(pool, self.actors))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bottleneck:
    """What held a run back, or will."""

    stage: str
    """One of WORK, or WAITING."""
    sentence: str
    """The same with the figures."""
    advice: str
    """The change that would help most."""
    stage_s: Mapping[str, float]
    """Seconds of all workers together in each stage."""
    pool_s: Mapping[str, float]
    """Seconds that each pool had: its workers times the time."""
    busy_frac: Mapping[str, float]
    """Of each pool: the share of them that was work."""


def find_bottleneck(
    stage_s: Mapping[str, float],
    workers: Workers,
    *,
    pool_s: Mapping[str, float],
    images_per_s: float,
    levers: Mapping[str, str],
    verb: str = "held the run back",
) -> Bottleneck:
    """What holds a run back: the stage that takes most of the busiest pool's time, or the waiting where that is more.

    Args:
        stage_s: seconds of all workers together in each of WORK.
        workers: who did, or will do, the work.
        pool_s: seconds that each pool had: its workers times the time.
        images_per_s: the rate.
        levers: what can be changed where a stage holds the run back, by stage; see ``find_levers``.
        verb: of the sentence.
    """
    loads = [
        PoolLoad(name=pool, pool_s=pool_s[pool], stage_s={stage: stage_s[stage] for stage in stages})
        for pool, stages in STAGES_OF_POOL[workers.layout].items()
    ]
    busiest = max(loads, key=lambda load: load.busy_frac)
    waits = busiest.waiting_s > busiest.stage_s[busiest.stage]
    stage = WAITING if waits else busiest.stage
    others = [load for load in loads if load is not busiest]
    gain = gain_text(busiest, others, workers, images_per_s=images_per_s)
    lever = levers.get(busiest.stage) or "more CPU cores"
    advice = [levers.get(WAITING), f"of the work itself {busiest.stage} takes the most: {lever}"]
    return Bottleneck(
        stage=stage,
        sentence=f"{stage} {verb}: {load_text(busiest, others, workers, first=stage)}",
        advice="; ".join(text for text in (advice if waits else [lever, gain]) if text),
        stage_s=dict(stage_s),
        pool_s=dict(pool_s),
        busy_frac={load.name: load.busy_frac for load in loads},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLoad:
    """How the time of a pool was spent."""

    name: str
    pool_s: float
    stage_s: Mapping[str, float]

    @property
    def stage(self) -> str:
        """The stage that takes the most."""
        return max(self.stage_s, key=lambda stage: self.stage_s[stage])

    @property
    def busy_frac(self) -> float:
        """Share of the time that was work."""
        return sum(self.stage_s.values()) / self.pool_s if self.pool_s else 0.0

    @property
    def waiting_s(self) -> float:
        """What was no work."""
        return max(0.0, self.pool_s - sum(self.stage_s.values()))

    def share_text(self, stage: str) -> str:
        """A stage's share of the time."""
        spent_s = self.waiting_s if stage == WAITING else self.stage_s[stage]
        return f"{spent_s / self.pool_s if self.pool_s else 0.0:.0%}"


def load_text(busiest: PoolLoad, others: Sequence[PoolLoad], workers: Workers, *, first: str) -> str:
    """Where the time of the busiest pool went, and how busy the others were."""
    ordered = sorted(busiest.stage_s, key=lambda stage: -busiest.stage_s[stage])
    rest = ", ".join(f"{stage} {busiest.share_text(stage)}" for stage in (*ordered, WAITING) if stage != first)
    who = plural(workers.slots(busiest.name), name_of(busiest.name, workers))
    text = f"{busiest.share_text(first)} of the {busiest.pool_s:,.1f} s of {who} ({rest})"
    return "; ".join(
        [text, *(f"{name_of(load.name, workers)}s were busy {min(load.busy_frac, 1.0):.0%}" for load in others)]
    )


def name_of(pool: str, workers: Workers) -> str:
    """What one worker of a pool is called."""
    inferring = "GPU actor" if workers.num_gpus else "inferring actor"
    return {"workers": "worker", "prepare": "preparing task", "infer": inferring, "commit": "committing task"}[pool]


def gain_text(busiest: PoolLoad, others: Sequence[PoolLoad], workers: Workers, *, images_per_s: float) -> str:
    """What the rate would be with the stage at half its time, or with more of its pool where others work beside it."""
    if not busiest.pool_s:
        return ""
    if not others:
        rate = images_per_s / (1 - busiest.stage_s[busiest.stage] / busiest.pool_s / DOUBLE)
        return f"with {busiest.stage} at half its time {rate_text(rate)} images/s instead of {rate_text(images_per_s)}"
    following = max(others, key=lambda load: load.busy_frac)
    factor = min(DOUBLE, busiest.busy_frac / following.busy_frac if following.busy_frac else DOUBLE)
    num_more = max(1, round(workers.slots(busiest.name) * (factor - 1)))
    effect = "double the rate" if factor == DOUBLE else f"raise it {factor:.2f} times, up to what {following.name} does"
    more_cores = plural(num_more, "more core")
    if busiest.name == "infer":
        return f"{plural(num_more, 'more GPU') if workers.num_gpus else f'{more_cores} for inferring'} would {effect}"
    each = f"{num_more / workers.num_gpus:.3g} more CPU cores per GPU" if workers.num_gpus else more_cores
    return f"{each} would {effect}"
