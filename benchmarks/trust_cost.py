"""What each option costs: the time of a package with it over that of the same package without, image after image.

A round times every package once, one after the other, so that whatever else the machine does hits all of them; the
ratio of an option is the median over the rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from benchmarks.trust_table import Row, Setting
from inference_core.models.package import ModelPackage, load_package
from inference_core.predictor import Predictor
from tests.asset_packages import camvid_package, mobilenet_package, write_package
from tests.format_packages import mobilenet_050_package
from tests.mobilenet_v1 import build_mobilenet as build_plain

NUM_PHOTOGRAPHS = 24
FLIPS = ["hflip", "vflip", "rot180"]
ALL_VIEWS = [*FLIPS, "rot90", "rot270", "hflip*rot90", "hflip*rot270"]
RULES = {"rules": [{"when": {"score": {"below": 0.6}}, "verdict": "review", "reason": "the score is low"}]}
CHAIN = [{"min_area_px": 64}, {"fill_holes": True}, {"open_px": 3}, {"close_px": 3}]

Options = Mapping[str, Mapping[str, Any]]
"""What is measured by its name, with what it adds to ``model.yaml``."""

IMAGE_OPTIONS: Options = {
    "2 views": {"tta": ["hflip"]},
    "4 views": {"tta": FLIPS},
    "8 views": {"tta": ALL_VIEWS},
    "temperature": {"calibration": {"temperature": 1.5}},
    "conformal sets": {"conformal": {"method": "aps", "quantile": 0.9}},
    "statistics: full": {"statistics": "full"},
    "verdict": {"quality": RULES},
}
PIXEL_OPTIONS: Options = {
    "2 views": {"tta": ["hflip"]},
    "4 views": {"tta": FLIPS},
    "3 scales": {"tta": ["scale:0.75", "scale:1.25"]},
    "temperature": {"calibration": {"temperature": 1.5}},
    "uncertainty map": {"uncertainty": {}},
    "uncertainty map of 2 views": {"tta": ["hflip"], "uncertainty": {"measure": "mutual_information"}},
    "statistics: full": {"statistics": "full"},
    "chain of four steps": {"postprocess": CHAIN},
    "components": {"components": {}},
}
DROPOUT_OPTIONS: Options = {
    "dropout, 10 samples": {"dropout": {"samples": 10}},
    "dropout, 30 samples": {"dropout": {"samples": 30}},
}


class MobileNetDropping(nn.Module):
    """MobileNetV1 whose classifier was trained with dropout before it, as the original was.

    Args:
        module: without it.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.features, self.classifier, self.paddings = module.features, module.classifier, module.paddings
        self.dropout = nn.Dropout(0.2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, 128, 128) -> (B, 1000) logits."""
        features = images
        for convolution, padding in zip(self.features, self.paddings, strict=True):  # type: ignore[arg-type]
            features = nn.functional.relu6(convolution(nn.functional.pad(features, padding)))
        logits: torch.Tensor = self.classifier(self.dropout(features.mean(dim=(2, 3))))  # type: ignore[operator]
        return logits


def build_dropping(*, description: str) -> nn.Module:
    """Named by the package."""
    return MobileNetDropping(build_plain(description=description))


def study_cost(setting: Setting) -> Iterator[Row]:
    """The options on a classification, on the same with dropout layers, and on a segmentation."""
    photographs = sorted((setting.assets / "classification" / "imagenet").iterdir())[:NUM_PHOTOGRAPHS]
    streets = sorted((setting.assets / "camvid" / "images").iterdir())
    folder = setting.folder / "cost"
    classifier = mobilenet_package(folder / "classifier", setting.assets)
    larger = mobilenet_050_package(folder / "larger", setting.assets)
    segmenter = camvid_package(folder / "segmenter", setting.assets)
    dropping = mobilenet_package(folder / "dropping", setting.assets, kind="safetensors")
    facts = read_facts(dropping)
    facts["architecture"]["import"] = "benchmarks.trust_cost:build_dropping"
    write_package(dropping, facts)
    ensembles = {
        "ensemble of two": pair(folder / "alike", classifier, classifier),
        "ensemble with 0.50 at 160 px": pair(folder / "unlike", classifier, larger),
    }
    yield from rows_of(setting, "MobileNetV1 0.25", classifier, photographs, IMAGE_OPTIONS, more=ensembles)
    yield from rows_of(setting, "MobileNetV1 0.25, torch", dropping, photographs, DROPOUT_OPTIONS)
    two = {"ensemble of two": pair(folder / "two", segmenter, segmenter)}
    yield from rows_of(setting, "ESPNet CamVid", segmenter, streets, PIXEL_OPTIONS, more=two)


def rows_of(
    setting: Setting,
    name: str,
    plain: Path,
    images: Sequence[Path],
    options: Options,
    *,
    more: Mapping[str, Path] | None = None,
) -> Iterator[Row]:
    """A line for each option of a model."""
    facts = read_facts(plain)
    packages = {"plain": load_package(str(plain))}
    for index, (what, said) in enumerate(options.items()):
        folder = setting.folder / "cost" / f"{plain.name}-{index}"
        packages[what] = load_package(str(write_package(folder, {**facts, **said})))
    packages |= {what: load_package(str(folder)) for what, folder in (more or {}).items()}
    rounds = time_rounds(packages, [path.read_bytes() for path in images], repeats=setting.repeats)
    plain_ms = np.median(rounds["plain"]) / len(images) * 1000
    for what in list(packages)[1:]:
        ratios = np.array(rounds[what]) / rounds["plain"]
        low, high = np.quantile(ratios, [0.25, 0.75])
        yield Row(
            study="cost",
            what=f"{name}: {what}",
            before=f"{plain_ms:.1f} ms an image",
            after=f"x {np.median(ratios):.2f}",
            note=f"half of {setting.repeats} rounds between {low:.2f} and {high:.2f}",
        )


def time_rounds(
    packages: Mapping[str, ModelPackage], images: Sequence[bytes], *, repeats: int
) -> dict[str, list[float]]:
    """Seconds of each package for all images, round by round; each round begins with another one."""
    predictors = {what: Predictor.load(one, device="cpu", num_threads=1) for what, one in packages.items()}
    found: dict[str, list[float]] = {what: [] for what in predictors}
    for predictor in predictors.values():
        seconds(lambda one=predictor: one.predict_batch(images[:2]))  # type: ignore[misc] # what is loaded late
    order = list(predictors)
    for index in range(repeats):
        start = index % len(order)
        for what in order[start:] + order[:start]:
            found[what].append(seconds(lambda one=predictors[what]: one.predict_batch(images)))  # type: ignore[misc]
    return found


def seconds(act: Callable[[], Any]) -> float:
    """How long something takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def read_facts(folder: Path) -> dict[str, Any]:
    """What ``model.yaml`` of a package says."""
    facts: dict[str, Any] = yaml.safe_load((folder / "model.yaml").read_text())
    return facts


def pair(folder: Path, *members: Path) -> Path:
    """An ensemble of packages."""
    named = [{"package": str(member)} for member in members]
    task = read_facts(members[0])["task"]
    return write_package(
        folder, {"name": folder.name, "task": task, "format": "ensemble", "ensemble": {"members": named}}
    )
