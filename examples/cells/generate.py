"""Draw cell images with known truth: DIR/images, DIR/masks (same stem, PNG, 0 background and 1 cell), DIR/index.csv.

python examples/cells/generate.py --out DIR --count 100 --seed 7
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from cellgen.files import FILE_FORMATS, encode_mask
from cellgen.hostile import build_hostile_files
from cellgen.sample import draw_sample


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexRow:
    """One line of ``index.csv``."""

    image_id: str
    """Path below ``images``."""
    mask: str
    """Path below ``masks``."""
    format: str
    style: str
    height_px: int
    width_px: int
    num_cells: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the collection that the command line asks for."""
    options = read_options(arguments)
    for folder in ("images", "masks"):
        (options.out / folder).mkdir(parents=True, exist_ok=True)
    rows = list(write_samples(options.out, seed=options.seed, start=options.start, count=options.count))
    write_index(options.out / "index.csv", rows)
    hostile = build_hostile_files(seed=options.seed) if options.bad else {}
    for name, content in hostile.items():
        (options.out / "images" / name).write_bytes(content)
    print(f"wrote {len(rows)} images, their masks and {len(hostile)} hostile files to {options.out}")
    return 0


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; a wrong one ends the program with status 2."""
    parser = argparse.ArgumentParser(description="Draw cell images with known truth.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to; made where absent")
    parser.add_argument("--count", type=int, required=True, help="how many images")
    parser.add_argument("--seed", type=int, default=0, help="names the collection (default 0)")
    parser.add_argument("--start", type=int, default=0, help="index of the first image (default 0)")
    parser.add_argument("--bad", action="store_true", help="add files that are no images, without masks")
    options = parser.parse_args(arguments)
    for name in ("count", "seed", "start"):
        if getattr(options, name) < 0:
            parser.error(f"--{name} must be at least 0, got {getattr(options, name)}; raise it")
    return options


def write_samples(out: Path, *, seed: int, start: int, count: int) -> Iterator[IndexRow]:
    """Write images ``start`` to ``start + count - 1`` of the collection, formats in turn."""
    for index in range(start, start + count):
        file_format = FILE_FORMATS[index % len(FILE_FORMATS)]
        sample = draw_sample(seed=seed, index=index, gray=file_format.gray)
        image_id, mask = f"{index:05d}{file_format.suffix}", f"{index:05d}.png"
        (out / "images" / image_id).write_bytes(file_format.encode(sample.light))
        (out / "masks" / mask).write_bytes(encode_mask(sample.truth))
        yield IndexRow(
            image_id=image_id,
            mask=mask,
            format=file_format.name,
            style=sample.style,
            height_px=sample.truth.shape[0],
            width_px=sample.truth.shape[1],
            num_cells=sample.num_cells,
        )


def write_index(path: Path, rows: Sequence[IndexRow]) -> None:
    """Write one line per image."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(IndexRow))
        writer.writerows(astuple(row) for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
