"""What the runs work on: small drawn images, a few of them bad, doubled or poisonous, and a model package."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import yaml
from PIL import Image

from inference_core.models.package import SPEC_FILE
from tests.drawn_images import BAD_FILES, png_bytes
from tests.strikes import POISON_RGB
from tests.tiny_models import tiny_classifier

NUM_POISON = 2
TWIN_EVERY = 20
"""Every so many-th image has the bytes of the one before it."""
HARMLESS, REFUSED = "none", "refuse"
"""Orders: poison is an image like any other; it becomes a row without a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The same for every run."""

    images: Path
    package: Path
    order: Path
    """Says what poison does to the process that prepares it."""
    names: tuple[str, ...]
    """Of all files, sorted."""
    poison: tuple[str, ...]
    """Of those that can be deadly."""

    def command(self, how: str) -> None:
        """Give an order."""
        self.order.write_text(how)


def make_inputs(folder: Path, *, count: int, seed: int, model: Path | None) -> Inputs:
    """Draw the images and write the package.

    Args:
        folder: empty.
        count: images, with those that are no images.
        seed: of the poison's places.
        model: a package to use instead of the small one.
    """
    images, order = folder / "images", folder / "order.txt"
    for name, content in draw_files(count - len(BAD_FILES)):
        path = images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    names = sorted(path.relative_to(images).as_posix() for path in images.rglob("*") if path.is_file())
    poison = sorted(random.Random(seed).sample([name for name in names if name not in BAD_FILES], NUM_POISON))
    for name in poison:
        (images / name).write_bytes(one_colour())
    package = write_deadly(
        model or tiny_classifier(folder / "tiny", side_px=64, depth=6, mixes_batch=True), folder, order
    )
    inputs = Inputs(images=images, package=package, order=order, names=tuple(names), poison=tuple(poison))
    inputs.command(HARMLESS)
    return inputs


def draw_files(count: int) -> Iterator[tuple[str, bytes]]:
    """Names and contents; all differ but the twins."""
    for index in range(count):
        drawn = index - 1 if index % TWIN_EVERY == TWIN_EVERY - 1 else index
        yield f"{index // 500:03d}/{index:05d}.png", png_bytes(drawn)
    for name, content in BAD_FILES.items():
        yield name, content or (png_bytes(0)[:90] if name.endswith(".png") else b"")


def one_colour() -> bytes:
    """An image of the poison's colour."""
    buffer = BytesIO()
    Image.new("RGB", (24, 20), POISON_RGB).save(buffer, format="PNG")
    return buffer.getvalue()


def write_deadly(model: Path, folder: Path, order: Path) -> Path:
    """A copy of a package with a filter before all others that does to poison what the order says."""
    spec = yaml.safe_load((model / SPEC_FILE).read_text())
    spec["weights"] = str(model / spec["weights"])
    deadly = {"import": "tests.strikes:strike_on_order", "options": {"order": str(order)}}
    spec["input"]["filters"] = [deadly, *spec["input"].get("filters", [])]
    package = folder / "package"
    package.mkdir()
    (package / SPEC_FILE).write_text(yaml.safe_dump(spec, sort_keys=False))
    return package
