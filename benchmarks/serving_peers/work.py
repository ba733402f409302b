"""What every peer does with an image, the same for all and the same as Millrace's packages say: decode, fit, run, tell.

Needs only NumPy, OpenCV, Pillow and ONNX Runtime, so that it runs in any peer's own environment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import onnxruntime
from PIL import Image

SIZE_PX, RESIZE_PX, TOP_K = 128, 146, 5
MEAN, STD, MULTIPLE_PX, MIN_AREA_PX = 0.5, 0.25, 8, 16


def build_work(num_threads: int) -> Callable[[bytes], Any]:
    """Image bytes to an answer for ``json``, by the environment: TASK, MODEL (an ONNX file) and CLASSES (JSON file)."""
    cv2.setNumThreads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
    if os.environ["TASK"] == "segmentation":
        return Segmenter(session)
    with open(os.environ["CLASSES"]) as file:  # noqa: PTH123
        return Classifier(session, json.load(file))


def decode(data: bytes) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise ValueError("no image")
    return pixels


class Classifier:
    """The best classes: shortest side to 146, the middle 128x128, values from -1 to 1."""

    def __init__(self, session: onnxruntime.InferenceSession, classes: list[str]) -> None:
        self._session, self._classes = session, classes
        self._input = session.get_inputs()[0].name

    def __call__(self, data: bytes) -> list[dict[str, Any]]:
        """The answer for one image."""
        pixels = decode(data)
        height, width = pixels.shape[:2]
        scale = RESIZE_PX / min(height, width)
        size_hw = round(height * scale), round(width * scale)
        top, left = (size_hw[0] - SIZE_PX) // 2, (size_hw[1] - SIZE_PX) // 2
        resized = Image.fromarray(pixels).resize(size_hw[::-1], Image.Resampling.BILINEAR)
        cut = np.asarray(resized)[top : top + SIZE_PX, left : left + SIZE_PX]
        batch = (cut.transpose(2, 0, 1)[np.newaxis] / np.float32(127.5) - np.float32(1)).astype(np.float32)
        logits = self._session.run(None, {self._input: batch})[0][0]
        probs = np.exp(logits - logits.max())
        probs /= probs.sum()
        best = np.argsort(-probs)[:TOP_K]
        return [{"class_id": int(i), "label": self._classes[i], "score": float(probs[i])} for i in best]


class Segmenter:
    """The share of each class: sides up to multiples of 8, holes filled, parts under 16 pixels removed."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name

    def __call__(self, data: bytes) -> dict[str, Any]:
        """The answer for one image."""
        pixels = decode(data)
        height, width = pixels.shape[:2]
        bottom, right = -height % MULTIPLE_PX, -width % MULTIPLE_PX
        padded = cv2.copyMakeBorder(pixels, 0, bottom, 0, right, cv2.BORDER_REFLECT_101)
        values = (padded / np.float32(255) - np.float32(MEAN)) / np.float32(STD)
        batch = np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis], np.float32)
        logits = self._session.run(None, {self._input: batch})[0][0, :, :height, :width]
        mask = clean((logits[1] > logits[0]).astype(np.uint8))
        cells = int(mask.sum())
        return {"pixels": [mask.size - cells, cells], "frac": cells / mask.size}


def clean(mask: np.ndarray) -> np.ndarray:
    """Holes filled, small parts removed."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    is_hole = np.ones(len(stats), bool)
    is_hole[edge] = False
    is_hole[0] = False  # the foreground's own label
    filled = mask | is_hole[labels].astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(filled, connectivity=8)
    is_kept = stats[:, cv2.CC_STAT_AREA] >= MIN_AREA_PX
    is_kept[0] = False
    return is_kept[labels].astype(np.uint8)
