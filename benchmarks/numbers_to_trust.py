"""What views, calibration, thresholds, conformal sets and verdicts do to real models on real images, each measured on
other images than it was fitted on; and what each of them costs.

    python -m benchmarks.numbers_to_trust [--assets ../shared/assets] [--study NAME ...] [--seeds 20] [--repeats 9]

A study is a function that gives rows; STUDIES names them all. Images are few, so what is fitted depends on the division
into two parts: each figure is the mean over divisions by as many seeds, with its standard deviation.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from benchmarks.trust_cost import study_cost
from benchmarks.trust_table import Row, Setting, Study
from benchmarks.trust_views import study_views
from inference_core.enhance.override import override_package
from inference_core.evaluation.fit_calibration import (
    CalibrationFit,
    Method,
    calibrated_levels,
    calibrated_scores,
    fit_class_calibration,
    fit_label_calibration,
    fit_pixel_calibration,
    plain_spec,
)
from inference_core.evaluation.fitting.fit_conformal import Method as SetMethod
from inference_core.evaluation.fitting.fit_conformal import fit_conformal, measure_coverage
from inference_core.evaluation.fitting.split import split_images
from inference_core.evaluation.fitting.threshold_curve import best_point, sweep_levels
from inference_core.evaluation.labels.class_ids import ClassIds
from inference_core.evaluation.labels.match import match_labels
from inference_core.evaluation.labels.read_labels import read_class_labels, read_label_sets, read_mask_labels
from inference_core.evaluation.of_verdicts import evaluate_verdicts
from inference_core.items import Prediction
from inference_core.models.package import ModelPackage, load_package
from inference_core.predictor import Predictor
from inference_core.quality_spec import QualitySpec
from inference_core.results import Classification, MultiLabel, Segmentation
from inference_core.spec import ModelSpec
from tests.asset_packages import mobilenet_package, retina_package
from tests.detection_packages import multilabel_package
from tests.format_packages import mobilenet_050_package, resnet8_package

FIT_FRAC = 0.5
COVERAGES = (0.8, 0.9)

Reals = NDArray[np.float64]


def all_scores(package: ModelPackage, paths: Sequence[Path]) -> Reals:
    """(N, K) plain scores of images, by class id."""
    spec = plain_spec(package.spec)
    spec = spec.model_copy(update={"output": spec.output.model_copy(update={"top_k": len(spec.classes)})})
    scores = np.zeros((len(paths), len(spec.classes)))
    for row, prediction in zip(scores, predict(package, spec, paths), strict=True):
        result = prediction.result
        if isinstance(result, MultiLabel):
            row[result.top_class_ids] = result.top_scores
        else:
            assert isinstance(result, Classification), prediction.error
            row[result.class_ids] = result.scores
    return scores


def predict(package: ModelPackage, spec: ModelSpec, paths: Sequence[Path]) -> Iterator[Prediction]:
    """Predictions of a package with another spec."""
    predictor = Predictor.load(replace(package, spec=spec), device="cpu", num_threads=2)
    yield from predictor.predict_batch(list(paths), image_ids=[path.name for path in paths])


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"


def divisions(names: Sequence[str], seeds: int) -> Iterator[NDArray[np.bool_]]:
    """Which images are fitted on, once for each seed."""
    return (split_images(names, fit_frac=FIT_FRAC, seed=seed) for seed in range(seeds))


def calibration_rows(name: str, fits: Sequence[CalibrationFit]) -> Iterator[Row]:
    """The errors of scores before and after."""
    for figure in ("ece", "nll", "brier"):
        before, after = ([getattr(getattr(fit, side), figure) for fit in fits] for side in ("before", "after"))
        wins = sum(late < early for early, late in zip(before, after, strict=True))
        yield Row(
            study=f"calibration, {fits[0].method}",
            what=f"{name}: {figure.upper() if figure != 'brier' else 'Brier'}",
            before=spread(before),
            after=spread(after),
            note=f"lower in {wins} of {len(fits)}",
        )


def labelled_classes(package: ModelPackage, folder: Path, labels: Path) -> tuple[list[Path], NDArray[np.int64]]:
    """Images of a folder and their class ids."""
    paths = sorted(folder.iterdir())
    named = read_class_labels(str(labels), ClassIds(package.spec.classes), image_ids=[])
    match = match_labels(named, [path.name for path in paths], origin=str(labels))
    return paths, np.array([named[match.names[path.name]] for path in paths], np.int64)


def study_classes(
    setting: Setting, *, name: str, build: Callable[[Path, Path], Path], images: str, methods: Sequence[Method]
) -> Iterator[Row]:
    """Temperature and conformal sets of a classification."""
    package = load_package(str(build(setting.folder / name, setting.assets)))
    root = setting.assets / "classification"
    paths, truth = labelled_classes(package, root / images, root / f"{images}_labels.csv")
    scores, spec = all_scores(package, paths), package.spec
    parts = list(divisions([path.name for path in paths], setting.seeds))
    for method in methods:
        fits = [fit_class_calibration(scores, truth, part, spec=spec, method=method) for part in parts]
        yield from calibration_rows(f"{name}, {len(paths)} images", fits)
    accuracy = float((scores.argmax(axis=1) == truth).mean())
    kinds: tuple[SetMethod, ...] = ("lac", "aps")
    for kind in kinds:
        for wanted in COVERAGES:
            covered, sizes = [], []
            for part in parts:
                fit = fit_class_calibration(scores, truth, part, spec=spec, method="temperature")
                own = calibrated_scores(scores, spec, fit.calibration)
                quantile = fit_conformal(own[part], truth[part], method=kind, coverage_frac=wanted)
                found = measure_coverage(own[~part], truth[~part], method=kind, quantile=quantile)
                covered.append(found.covered_frac)
                sizes.append(found.mean_size)
            yield Row(
                study=f"conformal, {kind}",
                what=f"{name}: coverage of other images, {wanted:.0%} wanted",
                before=f"{accuracy:.3f} by the best class",
                after=spread(covered, 3),
                note=f"{np.mean(sizes):.1f} classes in a set",
            )


def study_labels(setting: Setting) -> Iterator[Row]:
    """Temperature of multi-label scores."""
    package = load_package(str(multilabel_package(setting.folder / "labels", setting.assets)))
    paths = sorted((setting.assets / "coco_val" / "images").glob("*.jpg"))
    spec = package.spec
    named = read_label_sets(str(setting.assets / "coco_val" / "multilabel.csv"), ClassIds(spec.classes))
    is_true = np.zeros((len(paths), len(spec.classes)), np.bool_)
    for row, path in zip(is_true, paths, strict=True):
        row[list(named[path.name])] = True
    scores = all_scores(package, paths)
    # 25 images with 80 labels each: too few by the command's rule, so more are fitted on than measured.
    parts = [split_images([p.name for p in paths], fit_frac=0.8, seed=seed) for seed in range(setting.seeds)]
    fits = [fit_label_calibration(scores, is_true, part, spec=spec, method="temperature") for part in parts]
    yield from calibration_rows(f"multi-label, {len(paths)} images", fits)


def study_vessels(setting: Setting) -> Iterator[Row]:
    """Temperature and threshold of vessels on CHASE, every division of four images into two and two."""
    package = load_package(str(retina_package(setting.folder / "vessels", setting.assets)))
    root, spec = setting.assets / "retina" / "chasedb1", package.spec
    paths = sorted((root / "images").iterdir())
    masks, _ = read_mask_labels(str(root / "masks"), ClassIds(spec.classes))
    match = match_labels(masks, [path.name for path in paths], origin="masks")
    counts = np.zeros((len(paths), 2, 256), np.int64)
    for row, prediction in zip(counts, predict(package, plain_spec(spec), paths), strict=True):
        assert isinstance(prediction.result, Segmentation), prediction.error
        truth = masks[match.names[prediction.source.image_id]]()
        np.add.at(row, (truth, prediction.result.scores), 1)
    parts = [np.isin(np.arange(4), pair) for pair in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))]
    fits = [fit_pixel_calibration(counts, part, spec=spec, method="temperature") for part in parts]
    yield from calibration_rows("vessels, 4 images", fits)
    half, best, thresholds = [], [], []
    for part in parts:
        threshold = best_point(sweep_levels(counts[part].sum(axis=0)), goal="dice").threshold
        others = sweep_levels(counts[~part].sum(axis=0))
        thresholds.append(threshold)
        half.append(others.at(0.5).f1)
        best.append(others.at(threshold).f1)
    whole = sweep_levels(counts.sum(axis=0))
    yield Row(
        study="threshold",
        what="vessels: Dice on other images, 0.5 and best of the sweep",
        before=spread(half),
        after=spread(best),
        note=f"thresholds {min(thresholds):.3f} to {max(thresholds):.3f}; levels after temperature "
        f"{calibrated_levels(spec, fits[0].calibration)[[64, 128, 191]].round(2).tolist()} for 0.25, 0.5, 0.75",
    )
    found = best_point(whole, goal="dice")
    yield Row(
        study="threshold",
        what="vessels: Dice on all four, fitted on them",
        before=f"{whole.at(0.5).f1:.4f}",
        after=f"{found.f1:.4f}",
        note=f"threshold {found.threshold:.4f}; no other has more",
    )


RULES = [
    {"when": {"score": {"below": 0.2}}, "verdict": "reject", "reason": "the model does not know"},
    {"when": {"score": {"below": 0.6}}, "verdict": "review", "reason": "the score is low"},
    {"when": {"margin": {"below": 0.2}}, "verdict": "review", "reason": "two classes are close"},
]


def study_verdicts(setting: Setting) -> Iterator[Row]:
    """Errors among what rules accept, leave to review, and reject; and by priority. Nothing is fitted."""
    builds: dict[str, tuple[Callable[[Path, Path], Path], str]] = {
        "MobileNetV1 0.25": (mobilenet_package, "imagenet"),
        "MobileNetV1 0.50": (mobilenet_050_package, "imagenet"),
        "ResNet-8 CIFAR-10": (partial(resnet8_package, kind="onnx"), "cifar10"),
    }
    root = setting.assets / "classification"
    for name, (build, images) in builds.items():
        package = load_package(str(build(setting.folder / f"verdicts {name}", setting.assets)))
        paths, truth = labelled_classes(package, root / images, root / f"{images}_labels.csv")
        spec = override_package(package, quality=QualitySpec.model_validate({"rules": RULES})).spec
        answers = list(predict(package, spec, paths))
        errors = np.array([float(found_class(one) != true) for one, true in zip(answers, truth, strict=True)])
        priorities = np.array([one.priority for one in answers], np.float64)
        found = evaluate_verdicts(errors, [str(one.verdict) for one in answers], priorities, error_name="wrong class")
        for row in found.rows[:-1]:
            yield Row(
                study="verdict",
                what=f"{name}: error among {row.verdict}, {row.num_images} of {len(paths)} images",
                before=f"{errors.mean():.3f} of all",
                after=f"{row.error:.3f}",
                note=f"95 % interval {row.interval}" if row.interval else "",
            )
        half = next(error for coverage, error in found.risk_at if coverage == 0.5)
        yield Row(
            study="verdict",
            what=f"{name}: error of the half with the lowest priority",
            before=f"{errors.mean():.3f} of all",
            after=f"{half:.3f}",
            note=f"AURC {found.aurc:.3f}",
        )


def found_class(prediction: Prediction) -> int:
    """The best class of a classification."""
    assert isinstance(prediction.result, Classification), prediction.error
    return int(prediction.result.class_ids[0])


STUDIES: dict[str, Study] = {
    "views": study_views,
    "imagenet-025": partial(
        study_classes, name="MobileNetV1 0.25", build=mobilenet_package, images="imagenet", methods=["temperature"]
    ),
    "imagenet-050": partial(
        study_classes, name="MobileNetV1 0.50", build=mobilenet_050_package, images="imagenet", methods=["temperature"]
    ),
    "cifar10": partial(
        study_classes,
        name="ResNet-8 CIFAR-10",
        build=partial(resnet8_package, kind="onnx"),
        images="cifar10",
        methods=["temperature", "temperature-by-class"],
    ),
    "multilabel": study_labels,
    "vessels": study_vessels,
    "verdicts": study_verdicts,
    "cost": study_cost,
}
"""By the name that ``--study`` takes; another study is another entry."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "assets")
    parser.add_argument("--study", choices=STUDIES, nargs="+", default=list(STUDIES))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=9, help="rounds of the study cost")
    options = parser.parse_args()
    table = Table("study", "figure", "before", "after", "")
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(assets=options.assets, folder=Path(folder), seeds=options.seeds, repeats=options.repeats)
        for name in options.study:
            for row in STUDIES[name](setting):
                table.add_row(row.study, row.what, row.before, row.after, row.note)
    Console(width=190).print(table)


if __name__ == "__main__":
    main()
