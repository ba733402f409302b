"""The plan: what a run will do, fixed before it starts. The same command again finds it and goes on."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow.compute as pc
import yaml

from inference_core import storage
from inference_core.engine_choice import EngineChoice
from inference_core.errors import ConfigError, JobError, MissingObjectError
from inference_core.execution_choice import BatchChoice, ExecutionChoice
from inference_core.models.package import ModelPackage
from inference_core.output_spec import TaskName
from inference_core.provenance import changed_keys, digest_of, sha256_hex
from inference_core.validation import Frozen, build_settings
from jobs.config import JobConfig, identity_of
from jobs.engine_sample import choose_job_execution, may_be_open
from jobs.golden import GoldenNote, Prove
from jobs.manifest import collect_listing, encode_manifest
from jobs.planning_traces import find_foreign
from jobs.shards import Shards, cut_shards, default_rows_per_shard
from jobs.sources.folder import InputObject, list_inputs

PLAN_FILE = "plan.json"
MANIFEST_FILE = "manifest.parquet"
PLAN_SCHEMA = 1


class Plan(Frozen):
    """``plan.json``."""

    schema_version: int
    run_id: str
    """Names the run: from its identity and its listing."""
    identity: dict[str, Any]
    """Settings and model digest that a resumed run must have too."""
    config: dict[str, Any]
    """The resolved settings of the command that planned."""
    model_name: str
    task: TaskName
    classes: tuple[str, ...]
    num_rows: int
    num_bytes: int
    """Encoded bytes of all files as listed."""
    num_left_out: int
    """Files that include and exclude left out."""
    shard_runs: tuple[tuple[int, int], ...]
    """(count, rows) pairs in order."""
    manifest_file: str
    """Name of the stored listing; another one only where an interrupted planning left its own."""
    manifest_sha256: str
    engine_choice: EngineChoice | None = None
    """With ``execution.engine: auto`` or a precision lower than fp32: what was measured and chosen, for this and every
    later command of the run."""
    batch_choice: BatchChoice | None = None
    """With ``execution.batch_size: auto``: likewise."""
    golden: GoldenNote | None = None
    """What became of the package's golden images before this was planned."""

    @property
    def shards(self) -> Shards:
        """How the rows are cut."""
        return Shards(self.shard_runs)


def find_plan(config: JobConfig, package: ModelPackage) -> Plan | None:
    """The plan at the output if it is of this run; None where the output is free and the input holds something.

    Raises:
        ConfigError: the output holds another run or other files, or the input holds nothing.
        StorageError: the output cannot be written, or its store does not keep what create-only writes promise.
    """
    found = read_plan(config.output)
    if found is not None:
        check_same_run(found, config, package)
        check_manifest(config.output, found)
        return found
    check_output_is_free(config.output)
    check_input_holds_something(config)
    if not storage.is_local(config.output):
        storage.check_create_only(config.output)
    return None


def read_plan(output: str) -> Plan | None:
    """The plan stored at an output, None where there is none."""
    uri = storage.join(output, PLAN_FILE)
    try:
        data = json.loads(storage.read_bytes(uri))
    except MissingObjectError:
        return None
    except ValueError as exc:
        raise ConfigError(
            f"must hold a run, got {uri}, which is no JSON ({exc}); restore the file", key="output"
        ) from exc
    if not isinstance(data, dict):
        raise ConfigError(f"must hold a run, got {uri}, which is no plan; restore the file", key="output")
    if data.get("schema_version") != PLAN_SCHEMA:
        raise ConfigError(
            f"must be of schema {PLAN_SCHEMA}, got {data.get('schema_version')} in {uri}; finish the run with the "
            "version "
            "that planned it, or choose another output",
            key="output",
        )
    return build_settings(Plan, data, origin=uri)


def load_plan(output: str) -> Plan:
    """The plan stored at an output.

    Raises:
        ConfigError: there is none.
    """
    plan = read_plan(output)
    if plan is None:
        raise ConfigError(f"must hold a run, got {output} without {PLAN_FILE}; check the path", key="output")
    return plan


def check_same_run(plan: Plan, config: JobConfig, package: ModelPackage) -> None:
    """Raise ConfigError, naming each difference, unless the settings are those of the plan."""
    changes = changed_keys(plan.identity, identity_of(config, model_digest=package.digest))
    if not changes:
        return
    lines = "".join(
        f"\n  {key}: the run has {shorten(old)}, this command has {shorten(new)}" for key, old, new in changes
    )
    raise ConfigError(
        f"{config.output} belongs to another run:{lines}\nuse the run's settings to resume it, or choose another "
        "output",
        key="output",
    )


def shorten(value: Any) -> str:
    """A value in at most a line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
    return text if len(text) <= 120 else f"{text[:117]}..."


def check_output_is_free(output: str) -> None:
    """Raise ConfigError where the output holds anything but the traces of an interrupted planning."""
    foreign = find_foreign(output)
    if foreign is not None:
        raise ConfigError(
            f"must be empty or hold this run, got {output} with {foreign}; choose another output or clear it",
            key="output",
        )


def check_input_holds_something(config: JobConfig) -> None:
    """Raise ConfigError where not a single file would be planned."""
    num_left_out = 0
    for entry in list_wanted(config):
        if entry is not None:
            return
        num_left_out += 1
    raise ConfigError(
        f"must hold at least one file, got none below {', '.join(config.input)} ({num_left_out} left out by "
        "include and "
        "exclude); check the path and the globs",
        key="input",
    )


def list_wanted(config: JobConfig) -> Iterator[InputObject | None]:
    """The listing of a job's input; None for each file that is left out."""
    return list_inputs(config.input, include=config.include, exclude=config.exclude, output=config.output)


def make_plan(config: JobConfig, package: ModelPackage, *, prove: Prove | None = None) -> Plan:
    """List the input, cut it into shards, store manifest and plan.

    A plan that another command stored meanwhile is taken over if it is of the same run.

    Args:
        config: the job's settings.
        package: the model, known to work.
        prove: checks its golden images, before the listing unless only that can tell which engine will work.
    """
    golden = prove(None) if prove and not may_be_open(config.execution) else None
    left_out = Counter[str]()
    listing = collect_listing(drop_left_out(list_wanted(config), left_out))
    rows_per_shard = config.execution.rows_per_shard or default_rows_per_shard(listing.num_rows)
    shards = cut_shards(listing.num_rows, rows_per_shard=rows_per_shard)
    manifest = encode_manifest(listing, shards)
    identity = identity_of(config, model_digest=package.digest)
    choice = choose_job_execution(config, package, listing, max_rows=max(rows for _, rows in shards.runs))
    if prove and golden is None:
        golden = prove(choice.engine)
    plan = Plan(
        schema_version=PLAN_SCHEMA,
        run_id=digest_of({"identity": identity, "manifest": sha256_hex(manifest), **decisions(choice)})[:16],
        identity=identity,
        config=config.model_dump(mode="json"),
        model_name=package.spec.name,
        task=package.spec.task,
        classes=package.spec.classes,
        num_rows=listing.num_rows,
        num_bytes=pc.sum(listing["size_bytes"]).as_py(),
        num_left_out=left_out["files"],
        shard_runs=shards.runs,
        manifest_file=store_manifest(config.output, manifest),
        manifest_sha256=sha256_hex(manifest),
        engine_choice=choice.engine,
        batch_choice=choice.batch,
        golden=golden,
    )
    return store_plan(plan, config=config, package=package)


def decisions(choice: ExecutionChoice) -> dict[str, Any]:
    """What a measurement has decided: as much part of a run's name as if it stood in the settings."""
    engine, batch = choice.engine, choice.batch
    return {
        **({"engine": [engine.engine, engine.precision]} if engine else {}),
        **({"batch": [batch.batch_size, batch.size_of_shape]} if batch else {}),
    }


def drop_left_out(entries: Iterable[InputObject | None], left_out: Counter[str]) -> Iterator[InputObject]:
    """The files that are wanted; the others are counted in ``left_out["files"]``."""
    for entry in entries:
        if entry is None:
            left_out["files"] += 1
        else:
            yield entry


def store_manifest(output: str, manifest: bytes) -> str:
    """Write the listing without ever writing over another; its name.

    One that an interrupted planning left, or that another command is about to plan with, stays as it is.
    """
    for name in (MANIFEST_FILE, f"manifest-{sha256_hex(manifest)[:16]}.parquet"):
        uri = storage.join(output, name)
        if storage.create(uri, manifest) or storage.read_bytes(uri) == manifest:
            return name
    raise JobError(f"{uri} must be this run's listing, got other content; clear the output and start again")


def store_plan(plan: Plan, *, config: JobConfig, package: ModelPackage) -> Plan:
    """Write the plan: its creation is what makes the run exist."""
    if storage.create(storage.join(config.output, PLAN_FILE), plan.model_dump_json(indent=1).encode()):
        return plan
    stored = load_plan(config.output)
    check_same_run(stored, config, package)
    check_manifest(config.output, stored)
    return stored


def check_manifest(output: str, plan: Plan) -> None:
    """Raise JobError unless the listing is there and is the one that was planned."""
    uri = storage.join(output, plan.manifest_file)
    try:
        is_planned = sha256_hex(storage.read_bytes(uri)) == plan.manifest_sha256
    except MissingObjectError as exc:
        raise JobError(f"{uri} must exist, got nothing there; restore it, or clear the output and start again") from exc
    if not is_planned:
        raise JobError(
            f"{uri} must be the one that {PLAN_FILE} names, got another, e.g. because two commands planned at once; "
            "restore it, or clear the output and start one command"
        )
