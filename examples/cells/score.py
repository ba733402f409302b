"""Compare predicted masks with the truth that ``generate.py`` wrote.

python examples/cells/score.py --truth DIR --predicted OUT/masks --min-iou 0.9
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cellgen.iou import measure_iou
from numpy.typing import NDArray
from PIL import Image

NUM_WORST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well one image came out."""

    image_id: str
    format: str
    style: str
    iou: float
    """0 where no mask was found."""
    is_missing: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 where the mean IoU is below ``--min-iou``, else 0."""
    options = read_options(arguments)
    scores = list(score_masks(truth=options.truth, predicted=options.predicted, name=options.name))
    if not scores:
        print(f"{options.truth / 'index.csv'} must name at least one image, got none; generate some")
        return 1
    print_table("format", scores, key=lambda score: score.format)
    print_table("style", scores, key=lambda score: score.style)
    print_worst(scores)
    mean_iou = float(np.mean([score.iou for score in scores]))
    num_missing = sum(score.is_missing for score in scores)
    print(f"mean IoU {mean_iou:.4f} over {len(scores)} images, {num_missing} without a mask")
    if mean_iou < options.min_iou:
        print(f"mean IoU must be at least {options.min_iou}, got {mean_iou:.4f}; look at the worst images first")
        return 1
    return 0


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; a wrong one ends the program with status 2."""
    parser = argparse.ArgumentParser(description="Compare predicted masks with the truth.")
    parser.add_argument("--truth", type=Path, required=True, help="folder that generate.py wrote (holds index.csv)")
    parser.add_argument("--predicted", type=Path, required=True, help="folder of predicted PNG masks, 0 is background")
    parser.add_argument(
        "--name",
        default="{image_id}.png",
        help="file name of a predicted mask; {image_id} is the image's path below images, {stem} lacks its suffix",
    )
    parser.add_argument("--min-iou", type=float, default=0.0, help="exit with status 1 below this mean (default 0)")
    options = parser.parse_args(arguments)
    if not (options.truth / "index.csv").is_file():
        parser.error(f"--truth must be a folder with index.csv, got {options.truth}; make one with generate.py")
    return options


def score_masks(*, truth: Path, predicted: Path, name: str) -> Iterator[Score]:
    """Score each image of ``index.csv``; a mask that is absent counts as IoU 0."""
    with (truth / "index.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            stem = str(Path(row["image_id"]).with_suffix(""))
            path = predicted / name.format(image_id=row["image_id"], stem=stem)
            is_missing = not path.is_file()
            iou = 0.0 if is_missing else measure_iou(read_mask(path), read_mask(truth / "masks" / row["mask"]))
            yield Score(
                image_id=row["image_id"], format=row["format"], style=row["style"], iou=iou, is_missing=is_missing
            )


def read_mask(path: Path) -> NDArray[Any]:
    """(H, W) values as stored: class ids, or palette indices.

    Raises:
        ValueError: the file has more than one channel.
    """
    with Image.open(path) as image:
        values = np.asarray(image)
    if values.ndim != 2:
        raise ValueError(f"{path} must have one channel, got shape {values.shape}; give class ids, not an overlay")
    return values


def print_table(title: str, scores: Sequence[Score], *, key: Callable[[Score], str]) -> None:
    """One line per group: images, mean and least IoU."""
    groups: dict[str, list[float]] = defaultdict(list)
    for score in scores:
        groups[key(score)].append(score.iou)
    print(f"{title:<14}{'images':>7}{'mean IoU':>10}{'least':>8}")
    for group, ious in sorted(groups.items()):
        print(f"{group:<14}{len(ious):>7}{np.mean(ious):>10.4f}{min(ious):>8.4f}")
    print()


def print_worst(scores: Sequence[Score]) -> None:
    """The images to look at first."""
    print("worst images")
    for score in sorted(scores, key=lambda score: (score.iou, score.image_id))[:NUM_WORST]:
        remark = "no mask" if score.is_missing else f"{score.format}, {score.style}"
        print(f"  {score.image_id:<14}{score.iou:>8.4f}  {remark}")
    print()


if __name__ == "__main__":
    raise SystemExit(main())
