"""How masks and score maps are kept where they must not grow over a budget: forecast on a sample, before the work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from inference_core.errors import ConfigError
from inference_core.export.mask_files import MaskFormat, PlaneOutput, encode_planes
from inference_core.export.mask_runs import RUNS_FIELD, runs_of_mask
from inference_core.items import Prediction
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_finisher, build_runner
from inference_core.results import Segmentation
from inference_core.validation import Frozen
from jobs.config import JobConfig, ResultsConfig
from jobs.engine_sample import load_planned, prepare_sample
from jobs.listing import drop_left_out
from jobs.report.number_text import bytes_text
from jobs.resources import is_cluster_elsewhere
from jobs.sources.image_ref import ImageRef
from jobs.spread_sample import SpreadSample

MAX_IMAGES = 16
"""Of the sample, spread over the listing."""
CANDIDATES: tuple[MaskFormat, ...] = ("png", "rle")
"""What ``auto`` takes, the first that fits: files that every program shows, else run lengths in the rows."""
GB = 1e9


class PlaneChoice(Frozen):
    """What was decided for a run, and why."""

    masks: MaskFormat
    num_images: int
    """Of the listing."""
    forecast_bytes: Mapping[str, float]
    """Of all masks and maps together, by format of the masks."""
    budget_bytes: float

    @property
    def line(self) -> str:
        """The decision as a person reads it."""
        tried = ", ".join(f"{name} {bytes_text(size)}" for name, size in self.forecast_bytes.items())
        return (
            f"masks as {self.masks}: {self.num_images:,} images make {tried}, the budget is "
            f"{bytes_text(self.budget_bytes)}"
        )


def planned_planes(results: ResultsConfig, choice: PlaneChoice | None) -> PlaneOutput:
    """What a run keeps of pixels.

    Args:
        results: its settings.
        choice: what its plan holds.
    """
    masks = choice.masks if choice is not None else results.masks
    # With auto and no choice the answers have no masks that could be kept one way or the other.
    return PlaneOutput(masks="png" if masks == "auto" else masks, maps=results.maps, map_format=results.map_format)


def choose_planes(config: JobConfig, package: ModelPackage, entries: Iterable[ImageRef | None]) -> PlaneChoice | None:
    """Take the first format that fits the budget; None where there is no budget, or nothing that it could be of.

    Args:
        config: the job's settings.
        package: its model.
        entries: the whole listing, None for what is left out.

    Raises:
        ConfigError: none fits, or no image of the sample has an answer.

    Cost: lists the whole input before the work begins, and answers a few images.
    """
    results = config.results
    if results.budget_gb is None or package.spec.task != "segmentation":
        return None
    num_images, sample = count_entries(entries)
    candidates = CANDIDATES if results.masks == "auto" else (results.masks,)
    mean_bytes = measure_where_it_runs(config, package, sample, candidates)
    forecast = {name: size * num_images for name, size in mean_bytes.items()}
    budget = results.budget_gb * GB
    for name in candidates:
        if forecast[name] <= budget:
            return PlaneChoice(masks=name, num_images=num_images, forecast_bytes=forecast, budget_bytes=budget)
    raise over_budget(forecast, results, num_images=num_images)


def over_budget(forecast: Mapping[str, float], results: ResultsConfig, *, num_images: int) -> ConfigError:
    """The error of a budget that nothing fits."""
    sizes = ", ".join(f"{name} {bytes_text(size)}" for name, size in forecast.items())
    what = "masks" if results.maps == "none" else "masks and maps"
    advice = "raise it, or set results.masks: none" if results.maps == "none" else "raise it, or leave results.maps out"
    return ConfigError(
        f"must hold the {what} of {num_images:,} images, forecast as {sizes}, got {results.budget_gb:g} GB; {advice}",
        key="results.budget_gb",
    )


def count_entries(entries: Iterable[ImageRef | None]) -> tuple[int, list[ImageRef]]:
    """Images of a listing, and a sample spread over it."""
    sample, num_images = SpreadSample[ImageRef](2 * MAX_IMAGES), 0
    for _ in sample.watch(drop_left_out(entries, Counter())):
        num_images += 1
    kept = sample.kept
    count = min(MAX_IMAGES, len(kept))
    return num_images, [kept[index * len(kept) // count] for index in range(count)]


def measure_where_it_runs(
    config: JobConfig, package: ModelPackage, sample: Sequence[ImageRef], candidates: Sequence[MaskFormat]
) -> dict[str, float]:
    """``measure`` on a machine that reads the images as workers do."""
    if not is_cluster_elsewhere(config.execution):
        return measure(config, package, sample, candidates)
    from jobs.runtime import call_on_cluster  # Ray

    return call_on_cluster(
        config.execution, measure_elsewhere, config, package.uri, package.digest, sample, tuple(candidates)
    )


def measure_elsewhere(
    config: JobConfig, model_uri: str, model_digest: str, sample: Sequence[ImageRef], candidates: Sequence[MaskFormat]
) -> dict[str, float]:
    """``measure`` in a process that has to read the package first.

    Raises:
        ModelError: the package is another one here.
    """
    return measure(config, load_planned(config, model_uri, model_digest), sample, candidates)


def measure(
    config: JobConfig, package: ModelPackage, sample: Sequence[ImageRef], candidates: Sequence[MaskFormat]
) -> dict[str, float]:
    """Mean bytes of the planes of an image, by format of the masks. Images without an answer count as those with one.

    Raises:
        ConfigError: none of the sample has an answer.
    """
    answers = [one for one in predict_sample(config, package, sample) if isinstance(one.result, Segmentation)]
    if not answers:
        raise ConfigError(
            f"must go with images that can be read, got {len(sample)} of the sample without an answer; leave it out",
            key="results.budget_gb",
        )
    num_classes = len(package.spec.classes)
    sizes: dict[str, float] = {}
    for name in candidates:
        planes = PlaneOutput(masks=name, maps=config.results.maps, map_format=config.results.map_format)
        total = sum(
            len(data) for one in answers for data in encode_planes(one, planes, num_classes=num_classes).values()
        )
        sizes[name] = (total + runs_bytes(answers) * planes.has_runs) / len(answers)
    return sizes


def predict_sample(config: JobConfig, package: ModelPackage, sample: Sequence[ImageRef]) -> Iterator[Prediction]:
    """The answers to some images, on the CPU: their sizes do not depend on what runs the model."""
    runner = build_runner(package, device="cpu", num_threads=config.execution.threads_per_actor or 1)
    finisher = build_finisher(package)
    items = prepare_sample(config, package, sample)
    while chunk := list(islice(items, runner.batch_size)):
        yield from map(finisher.finish, runner.infer(chunk))


def runs_bytes(answers: Sequence[Prediction]) -> int:
    """What run lengths add to a file of rows."""
    runs = [runs_of_mask(one.result.mask) for one in answers if isinstance(one.result, Segmentation)]
    buffer = BytesIO()
    pq.write_table(pa.table([pa.array(runs, RUNS_FIELD.type)], names=[RUNS_FIELD.name]), buffer, compression="zstd")
    return len(buffer.getvalue())
