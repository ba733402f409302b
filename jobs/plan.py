"""The plan: what makes a run, fixed before it starts. The same command again finds it and goes on.

What the run works on is listed afterwards, while the work goes on: see ``listing``.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import yaml

from inference_core import storage
from inference_core.engine_choice import EngineChoice
from inference_core.errors import ConfigError, MissingObjectError
from inference_core.execution_choice import BatchChoice, ExecutionChoice
from inference_core.export.mask_files import PlaneOutput
from inference_core.input_spec import InputSpec
from inference_core.models.package import ModelPackage
from inference_core.output_spec import TaskName
from inference_core.provenance import changed_keys
from inference_core.validation import Frozen, build_settings
from jobs.config import JobConfig, ResultsConfig, dump_settings
from jobs.decisions import decisions_of
from jobs.engine_sample import choose_job_execution, may_be_open
from jobs.golden import GoldenNote, Prove
from jobs.identity import identity_of
from jobs.manifest import cut_parts
from jobs.plane_budget import PlaneChoice, choose_planes, planned_planes
from jobs.planning_traces import find_foreign
from jobs.sources.inputs import Inputs

PLAN_FILE = "plan.json"
PLAN_SCHEMA = 2


class Plan(Frozen):
    """``plan.json``."""

    schema_version: int
    run_id: str
    """Names the run, and no other."""
    identity: dict[str, Any]
    """Settings and model digest that a resumed run must have too."""
    config: dict[str, Any]
    """The resolved settings of the command that planned."""
    model_name: str
    task: TaskName
    classes: tuple[str, ...]
    engine_choice: EngineChoice | None = None
    """With ``execution.engine: auto`` or a precision lower than fp32: what was measured and chosen, for this and every
    later command of the run."""
    batch_choice: BatchChoice | None = None
    """With ``execution.batch_size: auto``: likewise."""
    planes: PlaneChoice | None = None
    """With ``results.budget_gb``: how masks are kept, and the forecast that decided."""
    golden: GoldenNote | None = None
    """What became of the package's golden images before this was planned."""
    decisions: dict[str, Any] | None = None
    """How the package makes answers of scores; see ``decisions_of``."""

    @property
    def kept_planes(self) -> PlaneOutput:
        """What the run keeps of pixels."""
        return planned_planes(ResultsConfig.model_validate(self.config["results"]), self.planes)


def find_plan(config: JobConfig, package: ModelPackage) -> Plan | None:
    """The plan at the output if it is of this run; None where the output is free and the input holds something.

    Raises:
        ConfigError: the output holds another run or other files, or the input holds nothing.
        StorageError: the output cannot be written, or its store does not keep what create-only writes promise.
    """
    found = read_plan(config.output)
    if found is not None:
        check_same_run(found, config, package)
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
    for entry in inputs_of(config).list():
        if entry is not None:
            return
        num_left_out += 1
    raise ConfigError(
        f"must hold at least one file, got none below {storage.mask_secrets(', '.join(config.input))} "
        f"({num_left_out} left out by include and exclude); check the path and the globs",
        key="input",
    )


def inputs_of(config: JobConfig) -> Inputs:
    """What a job lists."""
    return Inputs(
        config.input,
        include=config.include,
        exclude=config.exclude,
        output=config.output,
        options=config.source.to_options(),
    )


def make_plan(config: JobConfig, package: ModelPackage, *, prove: Prove | None = None) -> Plan:
    """Decide what is open, and store the plan.

    A plan that another command stored meanwhile is taken over if it is of the same run.

    Args:
        config: the job's settings.
        package: the model, known to work.
        prove: checks its golden images, before anything is listed unless only that can tell which engine will work.
    """
    is_open = may_be_open(config.execution)
    golden = prove(None) if prove and not is_open else None
    choice = choose_on_first_part(config, package) if is_open else ExecutionChoice()
    if prove and golden is None:
        golden = prove(choice.engine)
    planes = choose_planes(config, package, inputs_of(config).list())
    plan = Plan(
        schema_version=PLAN_SCHEMA,
        run_id=secrets.token_hex(8),
        identity=identity_of(config, model_digest=package.digest),
        config=dump_settings(config),
        model_name=package.spec.name,
        task=package.spec.task,
        classes=package.spec.classes,
        engine_choice=choice.engine,
        batch_choice=choice.batch,
        planes=planes,
        golden=golden,
        decisions=decisions_of(package.spec),
    )
    return store_plan(plan, config=config, package=package)


def prepared_bytes(spec: InputSpec) -> int | None:
    """Bytes of a prepared image (uint8), None where they depend on the image."""
    if spec.size_hw is None or spec.fit == "tile":
        return None
    height, width = spec.size_hw
    return height * width * spec.num_channels


def choose_on_first_part(config: JobConfig, package: ModelPackage) -> ExecutionChoice:
    """What the settings leave open, decided on images of the listing's first part."""
    wanted = (entry for entry in inputs_of(config).list() if entry is not None)
    first = next(cut_parts(wanted, rows_per_shard=config.execution.rows_per_shard))
    return choose_job_execution(config, package, first.listing, max_rows=max(rows for _, rows in first.shards.runs))


def store_plan(plan: Plan, *, config: JobConfig, package: ModelPackage) -> Plan:
    """Write the plan: its creation is what makes the run exist."""
    if storage.create(storage.join(config.output, PLAN_FILE), plan.model_dump_json(indent=1).encode()):
        return plan
    stored = load_plan(config.output)
    check_same_run(stored, config, package)
    return stored
