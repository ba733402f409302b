"""What views bring: the figures of models with and without them, and the share of answers that each view changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trust_table import Row, Setting
from inference_core.enhance.override import override_package
from inference_core.enhance_spec import TtaSpec
from inference_core.items import Prediction
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from inference_core.results import Embedding
from tests.asset_packages import camvid_package, mobilenet_package, retina_package
from tests.detection_packages import fastestdet_package, multilabel_package
from tests.format_packages import mobilenet_050_package, resnet8_package
from tests.integration.reference_table import (
    Measure,
    measure_boxes,
    measure_camvid,
    measure_hits,
    measure_labels,
    measure_vessels,
)

FLIPS_AND_TURNS = ("hflip", "vflip", "rot90", "rot180", "rot270", "hflip*rot90", "hflip*rot270")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One model on its images, with one or more sets of views."""

    name: str
    figure: str
    """What the first figure of ``measure`` is."""
    build: Callable[..., Path]
    measure: Measure
    views: Sequence[tuple[str, ...]]
    merge: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case(
        name="MobileNetV1 0.25, 100 images",
        figure="accuracy",
        build=mobilenet_package,
        measure=partial(measure_hits, images="imagenet", ranks=(1,)),
        views=[("hflip",)],
        merge="geometric",
    ),
    Case(
        name="MobileNetV1 0.50, 100 images",
        figure="accuracy",
        build=mobilenet_050_package,
        measure=partial(measure_hits, images="imagenet", ranks=(1,)),
        views=[("hflip",)],
    ),
    Case(
        name="ResNet-8 CIFAR-10, 300 images",
        figure="accuracy",
        build=partial(resnet8_package, kind="onnx"),
        measure=partial(measure_hits, images="cifar10", ranks=(1,)),
        views=[("hflip",)],
    ),
    Case(
        name="ESPNet CamVid, 6 images",
        figure="mIoU",
        build=camvid_package,
        measure=measure_camvid,
        views=[("hflip",), ("scale:1.25", "hflip", "hflip*scale:1.25")],
    ),
    Case(
        name="vessels CHASE, 4 images",
        figure="Dice",
        build=retina_package,
        measure=measure_vessels,
        views=[("hflip",), FLIPS_AND_TURNS],
    ),
    Case(
        name="multi-label COCO, 25 images",
        figure="mAP",
        build=multilabel_package,
        measure=measure_labels,
        views=[("hflip",)],
    ),
    Case(
        name="FastestDet COCO, 25 images",
        figure="AP",
        build=fastestdet_package,
        measure=measure_boxes,
        views=[("hflip",)],
        options={"threshold": 0.001},
    ),
)


class Watched:
    """A predictor whose answers tell on the way what each view changed.

    Args:
        predictor: of a package with views.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._changed: dict[str, list[float]] = {}

    def predict(self, image: Any, *, image_id: str = "") -> Prediction:
        """See Predictor."""
        return self._noted(self._predictor.predict(image, image_id=image_id))

    def predict_batch(self, images: Any, *, image_ids: Any = None) -> list[Prediction]:
        """See Predictor."""
        return [self._noted(one) for one in self._predictor.predict_batch(images, image_ids=image_ids)]

    def __str__(self) -> str:
        return ", ".join(f"{name} {np.mean(shares):.1%}" for name, shares in self._changed.items())

    def _noted(self, prediction: Prediction) -> Prediction:
        result = prediction.result
        if result is not None and not isinstance(result, Embedding) and result.spread is not None:
            for gain in result.spread.gains:
                self._changed.setdefault(gain.name, []).append(gain.changed_frac)
        return prediction


def study_views(setting: Setting) -> Iterator[Row]:
    """Each model without views and with some."""
    for case in CASES:
        package = load_package(str(case.build(setting.folder / f"views {case.name}", setting.assets, **case.options)))
        plain = case.measure(Predictor.load(package, device="cpu", num_threads=2), setting.assets)[0]
        for views in case.views:
            tta = TtaSpec.model_validate({"views": views, "merge": case.merge})
            watched = Watched(Predictor.load(override_package(package, tta=tta), device="cpu", num_threads=2))
            merged = case.measure(watched, setting.assets)[0]  # type: ignore[arg-type] # it predicts as one does
            yield Row(
                study="views",
                what=f"{case.name}: {case.figure}, {len(views) + 1} views",
                before=f"{plain:.3f}",
                after=f"{merged:.3f}",
                note=f"changed by {watched}",
            )
