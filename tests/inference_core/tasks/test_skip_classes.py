from __future__ import annotations

import numpy as np
import pytest

from inference_core.errors import ConfigError, ModelError
from inference_core.tasks.classification import ClassificationTask
from tests.specs import model_spec

PROBS = np.float32([[0.5, 0.125, 0.25, 0.125]])


def test_leading_outputs_are_dropped_after_the_activation() -> None:
    task = ClassificationTask(model_spec({"output": {"activation": "none", "skip_classes": 1}}))
    reduced = task.reduce({"output": PROBS}, tile_hw=(8, 8))
    assert reduced["class_ids"].tolist() == [[1, 0, 2]]
    assert reduced["scores"].tolist() == [[0.25, 0.125, 0.125]]


def test_the_scores_of_logits_are_those_of_all_outputs() -> None:
    task = ClassificationTask(model_spec({"output": {"skip_classes": 1}}))
    reduced = task.reduce({"output": np.log(PROBS)}, tile_hw=(8, 8))
    np.testing.assert_allclose(reduced["scores"], [[0.25, 0.125, 0.125]], rtol=1e-6)


def test_the_classes_are_those_that_are_left() -> None:
    with pytest.raises(ModelError, match="classes must have one name for each"):
        ClassificationTask(model_spec()).reduce({"output": PROBS}, tile_hw=(8, 8))


def test_other_tasks_skip_none() -> None:
    with pytest.raises(ConfigError, match="skip_classes"):
        model_spec({"task": "segmentation", "output": {"skip_classes": 1}})
