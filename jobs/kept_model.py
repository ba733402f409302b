"""A job's model: a package as it is, or one imported on the fly, or made of a package with the job's own views, and
kept beside the results.

What is kept makes a resumed run independent of the hub and of the source file, and is where workers load the model
from. It is written before the plan, ``model.yaml`` last; a folder that an interrupted command left is completed by the
next one that imports the same, and left alone by all others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from inference_core import storage
from inference_core.enhance.override import override_package, written_elsewhere
from inference_core.errors import ConfigError, MissingObjectError, ModelError
from inference_core.importing.findings import Findings
from inference_core.models.package import SPEC_FILE, ModelPackage, load_package, trusted
from jobs.config import JobConfig, dump_settings
from jobs.plan import Plan, find_plan, read_plan
from jobs.planning_traces import KEPT_FOLDER, KEPT_RECORD

FACTS_FLAG = "--set model_facts."
SAID_BY_JOBS = ("tta", "dropout", "statistics", "quality")
"""Settings of a job that stand in the place of what the package declares, and make another model of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobModel:
    """What a job infers with."""

    package: ModelPackage
    """Where workers find it."""
    imported: Findings | None = None
    """What was found, where this command imported it."""


def find_model(config: JobConfig) -> JobModel:
    """The package of a job.

    Raises:
        ConfigError: there is no model, it does not tell all facts, or the output belongs to another run.
        ModelError: the model does not load or does not work.
    """
    from inference_core.importing.importer import open_model

    kept = find_kept(config)
    if kept is not None:
        return JobModel(package=kept)
    trusts_code = config.trust_package_code
    with (
        open_model(config.model, said=config.model_facts, flag=FACTS_FLAG, trusts_code=trusts_code) as (
            package,
            findings,
        ),
        as_job_says(config, package, findings) as said,
    ):
        if said is package and findings is None:
            return JobModel(package=package)
        find_plan(config, said)  # refuses an output of something else before anything is written into it
        return JobModel(package=keep_model(said, config), imported=findings)


def model_of_run(config: JobConfig, plan: Plan) -> ModelPackage:
    """The package that gave a run's answers.

    Raises:
        ConfigError: it is gone, or another one since.
        ModelError: it does not load.
    """
    package = find_model(config).package
    check_gave(package, plan, key="model")
    return package


def check_gave(package: ModelPackage, plan: Plan, *, key: str) -> None:
    """Raise ConfigError, naming a setting, for a package that did not give a run's answers."""
    expected = str(plan.identity["model_digest"])
    if package.digest != expected:
        raise ConfigError(
            f"must be the run's package {expected[:12]}, got {package.digest[:12]} at {package.uri}; name the one that "
            "the run used",
            key=key,
        )


@contextmanager
def as_job_says(config: JobConfig, package: ModelPackage, findings: Findings | None) -> Iterator[ModelPackage]:
    """The package with what the job says in its place (views, dropout, statistics, rules), in a folder of its own until
    the context ends; the package itself where the job says nothing.

    Raises:
        ConfigError: it does not fit the package, or that was imported on the fly.
    """
    said = [key for key in SAID_BY_JOBS if getattr(config, key) is not None]
    if not said:
        yield package
        return
    if findings is not None:
        key = said[0]
        raise ConfigError(f"must go with a model package, got {config.model}; set model_facts.{key} instead", key=key)
    other = override_package(
        package, tta=config.tta, dropout=config.dropout, statistics=config.statistics, quality=config.quality
    )
    with written_elsewhere(other) as derived:
        yield derived


def find_kept(config: JobConfig) -> ModelPackage | None:
    """The package that a run keeps, if the command names the same model with the same facts."""
    plan = read_plan(config.output)
    if plan is None:
        return None
    named = dump_settings(config)
    defaults: dict[str, Any] = {"model": None, "model_facts": {}, **dict.fromkeys(SAID_BY_JOBS)}
    if any(plan.config.get(key, default) != named[key] for key, default in defaults.items()):
        return None
    for folder in kept_folders(config.output, digest=str(plan.identity["model_digest"])):
        if read_record(folder) is not None:
            package = load_complete(folder)
            if package is not None and package.digest == plan.identity["model_digest"]:
                return trusted(package) if config.trust_package_code else package
    return None


def keep_model(package: ModelPackage, config: JobConfig) -> ModelPackage:
    """Copy a package into the output, unless it is there.

    Commands that do so at once write the same bytes.
    """
    record = {"schema": 1, "model_digest": package.digest, "source": storage.mask_secrets(config.model)}
    for folder in kept_folders(config.output, digest=package.digest):
        is_own = storage.create(storage.join(folder, KEPT_RECORD), (json.dumps(record) + "\n").encode())
        if is_own or (read_record(folder) or {}).get("model_digest") == package.digest:
            found = load_complete(folder)
            kept = found if found is not None and found.digest == package.digest else copy_package(package, folder)
            return trusted(kept) if package.code.is_trusted else kept
    raise ConfigError(f"must be empty or hold this run, got {folder} with another model; clear it", key="output")


def kept_folders(output: str, *, digest: str) -> Iterator[str]:
    """Where a package may be kept: the second only where an interrupted command left another model in the first."""
    yield storage.join(output, KEPT_FOLDER)
    yield storage.join(output, f"{KEPT_FOLDER}-{digest[:16]}")


def read_record(folder: str) -> dict[str, Any] | None:
    """What a kept folder says of itself, None where it is none."""
    try:
        record = json.loads(storage.read_bytes(storage.join(folder, KEPT_RECORD)))
    except (MissingObjectError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def load_complete(folder: str) -> ModelPackage | None:
    """The package in a folder, None where its writing was interrupted or it was damaged since."""
    try:
        return load_package(folder)
    except (ConfigError, ModelError):
        return None


def copy_package(package: ModelPackage, folder: str) -> ModelPackage:
    """Copy all files of a package, ``model.yaml`` last, since its presence makes the package."""
    files = [found for found in storage.list_objects(package.uri) if found.path != SPEC_FILE]
    for found in files:
        storage.replace(storage.join(folder, found.path), storage.read_bytes(found.uri))
    storage.replace(storage.join(folder, SPEC_FILE), storage.read_bytes(storage.join(package.uri, SPEC_FILE)))
    return load_package(folder)
