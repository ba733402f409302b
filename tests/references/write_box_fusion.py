"""Write ``box_fusion.json``: what the authors' own package makes of boxes of several models.

It compiles with numba, 200 MB that the tests do not need otherwise, so its answers are kept. To make them anew, in an
environment of its own:

    pip install ensemble-boxes==1.0.9
    python tests/references/write_box_fusion.py
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ensemble_boxes import nms, weighted_boxes_fusion

NUM_CASES = 24
IOU_THRESHOLDS = (0.4, 0.55, 0.7)
TABLE = Path(__file__).with_name("box_fusion.json")


def draw_forwards(random: np.random.Generator) -> list[dict[str, Any]]:
    """Boxes of one to four models, as shares of the image's sides, near a few objects; no two scores are equal."""
    centers = random.uniform(0.25, 0.75, (3, 2))
    scores = iter(random.permutation(np.arange(1, 100)) / 100)
    forwards = []
    for _ in range(int(random.integers(1, 5))):
        count = int(random.integers(0, 7))
        middles = centers[random.integers(0, 3, count)] + random.normal(0, 0.02, (count, 2))
        halves = random.uniform(0.08, 0.14, (count, 2))
        boxes = np.round(np.concatenate([middles - halves, middles + halves], axis=1), 4)
        forwards.append(
            {
                "boxes": boxes.tolist(),
                "scores": [float(next(scores)) for _ in range(count)],
                "class_ids": random.integers(0, 2, count).tolist(),
            }
        )
    return forwards


def answers(found: tuple[Any, Any, Any]) -> dict[str, Any]:
    """Boxes, scores and classes, best first."""
    boxes, scores, labels = (np.asarray(part) for part in found)
    order = np.argsort(-scores, kind="stable")
    return {
        "boxes": np.round(boxes[order], 6).tolist(),
        "scores": np.round(scores[order], 6).tolist(),
        "class_ids": labels[order].astype(int).tolist(),
    }


def case_of(seed: int) -> dict[str, Any]:
    """Boxes, and what the package makes of them."""
    random = np.random.default_rng(seed)
    forwards = draw_forwards(random)
    parts = [[np.array(one[name]) for one in forwards] for name in ("boxes", "scores", "class_ids")]
    parts[0] = [boxes.reshape(-1, 4) for boxes in parts[0]]
    weights = [float(random.choice([0.5, 1.0, 2.0, 3.0])) for _ in forwards]
    iou = IOU_THRESHOLDS[seed % len(IOU_THRESHOLDS)]
    fused = answers(weighted_boxes_fusion(*parts, weights=weights, iou_thr=iou, conf_type="avg"))
    suppressed = answers(nms(*parts, weights=None, iou_thr=iou)) if any(map(len, parts[1])) else answers(([], [], []))
    return {"forwards": forwards, "weights": weights, "iou_threshold": iou, "wbf": fused, "nms": suppressed}


def main() -> None:
    """Write the table."""
    made_by = f"ensemble-boxes {version('ensemble-boxes')}"
    cases = ",\n".join(json.dumps(case_of(seed)) for seed in range(NUM_CASES))
    TABLE.write_text(f'{{"made_by": "{made_by}", "cases": [\n{cases}\n]}}\n')


if __name__ == "__main__":
    main()
