"""Which label belongs to which image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from inference_core.errors import ConfigError
from inference_core.evaluation.labels.class_ids import KEY

NUM_EXAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Images with the labels that are theirs."""

    names: Mapping[str, str]
    """What its label calls an image, by image id; of those that have a label."""
    num_images: int
    num_labels: int
    unlabelled: tuple[str, ...]
    """Some images without a label."""
    unmatched: tuple[str, ...]
    """Some labels without an image."""

    @property
    def warnings(self) -> list[str]:
        """What speaks against it that all is as it was meant."""
        told = []
        num_unlabelled, num_unmatched = self.num_images - len(self.names), self.num_labels - len(self.names)
        if num_unlabelled:
            told.append(
                f"{num_unlabelled:,} of {self.num_images:,} images have no label and do not count, such as "
                f"{', '.join(self.unlabelled)}"
            )
        if num_unmatched:
            told.append(
                f"{num_unmatched:,} of {self.num_labels:,} labels are of no image, such as {', '.join(self.unmatched)}"
            )
        return told


def match_labels(names: Iterable[str], image_ids: Sequence[str], *, origin: str) -> Match:
    """Find each image's label: by its whole id, else by the longest end of the path that both have, suffix or not.

    Args:
        names: what labels call images; distinct.
        image_ids: of the run.
        origin: of the labels, for errors.

    Raises:
        ConfigError: no label is of any image, or one could be of several images or the other way round.
    """
    every = dict.fromkeys(names)
    found = {image_id: image_id for image_id in image_ids if image_id in every}
    open_images = [image_id for image_id in image_ids if image_id not in found]
    open_names = [name for name in every if name not in found]
    if open_images and open_names:
        found |= match_ends(open_names, open_images, origin=origin)
    if not found:
        raise ConfigError(
            f"must name images of the run, got {origin} with {some_of(every) or 'nothing'} for images such as "
            f"{some_of(image_ids)}; give the labels of these images, named as they are",
            key=KEY,
        )
    taken = set(found.values())
    return Match(
        names=found,
        num_images=len(image_ids),
        num_labels=len(every),
        unlabelled=first_of(image_id for image_id in image_ids if image_id not in found),
        unmatched=first_of(name for name in every if name not in taken),
    )


def match_ends(names: Sequence[str], image_ids: Sequence[str], *, origin: str) -> dict[str, str]:
    """Names by image id, by the longest end that both have."""
    by_end: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for end in ends_of(name):
            by_end[end].append(name)
    found: dict[str, str] = {}
    owner: dict[str, str] = {}
    for image_id in image_ids:
        fitting = next((by_end[end] for end in ends_of(image_id) if end in by_end), [])
        if not fitting:
            continue
        name, *others = fitting
        if others or name in owner:
            labels = f"{name} and {others[0]}" if others else name
            images = image_id if others else f"{owner[name]} and {image_id}"
            raise ConfigError(
                f"must name one image each, got {labels} in {origin} for {images}; name images by their whole path "
                "below the input",
                key=KEY,
            )
        found[image_id], owner[name] = name, image_id
    return found


def ends_of(name: str) -> Iterator[str]:
    """What a path may be called, the longest first: ``a/b.png``, ``a/b``, ``b.png``, ``b``; those of Windows, too."""
    parts = name.replace("\\", "/").split("/")
    for start in range(len(parts)):
        end = "/".join(parts[start:])
        yield end
        stem = str(PurePosixPath(end).with_suffix("")) if parts[-1] not in ("", ".", "..") else end
        if stem != end:
            yield stem


def first_of(names: Iterable[str]) -> tuple[str, ...]:
    """The first few."""
    found: list[str] = []
    for name in names:
        if len(found) == NUM_EXAMPLES:
            break
        found.append(name)
    return tuple(found)


def some_of(names: Iterable[str]) -> str:
    """The first few in a line."""
    return ", ".join(first_of(names))
