"""Weights that were saved on a GPU, without the network that they belong to."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.errors import ConfigError
from inference_core.importing.findings import MissingFactsError
from inference_core.importing.importer import import_model
from inference_core.models.package import load_package
from tests.asset_packages import write_package

pytestmark = pytest.mark.assets
FILE = Path("models") / "detection" / "fastestdet_coco.pth"


def test_they_open_on_a_cpu_and_say_what_they_need(assets: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingFactsError, match=r"fastestdet_coco.pth does not tell \d+ facts") as caught:
        import_model(str(assets / FILE), out=str(tmp_path / "package"), said={})
    assert "architecture: the module of these 420 weights (" in str(caught.value)


def test_a_package_without_their_network_is_refused(assets: Path, tmp_path: Path) -> None:
    spec = {
        "name": "fastestdet",
        "task": "detection",
        "format": "state_dict",
        "weights": str(assets / FILE),
        "classes": ["person"],
        "input": {"fit": "stretch", "size_hw": [352, 352]},
        "output": {"decoder": {"name": "fastestdet"}},
    }
    with pytest.raises(
        ConfigError, match="architecture must be given with format state_dict, which holds no code; name"
    ):
        load_package(str(write_package(tmp_path, spec)))
