"""Earlier runs whose answers count in this one: which rows a run may take over, and from which files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inference_core import storage
from inference_core.errors import ConfigError
from jobs.commits import CommitLog
from jobs.plan import Plan, read_plan, shorten


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierFile:
    """Committed rows of an earlier run."""

    output: str
    """The run's folder or prefix."""
    path: str
    """Below it."""
    run_id: str
    engine: str
    """What ran the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRuns:
    """What ``reuse`` names."""

    files: tuple[EarlierFile, ...]
    """Of rows that count; earlier inputs of ``reuse`` and earlier shards first."""
    notes: tuple[str, ...]
    """Of runs that give nothing, why."""


def find_earlier(uris: Sequence[str], plan: Plan, *, on_gpus: bool) -> EarlierRuns:
    """Look at the runs that ``reuse`` names.

    Args:
        uris: outputs of runs, finished or not.
        plan: of this run.
        on_gpus: whether this run infers on GPUs.

    Raises:
        ConfigError: one is no run, or is this run.
        JobError: a commit record is damaged.
    """
    files: list[EarlierFile] = []
    notes: list[str] = []
    for uri in uris:
        earlier = read_earlier_plan(uri, run_id=plan.run_id)
        difference = find_difference(earlier, plan)
        found = [] if difference else list_files(uri, earlier, on_gpus=on_gpus)
        if difference or not found:
            why = difference or f"no answer of it is committed that {'GPUs' if on_gpus else 'CPUs'} gave"
            notes.append(f"nothing of {storage.mask_secrets(uri)} is taken over: {why}")
        files += found
    return EarlierRuns(files=tuple(files), notes=tuple(notes))


def read_earlier_plan(uri: str, *, run_id: str) -> Plan:
    """The plan of an earlier run."""
    try:
        plan = read_plan(uri)
    except ConfigError as exc:
        raise ConfigError(str(exc).removeprefix("output: "), key="reuse") from exc
    shown = storage.mask_secrets(uri)
    if plan is None:
        raise ConfigError(f"must name the output of a run, got {shown} without plan.json; check the path", key="reuse")
    if plan.run_id == run_id:
        raise ConfigError(f"must name other runs, got {shown}, which is this one; remove it", key="reuse")
    return plan


def find_difference(earlier: Plan, own: Plan) -> str:
    """Why rows of an earlier run are not those that this run would give, "" where they are but for the last bits."""
    before, now = facts_that_count(earlier), facts_that_count(own)
    for name, value in now.items():
        if before.get(name) != value:
            return f"its {name} is {shorten(before.get(name))}, this run's is {shorten(value)}"
    limits = earlier.identity["limits"]
    for name, limit in own.identity["limits"].items():
        if limits.get(name, 0) > limit:
            return f"its limits.{name} is {limits[name]}, this run's is {limit}, lower"
    return ""


def facts_that_count(plan: Plan) -> Mapping[str, Any]:
    """What must be equal: the model, what is written, and what runs the model, as measured where it was left open.

    Batch size, compilation and the like move the last bits only, and sources do not matter: bytes are compared.
    """
    execution, choice = plan.identity["execution"], plan.engine_choice
    return {
        "model digest": plan.identity["model_digest"],
        "results": {**plan.identity["results"], **({"masks": plan.planes.masks} if plan.planes else {})},
        "engine": choice.engine if choice else execution["engine"],
        "precision": choice.precision if choice else execution["precision"],
    }


def list_files(uri: str, plan: Plan, *, on_gpus: bool) -> list[EarlierFile]:
    """The files of rows that an earlier run has committed on the kind of device that this one uses."""
    log = CommitLog(uri)
    records = log.read_many(sorted(log.committed()))
    return [
        EarlierFile(output=uri, path=record.data.path, run_id=plan.run_id, engine=record.engine)
        for record in records
        if record.run_id == plan.run_id and record.engine and ran_on_gpus(record.engine) == on_gpus
    ]


def ran_on_gpus(engine: str) -> bool:
    """Whether what ran a model was a GPU."""
    return " on cuda" in engine
