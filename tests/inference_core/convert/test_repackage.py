from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.architecture_spec import Format
from inference_core.convert.export_package import build_export, write_export
from inference_core.convert.repackage import FILE_NAMES, with_weights
from inference_core.errors import ConfigError
from inference_core.models.package import load_package
from inference_core.models.write_package import write_package
from tests.drawn_images import draw_folder
from tests.exportable_nets import net_package
from tests.hooked_packages import changed

NET = """
from tests.exportable_nets import build_net


def build(kind):
    return build_net(kind)
"""
FILTER = """
import numpy as np


def invert(pixels):
    return np.uint8(255) - pixels
"""


@pytest.mark.parametrize("weights_format", ["torchscript", "torch_export", "onnx", "openvino"])
def test_what_is_in_memory_is_what_would_be_written(tmp_path: Path, weights_format: Format) -> None:
    package = load_package(str(net_package(tmp_path / "source", "plain")))
    name = FILE_NAMES[weights_format]
    files = {"model.xml": b"graph", "model.bin": b"weights"} if weights_format == "openvino" else {name: b"weights"}
    made = with_weights(package, weights_format=weights_format, files=files)
    assert made.spec.architecture is None
    assert made.digest != package.digest
    written = write_package(str(tmp_path / "new"), made.spec, files=files)
    assert (written.spec, written.digest, written.weights.files) == (made.spec, made.digest, files)


def test_a_state_dict_keeps_its_architecture(tmp_path: Path) -> None:
    package = load_package(str(net_package(tmp_path / "source", "plain")))
    made = with_weights(package, weights_format="state_dict", files={"model.safetensors": package.weights.data})
    assert made.spec.architecture == package.spec.architecture
    assert made.digest == package.digest


def test_code_of_hooks_goes_along_and_that_of_the_architecture_stays(tmp_path: Path) -> None:
    source = changed(
        net_package(tmp_path / "source", "plain"),
        files={"net.py": NET, "filters.py": FILTER},
        changes={"architecture__import": "./net.py:build", "input__filters": [{"import": "./filters.py:invert"}]},
    )
    images, out = str(draw_folder(tmp_path / "images", 2)), tmp_path / "new"
    with pytest.raises(ConfigError, match=r"net\.py.*--trust-package-code|filters\.py.*--trust-package-code"):
        build_export(load_package(str(source)), target="onnx", out=str(out), images=[images])
    built = build_export(load_package(str(source), trusts_code=True), target="onnx", out=str(out), images=[images])
    written = write_export(built, str(out))
    assert written.digest == built.package.digest
    assert sorted(path.name for path in out.iterdir()) == ["filters.py", "model.onnx", "model.yaml"]
