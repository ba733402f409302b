"""Which faults strike where and when: drawn from a seed alone."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

Place = Literal["local", "cluster", "s3"]
"""``local``: the command's own Ray, with its head start, on disk. ``cluster``: a cluster of several nodes, on disk.
``s3``: the same cluster, images and output on S3."""

EARLIEST, LATEST = 0.05, 0.6
"""Share of the shards that are committed when a fault strikes: later ones could come after the end of a quick run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One way in which a fault of some kind shows."""

    place: Place
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fault in one run."""

    number: int
    kind: str
    place: Place
    how: str
    moment: float
    """Share of the shards that are committed when it strikes."""
    seed: int
    """Of everything else that is left to chance."""


def scenes(**hows: str) -> tuple[Scene, ...]:
    """Scenes by place, separated by a semicolon."""
    places: dict[str, Place] = {"local": "local", "cluster": "cluster", "s3": "s3"}
    return tuple(
        Scene(place=places[place], how=how.strip()) for place, listed in hows.items() for how in listed.split(";")
    )


KINDS: dict[str, tuple[Scene, ...]] = {
    "kill-actor": scenes(cluster="whole; split", s3="split", local="whole"),
    "kill-task": scenes(cluster="PrepareShards; CommitShards", s3="PrepareShards", local="CommitShards"),
    "kill-node": scenes(cluster="GPU, gone; GPU, replaced; CPU, replaced; CPU, gone, whole", s3="GPU, gone"),
    "kill-driver": scenes(local="whole; split", cluster="split; whole", s3="split"),
    "stop-driver": scenes(local="whole", cluster="split; whole", s3="split"),
    "two-drivers": scenes(cluster="both at once; first killed; lease lost", s3="lease lost", local="dead machine"),
    "s3-faults": scenes(s3="503 429 reset; lost-answer cut; 503 reset lost-answer, hang"),
    "s3-outage": scenes(s3="503; reset"),
    "full-disk": scenes(local="whole", cluster="split"),
    "poison": scenes(cluster="segv, split; segv, whole", local="abort, whole", s3="segv, split"),
    "memory": scenes(cluster="hog, whole", local="hog, split"),
    "hang": scenes(cluster="stopped actor; sleep; stopped task", local="sleep", s3="stopped actor"),
    "lost-cluster": scenes(cluster="split", s3="whole"),
}
"""What can be struck, and where."""


def draw_cases(seed: int, count: int, kinds: Sequence[str]) -> list[Case]:
    """So many cases, the kinds in turn and the scenes of each kind in turn.

    Args:
        seed: the same one gives the same cases.
        count: how many.
        kinds: names among KINDS.
    """
    drawn = random.Random(seed)
    orders = {kind: drawn.sample(KINDS[kind], len(KINDS[kind])) for kind in kinds}
    found: list[Case] = []
    for number in range(count):
        kind = kinds[number % len(kinds)]
        scene = next(islice(orders[kind], number // len(kinds) % len(orders[kind]), None))
        found.append(
            Case(
                number=number + 1,
                kind=kind,
                place=scene.place,
                how=scene.how,
                moment=round(drawn.uniform(EARLIEST, LATEST), 3),
                seed=drawn.randrange(1 << 30),
            )
        )
    return found
