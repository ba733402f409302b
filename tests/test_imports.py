"""What importing a package loads: light things must stay light."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CHECK = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        pytest.param("inference_core", ("torch", "ray", "numpy", "pydantic"), id="the core"),
        pytest.param("inference_core.cli", ("torch", "ray", "onnxruntime"), id="the command"),
        pytest.param("inference_core.predictor", ("torch", "ray", "s3fs"), id="the predictor"),
        pytest.param("inference_core.pipeline", ("torch", "ray", "onnxruntime"), id="the pipeline"),
        pytest.param("inference_core.tasks.segmentation", ("torch",), id="a task"),
        pytest.param("inference_core.engines.onnx_engine", ("torch", "onnxruntime"), id="the engine of ONNX models"),
        pytest.param("inference_core.convert.export_package", ("torch", "onnx", "openvino"), id="the exporters"),
        pytest.param("inference_core.storage", ("fsspec", "s3fs"), id="storage"),
        pytest.param("jobs.stages", ("torch", "ray"), id="the stages of a job"),
        pytest.param("jobs.cli", ("torch", "ray"), id="the commands of jobs"),
        pytest.param("jobs.report.files", ("torch", "ray"), id="the report"),
    ],
)
def test_importing_leaves_heavy_libraries_alone(module: str, absent: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK, module, *absent],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stdout.split() == []


def test_the_check_sees_what_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK, "json", "json", "torch"], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["json"]
