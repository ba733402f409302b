from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.models.package import model_digest
from inference_core.models.write_package import CLASSES_FILE, write_package
from tests.specs import model_spec

SPECS: dict[str, dict[str, Any]] = {
    "nothing but defaults": {},
    "an input with filters and policies": {
        "input": {
            "fit": "stretch",
            "size_hw": [8, 8],
            "filters": ["gray", {"clahe": {"clip_limit": 3.0}}, {"gamma": 1.2}],
            "color": "gray",
            "decode": {"alpha": "drop"},
            "mean": [0.5],
        }
    },
    "a decoder of defaults": {"task": "detection", "output": {"decoder": {"name": "yolox"}, "nms": {"method": "soft"}}},
    "priors": {
        "task": "detection",
        "output": {"decoder": {"name": "ssd", "priors": [{"stride": 8, "sizes_hw": [[10, 10.5]]}]}},
    },
    "steps on a mask": {
        "task": "segmentation",
        "classes": ["background", "cell"],
        "postprocess": [{"fill_holes": True}, {"min_area_px": 64}],
    },
    "an architecture by import path": {
        "format": "state_dict",
        "architecture": {"import": "pkg.nets:build", "options": {"depth": 3}},
    },
    "thresholds of classes": {
        "task": "multilabel",
        "output": {"activation": "sigmoid", "thresholds": {"red": 0.25}},
    },
    "names that YAML would read as other things": {"classes": ["no", "3", "null"]},
    "many classes": {"classes": [f"class {index}" for index in range(30)]},
    "many classes of which one has a space at its end": {"classes": [f"{index} " for index in range(30)]},
    "an embedding": {"task": "embedding", "classes": None, "output": {"l2_normalize": True}},
}


@pytest.mark.parametrize("options", SPECS.values(), ids=SPECS.keys())
def test_a_package_is_read_back_as_it_was_written(tmp_path: Path, options: dict[str, Any]) -> None:
    spec = model_spec(options)
    package = write_package(str(tmp_path / "new"), spec, files={spec.weights: b"weights"})
    assert package.spec == spec
    assert package.digest == model_digest(spec, weights_sha256=package.weights.sha256)


def test_many_class_names_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    spec = model_spec({"classes": [f"class {index}" for index in range(30)]})
    write_package(str(tmp_path), spec, files={spec.weights: b"weights"})
    assert (tmp_path / CLASSES_FILE).read_text().splitlines() == list(spec.classes)


def test_a_folder_with_files_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"--out: must be an empty or new folder, got .* with notes\.txt"):
        write_package(str(tmp_path), model_spec(), files={"tiny.onnx": b"weights"})
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
