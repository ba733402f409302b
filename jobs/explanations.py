"""Explain the answers of a finished run's review queue: a picture for each, and a table of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import asdict
from typing import Any

from inference_core import storage
from inference_core.errors import InputError, MissingObjectError, StorageError
from inference_core.explain.explainer import Explainer
from inference_core.explain.explanation import Explanation
from inference_core.export.masks import mask_name
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_preparer
from inference_core.preparer import PrepareSource
from inference_core.provenance import canonical_json
from inference_core.visualize.heatmap import encode_png
from jobs.afterwards_config import ExplainConfig
from jobs.config import JobConfig
from jobs.fetch import fetch_images
from jobs.listing import Listing, read_listing
from jobs.manifest import read_refs
from jobs.page_again import write_page_again
from jobs.plan import Plan
from jobs.prepare_worker import prepare_ref
from jobs.report.csv_files import write_csv
from jobs.report.review_rows import ReviewRow
from jobs.retry_plan import read_retries
from jobs.review import read_review
from jobs.sources.image_ref import ImageRef
from jobs.stage_progress import Stages, silent_stages

FOLDER = "explanations"
"""In the output: pictures, named after their images."""
TABLE = ("report", "explanations.csv")
REQUEST = ("report", "explanations.json")
"""What the table answers, so that a repeated command does not do it again."""
COLUMNS = ("rank", "image_id", "uri", "picture", "method", "layer", "class_id", "label", "score", "error")


def check_explain(config: JobConfig, package: ModelPackage) -> None:
    """Refuse settings that the model does not allow, before any worker starts.

    Raises:
        ConfigError: the method, or that it names a layer, does not go with the model.
    """
    settings = config.explain
    if settings.is_wanted:
        Explainer(package, device="cpu").check(method=settings.method, layer=settings.layer)


def asked_before(config: JobConfig) -> JobConfig:
    """The settings with the explanations that were last asked for of the output, so that they follow its queue."""
    try:
        settings = json.loads(storage.read_bytes(storage.join(config.output, *REQUEST)))["settings"]
        return config.model_copy(update={"explain": ExplainConfig.model_validate(settings)})
    except (MissingObjectError, ValueError, KeyError, TypeError):
        return config


def explain_run(
    config: JobConfig,
    plan: Plan,
    package: ModelPackage,
    *,
    say: Callable[[str], None],
    stages: Stages = silent_stages,
) -> None:
    """Explain a finished run's review queue, and show that on its page; see ``explain_review``."""
    if explain_review(config, package, say=say, stages=stages) is not None:
        write_page_again(config.output, plan)


def explain_review(
    config: JobConfig, package: ModelPackage, *, say: Callable[[str], None], stages: Stages = silent_stages
) -> int | None:
    """Explain images of a finished run's review queue, unless that was done. Pictures of images that are no longer at
    its beginning go.

    Args:
        config: of the job.
        package: the run's.
        say: told when it begins.
        stages: show how far it is.

    Returns:
        How many were explained now; None where there was nothing to do.

    Raises:
        ConfigError: the layer does not go with the model.
        JobError: the run has no review queue.
    """
    if not config.explain.is_wanted:
        return None
    wanted = read_review(config.output)[: config.explain.max_images]
    request = canonical_json(
        {"settings": config.explain.model_dump(), "model": package.digest, "images": [asdict(row) for row in wanted]}
    ).encode()
    if is_done(config.output, request):
        return None
    if wanted:
        say(f"explains {len(wanted)} images of the review queue")
    rows = []
    with stages("explanations", total=len(wanted)) as advance:
        for row in explain_rows(config, package, wanted):
            rows.append([row[name] for name in COLUMNS])
            advance(1)
    storage.replace(storage.join(config.output, *TABLE), write_csv(COLUMNS, rows))
    remove_pictures(config.output, kept={str(row[COLUMNS.index("picture")]) for row in rows})
    storage.replace(storage.join(config.output, *REQUEST), request)
    return len(rows)


def remove_pictures(output: str, *, kept: Set[str]) -> None:
    """Remove the pictures that the table does not name."""
    found = storage.list_objects(storage.join(output, FOLDER))
    storage.delete_many([entry.uri for entry in found if f"{FOLDER}/{entry.path}" not in kept])


def is_done(output: str, request: bytes) -> bool:
    """Whether the table that lies there answers the request."""
    try:
        return storage.read_bytes(storage.join(output, *REQUEST)) == request
    except StorageError:
        return False


def explain_rows(config: JobConfig, package: ModelPackage, wanted: Sequence[ReviewRow]) -> Iterator[dict[str, Any]]:
    """Write the picture of each image; its row of the table."""
    retries = read_retries(config.output)
    limits = retries[-1].limits if retries else config.limits  # by which the newest rows were made
    explainer = Explainer(
        package,
        device="cpu" if config.execution.device == "cpu" else "auto",  # the workers' GPUs may be elsewhere
        num_threads=config.execution.threads_per_actor or 0,
        limits=limits.to_limits(),
    )
    preparer = build_preparer(package, limits=limits.to_limits(), max_fit_pixels=limits.max_fit_pixels)
    listing = read_listing(config.output)
    assert listing is not None, "a run that has a report is listed"
    refs = find_refs(listing, [row.image_id for row in wanted], output=config.output)
    for row in wanted:
        told: dict[str, Any] = dict.fromkeys(COLUMNS)
        told |= {"rank": row.rank, "image_id": row.image_id, "uri": row.uri}
        ref = refs[row.image_id]
        (source,) = fetch_images([ref], max_bytes=limits.max_bytes, bytes_column=config.source.bytes_column)
        try:
            explanation = explainer.explain_item(
                prepare_ref(preparer, ref, source),
                method=config.explain.method,
                layer=config.explain.layer,
                class_name=class_of(row, package),
            )
            told |= explanation_columns(explanation, picture=write_picture(config, explainer, explanation, source))
        except InputError as exc:
            told["error"] = str(exc)
        yield told


def class_of(row: ReviewRow, package: ModelPackage) -> str:
    """The class that an image was taken for, which fp32 alone may see otherwise; "" where there is no single one."""
    spec = package.spec
    is_single = spec.task in ("classification", "multilabel") and spec.classes.count(row.label) == 1
    return row.label if is_single else ""


def find_refs(listing: Listing, image_ids: Sequence[str], *, output: str) -> dict[str, ImageRef]:
    """Where images of a run are read from, by id."""
    left, manifest = set(image_ids), listing.manifest(output)
    found: dict[str, ImageRef] = {}
    for shard_id in range(len(listing.shards)):
        if not left:
            break
        found |= {ref.image_id: ref for ref in read_refs(manifest.read_shard(shard_id)) if ref.image_id in left}
        left -= found.keys()
    return found


def write_picture(config: JobConfig, explainer: Explainer, explanation: Explanation, source: PrepareSource) -> str:
    """The picture of an explanation; its path below the output."""
    assert not isinstance(source, InputError | StorageError), "what was explained was read"
    path = mask_name(explanation.source.image_id, folder=FOLDER, suffix=".png")
    content = encode_png(explainer.draw(source, explanation))
    storage.replace(storage.join(config.output, *path.split("/")), content)
    return path


def explanation_columns(explanation: Explanation, *, picture: str) -> dict[str, Any]:
    """What the table tells of an explanation."""
    return {
        "picture": picture,
        "method": explanation.method,
        "layer": explanation.layer,
        "class_id": explanation.class_id,
        "label": explanation.label,
        "score": explanation.score,
    }
