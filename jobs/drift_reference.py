"""The earlier run that a job's values are held to."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference_core import storage
from inference_core.errors import ConfigError, MissingObjectError, StorageError
from inference_core.stats.drift import drift_of, drift_of_classes
from inference_core.stats.histogram import NUM_BINS
from inference_core.stats.summary import Summary
from inference_core.validation import Frozen, build_settings
from jobs.config import JobConfig
from jobs.report.drift_facts import DriftFacts

KEY = "drift_reference"
JSON_SUFFIX = ".json"
KEPT_FILE = "drift_reference.json"
"""In the output: what was read when the run began."""
SUMMARY_PATH = ("report", "summary.json")


class Histogram(Frozen):
    """As ``summary.json`` has it."""

    low: float
    high: float
    counts: tuple[int, ...]


class Reference(Frozen):
    """What is read of an earlier run's ``summary.json``."""

    uri: str
    run_id: str
    task: str
    histograms: dict[str, Histogram]
    """By quantity, 64 bins from 0 to 1."""
    images_by_class: dict[str, int]


def read_reference(uri: str, *, task: str) -> Reference:
    """Read a reference.

    Args:
        uri: a ``summary.json``, or the output of a finished run.
        task: of the run that is held to it.

    Raises:
        ConfigError: there is none, it is no such file, or it is of another task.
    """
    place = uri if uri.endswith(JSON_SUFFIX) else storage.join(uri, *SUMMARY_PATH)
    try:
        data: dict[str, Any] = json.loads(storage.read_bytes(place))
        found = Reference(
            uri=storage.mask_secrets(place),
            run_id=str(data["run"]["run_id"]),
            task=data["task"],
            histograms={name: Histogram(**part) for name, part in data["histograms"].items()},
            images_by_class={row["label"]: row["images"] for row in data["classes"]},
        )
    except StorageError as exc:
        raise ConfigError(f"must be a finished run or its report/summary.json, got {uri} ({exc})", key=KEY) from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(
            f"must be a summary.json of a run, got {storage.mask_secrets(place)}, which is none ({exc!r}); correct it",
            key=KEY,
        ) from exc
    if found.task != task:
        raise ConfigError(
            f"must be of task {task} as this run, got {found.task} in {found.uri}; choose another", key=KEY
        )
    return found


def find_reference(config: JobConfig, *, task: str) -> Reference | None:
    """The reference that a command names and the run does not keep yet.

    Raises:
        ConfigError: it cannot be read, or is of another task.
    """
    if config.drift_reference is None or storage.exists(storage.join(config.output, KEPT_FILE)):
        return None
    return read_reference(config.drift_reference, task=task)


def keep_reference(output: str, reference: Reference | None) -> None:
    """Store what is read of a reference beside the run's results, so that its end does not depend on another place."""
    if reference is not None:
        storage.create(storage.join(output, KEPT_FILE), reference.model_dump_json(indent=1).encode())


def kept_reference(output: str) -> Reference | None:
    """The reference of a run, None where it has none.

    Raises:
        ConfigError: the file is damaged.
    """
    uri = storage.join(output, KEPT_FILE)
    try:
        return build_settings(Reference, json.loads(storage.read_bytes(uri)), origin=uri)
    except MissingObjectError:
        return None
    except ValueError as exc:
        raise ConfigError(f"must be as it was written, got {uri} ({exc}); delete it to go without", key=KEY) from exc


def drift_from(reference: Reference, summary: Summary) -> DriftFacts:
    """How far a run's values lie from the reference: exact, from histograms that were merged of all shards."""
    names = [name for name in summary.class_names if name in reference.images_by_class]
    ids = {name: index for index, name in enumerate(summary.class_names)}
    drifts = {}
    if names:
        images = [
            [reference.images_by_class[name] for name in names],
            [summary.classes.images[ids[name]] for name in names],
        ]
        drifts["classes"] = drift_of_classes(*(np.array(counts, np.int64) for counts in images))
    for name, histogram in summary.histograms.items():
        other = reference.histograms.get(name)
        if other is not None and len(other.counts) == NUM_BINS:
            drifts[name] = drift_of(as_counts(other.counts), as_counts(histogram.counts))
    return DriftFacts(
        reference=reference.uri,
        run_id=reference.run_id,
        drifts={name: drift for name, drift in drifts.items() if drift is not None},
    )


def as_counts(counts: tuple[int, ...]) -> NDArray[np.int64]:
    """Counts as an array."""
    return np.array(counts, np.int64)
