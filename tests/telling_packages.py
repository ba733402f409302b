"""Small packages that declare all that their task can: views, dropout, members, calibration, sets, steps, rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.asset_packages import write_package
from tests.drawn_objects import drawn_package
from tests.tiny_models import tiny_classifier, tiny_segmenter
from tests.view_nets import view_package

VIEWS = ["hflip", "rot180"]


def telling_packages(folder: Path) -> dict[str, Path]:
    """A package for each task, and a second one where members and views exclude each other, by the model's name."""
    return {
        "telling-classes": classes(folder / "classes"),
        "telling-labels": labels(folder / "labels"),
        "telling-boxes": boxes(folder / "boxes"),
        "telling-masks": masks(folder / "masks"),
        "telling-foreground": foreground(folder / "foreground"),
        "telling-vectors": vectors(folder / "vectors"),
    }


def declared(folder: Path, **facts: Any) -> Path:
    """The package in a folder with more in its ``model.yaml``."""
    return write_package(folder, {**yaml.safe_load((folder / "model.yaml").read_text()), **facts})


def quality(**rules: tuple[str, float, float]) -> dict[str, Any]:
    """Rules on numbers: beyond the first bound the answer is reviewed, beyond the second rejected."""
    return {
        "rules": [
            rule
            for name, (side, review, reject) in rules.items()
            for rule in (
                {"when": {name: {side: review}}, "verdict": "review"},
                {"when": {name: {side: reject}}, "verdict": "reject", "reason": f"{name} says no; ask a person"},
            )
        ]
    }


def classes(folder: Path) -> Path:
    """A torch model with views, Monte Carlo dropout, a temperature for each class, and conformal sets."""
    view_package(
        folder,
        "dropping",
        name="telling-classes",
        tta=VIEWS,
        dropout={"samples": 3, "seed": 5},
        calibration={"temperature": {"a": 0.7, "c": 1.4}},
        conformal={"method": "aps", "quantile": 0.8},
        statistics="full",
        quality=quality(disagreement=("above", 0.1, 0.5), score_std=("above", 0.02, 0.06), set_size=("above", 1, 2)),
        output={"top_k": 3},
    )
    return folder


def labels(folder: Path) -> Path:
    """A threshold and a line of Platt for each class."""
    tiny_classifier(folder, depth=1)
    return declared(
        folder,
        name="telling-labels",
        task="multilabel",
        tta=VIEWS,
        calibration={"platt": {"red": {"a": 1.5, "b": -0.1}, "blue": {"a": 0.5}}},
        statistics="full",
        quality=quality(margin=("below", 0.08, 0.02), entropy=("above", 0.97, 0.995)),
        output={"activation": "sigmoid", "top_k": 2, "threshold": 0.5, "thresholds": {"green": 0.45, "blue": 0.55}},
    )


def boxes(folder: Path) -> Path:
    """Objects with masks, and a threshold for one of their classes."""
    drawn_package(
        folder, "yolo", fit={"fit": "stretch", "size_hw": [64, 96]}, threshold=0.3, thresholds={"square": 0.87}
    )
    return declared(
        folder,
        name="telling-boxes",
        tta=VIEWS,
        statistics={"groups": "full", "near_threshold": 0.05},
        quality=quality(num_objects=("below", 1, 1), near_threshold_frac=("above", 0.1, 0.9)),
    )


def masks(folder: Path) -> Path:
    """Members that are shown the image in two sizes, one of them in views; steps by class, components."""
    tiny_segmenter(folder / "net0")
    declared(folder / "net0", tta=["hflip"], input={"fit": "stretch", "size_hw": [24, 32]})
    tiny_segmenter(folder / "net1")
    declared(folder / "net1", calibration={"temperature": {"red": 3.0}}, input={"fit": "stretch", "size_hw": [16, 16]})
    members = [{"package": "../net0"}, {"package": "../net1", "weight": 2.0}]
    facts = {
        "name": "telling-masks",
        "task": "segmentation",
        "format": "ensemble",
        "ensemble": {"members": members, "merge": "geometric"},
        "uncertainty": {"measure": "mutual_information", "threshold": 0.05},
        "postprocess": [{"close_px": 3}, {"fill_holes": True}, {"min_area_px": 400, "classes": ["green"]}],
        "components": {"max_count": 5, "min_area_px": 16},
        "statistics": {"groups": "full", "low_score": 0.5, "high_score": 0.6, "band_px": 2},
        "quality": quality(uncertain_frac=("above", 0.001, 0.05), coherence=("below", 0.97, 0.9)),
    }
    return write_package(folder / "both", facts)


def foreground(folder: Path) -> Path:
    """Two classes with an isotonic curve, on torch."""
    view_package(
        folder,
        "shade",
        name="telling-foreground",
        tta={"views": VIEWS, "merge": "max"},
        uncertainty={"measure": "std", "threshold": 0.01},
        calibration={"isotonic": {"x": [0.0, 0.4, 1.0], "y": [0.05, 0.3, 0.9]}},
        postprocess=[{"min_area_px": 9}, {"fill_holes": 25}],
        components={},
        statistics="full",
        quality=quality(foreground_frac=("above", 0.5, 0.9)),
        input={"fit": "stretch", "size_hw": [32, 32]},
        output={"activation": "sigmoid", "threshold": 0.4},
    )
    return folder


def vectors(folder: Path) -> Path:
    """Features of two members side by side."""
    for seed in (0, 1):
        net = tiny_classifier(folder / f"net{seed}", seed=seed)
        spec = yaml.safe_load((net / "model.yaml").read_text())
        del spec["classes"]
        write_package(net, {**spec, "task": "embedding", "tta": ["hflip"], "output": {"l2_normalize": True}})
    facts = {
        "name": "telling-vectors",
        "task": "embedding",
        "format": "ensemble",
        "ensemble": {"members": [{"package": "../net0"}, {"package": "../net1"}]},
        "statistics": "full",
        "quality": quality(brightness=("below", 0.4, 0.2), sharpness=("below", 500, 50)),
    }
    return write_package(folder / "both", facts)
