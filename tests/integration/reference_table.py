"""What an independent implementation got from the shared weights on the shared images, beside what Millrace gets.

python -m tests.integration.reference_table [--assets ../shared/assets]

Every row is a package around weights as they are, run by one engine; the figures are those that its field quotes. Ends
with exit code 1 where a figure is further from its reference than the row allows.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from rich.console import Console
from rich.table import Table
from sklearn.metrics import average_precision_score

from inference_core.items import Prediction
from inference_core.predictor import Predictor
from inference_core.results import Classification, Detection, MultiLabel, Segmentation
from tests.asset_packages import camvid_package, mobilenet_package, retina_package
from tests.detection_packages import coco_classes, fastestdet_package, multilabel_package, ultraface_package
from tests.format_packages import deeplab_package, mobilenet_025_package, mobilenet_050_package, resnet8_package

Mask = NDArray[np.uint8]
Measure = Callable[[Predictor, Path], Sequence[float]]
"""Figures of a model on its images; the second argument is the assets folder."""

FACES = {"13": 2, "22": 2, "23": 3, "3": 5, "9": 8}
"""Faces that the reference finds in each photograph."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One file of weights on one engine."""

    name: str
    build: Callable[[Path, Path], Path]
    """Writes the package into a folder, from the assets."""
    measure: Measure
    figures: tuple[str, ...]
    """What is measured."""
    expected: tuple[float, ...]
    """What the reference got."""
    tolerance: float = 1e-9
    engine: str
    batch_size: int | None = None

    def __str__(self) -> str:
        return f"{self.name}, {self.engine}"


def labelled_images(assets: Path, name: str) -> list[tuple[Path, int]]:
    """Images of a folder with their class."""
    with (assets / "classification" / f"{name}_labels.csv").open() as file:
        return [(assets / "classification" / name / row["file"], int(row["index"])) for row in csv.DictReader(file)]


def measure_hits(predictor: Predictor, assets: Path, *, images: str, ranks: tuple[int, ...]) -> list[float]:
    """Shares of images whose class is among the best 1, 5, ..."""
    labelled = labelled_images(assets, images)
    positions = []
    for prediction, (_, class_id) in zip(
        predictor.predict_batch([path for path, _ in labelled]), labelled, strict=True
    ):
        assert isinstance(prediction.result, Classification), prediction.error
        found = prediction.result.class_ids.tolist()
        positions.append(found.index(class_id) if class_id in found else len(found))
    return [float(np.mean([position < rank for position in positions])) for rank in ranks]


def masks_of(predictor: Predictor, paths: Sequence[Path]) -> list[Mask]:
    """Class maps of images."""
    masks = []
    for prediction in predictor.predict_batch(list(paths)):
        assert isinstance(prediction.result, Segmentation), prediction.error
        masks.append(prediction.result.mask)
    return masks


def opened(path: Path) -> Mask:
    """The pixels of a mask."""
    with Image.open(path) as image:
        return np.asarray(image)


def count_pairs(truths: Sequence[Mask], masks: Sequence[Mask], *, num_classes: int, unlabelled: int) -> NDArray[Any]:
    """(K, K) pixels by true and by found class; those without a label are left out."""
    joint = np.zeros(num_classes**2, np.int64)
    for truth, mask in zip(truths, masks, strict=True):
        is_labelled = truth != unlabelled
        joint += np.bincount(
            truth[is_labelled].astype(np.int64) * num_classes + mask[is_labelled], minlength=num_classes**2
        )
    return joint.reshape(num_classes, num_classes)


def overlap_and_accuracy(joint: NDArray[Any]) -> list[float]:
    """Mean intersection over union of the classes that occur in truth, and the share of right pixels."""
    right = joint.diagonal()
    union = joint.sum(0) + joint.sum(1) - right
    occurs = joint.sum(1) > 0
    return [float(np.mean(right[occurs] / union[occurs])), float(right.sum() / joint.sum())]


def measure_camvid(predictor: Predictor, assets: Path) -> list[float]:
    """Mean overlap and pixel accuracy on six street scenes; class 11 is no label."""
    paths = sorted((assets / "camvid" / "images").glob("*.png"))
    truths = [opened(assets / "camvid" / "masks" / path.name) for path in paths]
    return overlap_and_accuracy(count_pairs(truths, masks_of(predictor, paths), num_classes=12, unlabelled=11))


def measure_voc(predictor: Predictor, assets: Path) -> list[float]:
    """Mean overlap and pixel accuracy on COCO photographs labelled with VOC's classes."""
    entries = json.loads((assets / "coco_val" / "voc21_from_coco.json").read_text())
    table = np.zeros(256, np.uint8)
    table[0] = 255  # no label
    for entry in entries[1:]:
        table[entry["coco_category_id"]] = entry["index"]
    truths = {path.stem: table[opened(path)] for path in sorted((assets / "coco_val" / "masks").glob("*.png"))}
    paths = [assets / "coco_val" / "images" / f"{name}.jpg" for name in truths]
    joint = count_pairs(list(truths.values()), masks_of(predictor, paths), num_classes=21, unlabelled=255)
    return overlap_and_accuracy(joint)


def measure_vessels(predictor: Predictor, assets: Path) -> list[float]:
    """Mean Dice on four retinas."""
    folder = assets / "retina" / "chasedb1"
    paths = sorted((folder / "images").glob("*.jpg"))
    dices = []
    for path, mask in zip(paths, masks_of(predictor, paths), strict=True):
        truth = opened(folder / "masks" / f"{path.stem}.png") > 0
        dices.append(2 * np.sum((mask == 1) & truth) / (np.sum(mask == 1) + np.sum(truth)))
    return [float(np.mean(dices))]


def detections_of(predictor: Predictor, paths: Sequence[Path]) -> list[tuple[Prediction, Detection]]:
    """Boxes of images."""
    found = []
    for prediction in predictor.predict_batch(list(paths)):
        assert isinstance(prediction.result, Detection), prediction.error
        found.append((prediction, prediction.result))
    return found


def measure_boxes(predictor: Predictor, assets: Path) -> list[float]:
    """AP, AP at an overlap of 0.5 and at 0.75, by pycocotools, on COCO photographs."""
    found = detections_of(predictor, sorted((assets / "coco_val" / "images").glob("*.jpg")))
    truth: dict[str, Any] = {"info": {}, "images": [], "annotations": []}
    truth["categories"] = [{"id": index, "name": name} for index, name in enumerate(coco_classes(assets))]
    results = []
    for image_id, (prediction, result) in enumerate(found):
        height, width = prediction.source.image_hw
        truth["images"].append({"id": image_id, "height": height, "width": width})
        labels = assets / "coco_val" / "boxes" / f"{Path(prediction.source.image_id).stem}.txt"
        for line in labels.read_text().splitlines():
            class_id, cx, cy, w, h = map(float, line.split())
            box = [(cx - w / 2) * width, (cy - h / 2) * height, w * width, h * height]
            key = {"id": len(truth["annotations"]) + 1, "image_id": image_id, "category_id": int(class_id)}
            truth["annotations"].append({**key, "bbox": box, "area": box[2] * box[3], "iscrowd": 0})
        for (x_min, y_min, x_max, y_max), score, found_id in zip(
            result.boxes_xyxy.tolist(), result.scores.tolist(), result.class_ids.tolist(), strict=True
        ):
            box = [x_min, y_min, x_max - x_min, y_max - y_min]
            results.append({"image_id": image_id, "category_id": found_id, "bbox": box, "score": score})
    with redirect_stdout(StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float(value) for value in evaluation.stats[:3]]


def measure_labels(predictor: Predictor, assets: Path) -> list[float]:
    """Mean average precision over classes and over all pairs, by scikit-learn, on COCO photographs."""
    with (assets / "coco_val" / "multilabel.csv").open() as file:
        rows = list(csv.DictReader(file))
    truth = np.array([[int(row[name]) for name in coco_classes(assets)] for row in rows])
    images = [assets / "coco_val" / "images" / row["file"] for row in rows]
    scores = np.zeros(truth.shape)
    for line, prediction in zip(scores, predictor.predict_batch(images), strict=True):
        assert isinstance(prediction.result, MultiLabel), prediction.error
        line[prediction.result.top_class_ids] = prediction.result.top_scores
    occurs = truth.any(axis=0)
    return [
        float(average_precision_score(truth[:, occurs], scores[:, occurs], average="macro")),
        float(average_precision_score(truth, scores, average="micro")),
    ]


def measure_faces(predictor: Predictor, assets: Path) -> list[float]:
    """Faces found in each photograph."""
    found = detections_of(predictor, [assets / "faces" / f"{name}.jpg" for name in FACES])
    return [float(len(result.scores)) for _, result in found]


photographs = partial(measure_hits, images="imagenet", ranks=(1, 5))
thumbnails = partial(measure_hits, images="cifar10", ranks=(1,))
TOP = ("top-1", "top-5")
OVERLAP = ("mIoU", "pixel accuracy")


def list_rows() -> list[Row]:
    """The whole table."""
    rows = [
        Row(
            name=f"MobileNetV1 0.25 {kind}",
            build=partial(build, kind=kind),
            measure=photographs,
            figures=TOP,
            expected=(0.53, 0.76) if kind == "tflite" else (0.52, 0.76),
            engine=engine,
        )
        for build, kind, engine in (
            (mobilenet_package, "onnx", "onnxruntime"),
            (mobilenet_package, "onnx", "openvino"),
            (mobilenet_package, "pth", "torch"),
            (mobilenet_package, "safetensors", "torch"),
            (mobilenet_package, "torchscript", "torch"),
            (mobilenet_025_package, "torch_export", "torch"),
            (mobilenet_025_package, "keras", "torch"),
            (mobilenet_025_package, "savedmodel", "openvino"),
            (mobilenet_025_package, "tflite", "litert"),
        )
    ]
    rows += [
        Row(
            name="MobileNetV1 0.50 onnx",
            build=mobilenet_050_package,
            measure=photographs,
            figures=TOP,
            expected=(0.74, 0.88),
            engine=engine,
        )
        for engine in ("onnxruntime", "openvino")
    ]
    rows += [
        Row(
            name=f"ResNet-8 {kind}",
            build=partial(resnet8_package, kind=kind),
            measure=thumbnails,
            figures=("top-1",),
            expected=(224 / 300,),
            engine=engine,
        )
        for kind, engine in (
            ("keras", "torch"),
            ("tflite", "litert"),
            ("tflite", "openvino"),
            ("onnx", "onnxruntime"),
            ("onnx", "openvino"),
        )
    ]
    rows += [
        Row(
            name=f"ESPNet CamVid {kind}",
            build=partial(camvid_package, kind=kind),
            measure=measure_camvid,
            figures=OVERLAP,
            expected=(0.580, 0.8678),
            tolerance=0.0005,
            engine=engine,
            batch_size=4,
        )
        for kind, engine in (("onnx", "onnxruntime"), ("pth", "torch"))
    ]
    rows += [
        Row(
            name=f"retina U-Net {kind}",
            build=partial(retina_package, kind=kind),
            measure=measure_vessels,
            figures=("dice",),
            expected=(0.702,),
            tolerance=0.01,
            engine=engine,
            batch_size=4,
        )
        for kind, engine in (("onnx", "onnxruntime"), ("pth", "torch"))
    ]
    rows += [
        Row(
            name=f"DeepLabv3 {kind}",
            build=partial(deeplab_package, kind=kind),
            measure=measure_voc,
            figures=OVERLAP,
            expected=expected,
            tolerance=0.0005,
            engine=engine,
            batch_size=1,
        )
        for kind, engine, expected in (
            ("onnx", "onnxruntime", (0.509, 0.8966)),
            ("onnx", "openvino", (0.509, 0.8966)),
            ("tflite", "litert", (0.4995, 0.8907)),
        )
    ]
    rows += [
        Row(
            name="FastestDet onnx",
            build=partial(fastestdet_package, threshold=0.001, clip_boxes=False),
            measure=measure_boxes,
            figures=("AP", "AP50", "AP75"),
            expected=(0.2174, 0.4483, 0.1995),
            tolerance=0.005,
            engine=engine,
        )
        for engine in ("onnxruntime", "openvino")
    ]
    rows += [
        Row(
            name="FastestDet multi-label onnx",
            build=multilabel_package,
            measure=measure_labels,
            figures=("macro mAP", "micro mAP"),
            expected=(0.7709, 0.7221),
            tolerance=0.005,
            engine="onnxruntime",
        ),
        Row(
            name="UltraFace onnx",
            build=ultraface_package,
            measure=measure_faces,
            figures=tuple(f"faces in {name}.jpg" for name in FACES),
            expected=tuple(map(float, FACES.values())),
            engine="onnxruntime",
        ),
    ]
    return rows


def measure_row(row: Row, *, assets: Path, folder: Path) -> list[float]:
    """The figures of one row; its package is written into ``folder``."""
    package = row.build(folder, assets)
    predictor = Predictor.load(package, engine=row.engine, device="cpu", num_threads=2, batch_size=row.batch_size)
    return list(row.measure(predictor, assets))


def is_reached(row: Row, found: Sequence[float]) -> bool:
    """Whether every figure is within the row's tolerance."""
    return all(abs(one - other) <= row.tolerance for one, other in zip(found, row.expected, strict=True))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "assets")
    assets = parser.parse_args().assets
    table = Table("weights", "engine", "figure", "reference", "ours", "")
    is_whole = True
    for row in list_rows():
        with tempfile.TemporaryDirectory() as folder:
            found = measure_row(row, assets=assets, folder=Path(folder))
        is_good = is_reached(row, found)
        is_whole &= is_good
        table.add_row(
            row.name,
            row.engine,
            ", ".join(row.figures) if row.measure is not measure_faces else "faces in five photographs",
            ", ".join(f"{value:.4g}" for value in row.expected),
            ", ".join(f"{value:.4g}" for value in found),
            "reached" if is_good else "MISSED",
        )
    Console(width=150).print(table)
    sys.exit(0 if is_whole else 1)


if __name__ == "__main__":
    main()
