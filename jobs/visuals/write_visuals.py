"""Draw some images of a finished run: choose them from its rows, read them again, and write pictures and an index.

Everything is a function of the committed rows and the images, so it can be repeated at any time. A run of a million
images costs one pass over a few columns and the pictures themselves.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from inference_core import storage
from inference_core.errors import JobError
from inference_core.export.masks import mask_name
from jobs.finished_run import FinishedRun, read_rows
from jobs.report.review_rows import review_rows
from jobs.stage_progress import Advance, Stages, silent_stages
from jobs.visuals.choose import Chooser, Chosen, Selection
from jobs.visuals.draw_row import DrawnRow, draw_row
from jobs.visuals.index import INDEX_FILE, DrawnImage, DrawnReason, VisualIndex, label_of_row
from jobs.visuals.request import VisualRequest
from jobs.visuals.shard_images import RowImage, read_row_images

FOLDER = "visuals"
THUMBNAILS = "visuals/thumbnails"
MAX_THREADS = 8


def write_visuals(run: FinishedRun, request: VisualRequest, *, stages: Stages = silent_stages) -> VisualIndex:
    """Write the pictures of a run, its index last; pictures of an earlier drawing that are no longer wanted go.

    Args:
        run: all of whose shards are committed.
        request: what is wanted.
        stages: show how far it is.

    Raises:
        JobError: a mask is gone or damaged.
        StorageError: something cannot be read or written.
    """
    selection = select_images(run, request)
    with ThreadPoolExecutor(min(MAX_THREADS, len(os.sched_getaffinity(0)))) as pool:
        with stages("pictures", total=len(selection.images)) as advance:
            images = draw_selection(run, request, selection, pool=pool, advance=advance)
        kept = {path for image in images for path in (image.picture, image.thumbnail) if path}
        num_all = None
        if request.settings.all:
            with stages("all pictures", total=run.listing.num_rows) as advance:
                everything = draw_everything(run, request, pool=pool, advance=advance)
            kept |= everything
            num_all = len(everything)
    settings = request.settings
    index = VisualIndex(
        run_id=run.plan.run_id,
        task=run.plan.task,
        policies=settings.model_dump(include={"worst", "random", "per_class", "per_error", "review"}),
        seed=settings.seed,
        max=settings.max,
        num_wanted=selection.num_wanted,
        num_all=num_all,
        images=images,
    )
    storage.replace(run.uri_of(INDEX_FILE), index.model_dump_json(indent=1).encode() + b"\n")
    remove_others(run, kept=kept | {INDEX_FILE})
    return index


def select_images(run: FinishedRun, request: VisualRequest) -> Selection:
    """The images that the policies name: one pass over a few columns of all rows."""
    review = [row.image_id for row in review_rows(run.summary)] if request.settings.review else []
    chooser = Chooser(request.settings, task=run.plan.task, class_names=run.plan.classes, review_ids=review)
    for shard_id, data in enumerate(run.read_data(range(len(run.data_paths)))):
        chooser.look(read_rows(data, columns=chooser.columns), shard_id=shard_id)
    return chooser.select()


def draw_selection(
    run: FinishedRun, request: VisualRequest, selection: Selection, *, pool: ThreadPoolExecutor, advance: Advance
) -> tuple[DrawnImage, ...]:
    """Draw what was chosen, several shards at a time, each of which is read once."""
    by_place = sorted(selection.images, key=lambda chosen: (chosen.found.shard_id, chosen.found.ord))
    groups = [list(group) for _, group in groupby(by_place, key=lambda chosen: chosen.found.shard_id)]
    by_id: dict[str, DrawnImage] = {}
    for images in pool.map(lambda group: draw_group(run, request, group), groups):
        by_id |= {image.image_id: image for image in images}
        advance(len(images))
    return tuple(by_id[chosen.found.image_id] for chosen in selection.images)


def draw_group(run: FinishedRun, request: VisualRequest, group: Sequence[Chosen]) -> list[DrawnImage]:
    """Draw the chosen images of one shard."""
    shard_id = group[0].found.shard_id
    (data,) = run.read_data([shard_id])
    images = read_row_images(
        data,
        [chosen.found.ord for chosen in group],
        manifest=run.listing.manifest(run.output),
        shard_id=shard_id,
        request=request,
    )
    return [write_one(run, request, chosen, image) for chosen, image in zip(group, images, strict=True)]


def write_one(run: FinishedRun, request: VisualRequest, chosen: Chosen, image: RowImage) -> DrawnImage:
    """Draw one image, write its picture and its thumbnail, and say so."""
    row = image.row
    if row["image_id"] != chosen.found.image_id:
        raise JobError(f"{chosen.found.image_id} must be where it was found, got {row['image_id']}; this is a bug")
    drawn = draw_row(image, request=request, task=run.plan.task, class_names=run.plan.classes, output=run.output)
    folder = f"{FOLDER}/{chosen.reasons[0].policy}"
    picture = write_jpeg(run, drawn.picture, path=mask_name(row["image_id"], folder=folder, suffix=".jpg"))
    thumbnail = write_jpeg(run, drawn.thumbnail, path=mask_name(row["image_id"], folder=THUMBNAILS, suffix=".jpg"))
    reasons = tuple(DrawnReason(policy=why.policy, rank=why.rank, group=why.group) for why in chosen.reasons)
    return DrawnImage(
        **{name: row[name] for name in ("image_id", "row_id", "uri", "status", "error", "height", "width")},
        frame_index=row["frame_index"],
        time_s=row["time_s"],
        score=row.get("score"),
        label=label_of_row(row, task=run.plan.task),
        reasons=reasons,
        picture=picture,
        picture_hw=drawn.picture_hw if picture else None,
        thumbnail=thumbnail,
        thumbnail_hw=drawn.thumbnail_hw if thumbnail else None,
        note=drawn.note,
    )


def write_jpeg(run: FinishedRun, data: bytes, *, path: str) -> str | None:
    """Write a picture; its path, None where there is none."""
    if not data:
        return None
    # A picture that a power cut takes is drawn again by the next finalize.
    storage.replace(run.uri_of(path), data, durable=False)
    return path


def draw_everything(
    run: FinishedRun, request: VisualRequest, *, pool: ThreadPoolExecutor, advance: Advance
) -> set[str]:
    """Draw every image of the run, several shards at a time; the paths of the pictures."""
    paths: set[str] = set()
    shards = range(len(run.data_paths))
    for shard_id, written in zip(shards, pool.map(lambda shard: draw_shard(run, request, shard), shards), strict=True):
        paths |= written
        advance(len(run.listing.shards.rows_of(shard_id)))
    return paths


def draw_shard(run: FinishedRun, request: VisualRequest, shard_id: int) -> set[str]:
    """Draw every image of a shard; the paths of the pictures."""
    (data,) = run.read_data([shard_id])
    ords = range(len(run.listing.shards.rows_of(shard_id)))
    manifest = run.listing.manifest(run.output)
    paths = set()
    for image in read_row_images(data, ords, manifest=manifest, shard_id=shard_id, request=request):
        drawn: DrawnRow = draw_row(
            image, request=request, task=run.plan.task, class_names=run.plan.classes, output=run.output
        )
        path = mask_name(image.row["image_id"], folder=f"{FOLDER}/all", suffix=".jpg")
        if write_jpeg(run, drawn.picture, path=path):
            paths.add(path)
    return paths


def remove_others(run: FinishedRun, *, kept: set[str]) -> None:
    """Remove pictures that the index does not name."""
    found = storage.list_objects(run.uri_of(FOLDER))
    storage.delete_many([entry.uri for entry in found if f"{FOLDER}/{entry.path}" not in kept])
