"""What views are worth on real photographs: measured once, and to be reached again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from inference_core.enhance.override import override_package
from inference_core.enhance_spec import TtaSpec
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from tests.asset_packages import camvid_package, mobilenet_package
from tests.detection_packages import fastestdet_package, multilabel_package
from tests.integration.reference_table import measure_boxes, measure_camvid, measure_labels, photographs

Measure = Callable[[Predictor, Path], Sequence[float]]


@pytest.mark.parametrize(
    ("build", "options", "measure", "tta", "plain", "merged"),
    [
        pytest.param(
            mobilenet_package, {}, photographs, {"views": ["hflip"], "merge": "geometric"}, 0.52, 0.53, id="top-1"
        ),
        pytest.param(camvid_package, {}, measure_camvid, {"views": ["hflip"]}, 0.580, 0.593, id="mIoU"),
        pytest.param(
            camvid_package, {}, measure_camvid, {"views": ["scale:1.25", "hflip", "hflip*scale:1.25"]}, 0.580, 0.612,
            id="mIoU with scales",
        ),
        pytest.param(multilabel_package, {}, measure_labels, {"views": ["hflip"]}, 0.771, 0.800, id="mAP of labels"),
        pytest.param(
            fastestdet_package, {"threshold": 0.001}, measure_boxes, {"views": ["hflip"]}, 0.243, 0.254, id="AP"
        ),
    ],
)  # fmt: skip
def test_views_bring_what_they_brought(
    tmp_path: Path,
    assets: Path,
    build: Callable[..., Path],
    options: dict[str, Any],
    measure: Measure,
    tta: dict[str, Any],
    plain: float,
    merged: float,
) -> None:
    package = load_package(str(build(tmp_path, assets, **options)))
    asked = override_package(package, tta=TtaSpec.model_validate(tta))
    found = [measure(Predictor.load(one, device="cpu"), assets)[0] for one in (package, asked)]
    assert found == pytest.approx([plain, merged], abs=0.002)  # what another engine or processor moves
