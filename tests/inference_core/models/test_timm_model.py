from __future__ import annotations

import argparse
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from inference_core.errors import ConfigError, ModelError
from inference_core.models.torch_module import TorchModel, build_module
from tests.hub_models import build_timm
from tests.specs import package_of

ROOT = Path(__file__).resolve().parents[3]
NAME = "test_resnet"


def load(data: bytes, *, weights: str = "w.pth", name: str = NAME, **facts: Any) -> TorchModel:
    options = facts.pop("options", {"num_classes": 3})
    spec = {"format": "timm", "weights": weights, "architecture": {"name": name, "options": options}, **facts}
    return build_module(package_of(data, spec))


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def assert_answers_alike(model: TorchModel, reference: Any) -> None:
    values = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model.module(values), reference(values), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["safetensors", "pth", "training script", "data-parallel"])
def test_weights_however_they_were_saved(kind: str) -> None:
    model = build_timm(NAME, num_classes=3)
    state = model.state_dict()
    content = {
        "safetensors": lambda: safetensors.torch.save(state),
        "pth": lambda: saved(state),
        "training script": lambda: saved(
            {"epoch": 3, "arch": NAME, "state_dict": state, "args": argparse.Namespace(lr=0.1), "metric": 70.0}
        ),
        "data-parallel": lambda: saved({f"module.{key}": tensor for key, tensor in state.items()}),
    }[kind]()
    assert_answers_alike(load(content, weights="w.safetensors" if kind == "safetensors" else "w.pth"), model)


def test_the_tag_of_weights_may_stand_behind_the_name() -> None:
    model = build_timm(NAME, num_classes=3)
    assert_answers_alike(load(saved(model.state_dict()), name=f"{NAME}.r160_in1k"), model)


def test_an_embedding_has_no_classifier() -> None:
    model = build_timm(NAME, num_classes=3)
    data = saved(model.state_dict())
    model.reset_classifier(0)
    features = load(data, task="embedding", classes=None, options={})
    assert_answers_alike(features, model)
    assert features.notes == ("left out the classifier (fc.bias, fc.weight)",)


def test_other_formats_name_timms_architectures_with_a_prefix() -> None:
    model = build_timm(NAME, num_classes=3)
    facts = {
        "format": "state_dict",
        "weights": "w.pth",
        "architecture": {"name": f"timm:{NAME}", "options": {"num_classes": 3}},
    }
    assert_answers_alike(build_module(package_of(saved(model.state_dict()), facts)), model)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        pytest.param(
            {"name": "resnt18"},
            r"architecture.name: must be an architecture of timm .*, got 'resnt18'; did you mean resnet18",
            id="near",
        ),
        pytest.param({"name": "xyzzy"}, r"got 'xyzzy'; timm.list_models\(\) lists them", id="unknown"),
        pytest.param({"name": "hf-hub:timm/resnet18"}, "must be an architecture of timm", id="a name on a hub"),
        pytest.param({"name": "local-dir:/etc"}, "must be an architecture of timm", id="a folder"),
        pytest.param(
            {"options": {"pretrained": True}},
            "architecture.options: must be without pretrained, since the weights are the package's; remove it",
            id="other weights",
        ),
        pytest.param(
            {"options": {"pretrained_cfg": {"url": "http://127.0.0.1"}}}, "must be without pretrained_cfg", id="a url"
        ),
        pytest.param(
            {"options": {"depht": 3}}, f"architecture: timm's {NAME} refused the options .*'depht'", id="an option"
        ),
    ],
)
def test_architectures_that_cannot_be_built(facts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(saved({"fc.weight": torch.zeros(1)}), **facts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"num_classes": 5}, r"2 differing keys \(fc.weight \[3, 96\] for \[5, 96\], fc.bias", id="classes"
        ),
        pytest.param({"num_classes": 3, "in_chans": 1}, "1 differing key", id="channels"),
    ],
)
def test_weights_of_another_shape(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(saved(build_timm(NAME, num_classes=3).state_dict()), options=options)


def test_weights_of_another_architecture_name_what_does_not_fit() -> None:
    with pytest.raises(ModelError, match=r"weights must fit the architecture, got w.pth with \d+ missing keys"):
        load(saved(build_timm(NAME, num_classes=3).state_dict()), name="test_vit")


HIDDEN = """
import sys
sys.modules["timm"] = None
from inference_core.models.timm_model import build_timm
build_timm("resnet18")
"""
UNFIT = """
import sys
from importlib.abc import MetaPathFinder
class Raising(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "timm":
            raise RuntimeError("operator torchvision::nms does not exist")
sys.meta_path.insert(0, Raising())
from inference_core.models.timm_model import build_timm
build_timm("resnet18")
"""


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param(HIDDEN, "format timm needs timm; pip install 'millrace[timm]'", id="absent"),
        pytest.param(
            UNFIT,
            "needs a timm that can be imported, got: operator torchvision::nms does not exist; install the torchvision",
            id="with a torchvision of another torch",
        ),
    ],
)
def test_without_a_timm_that_works(script: str, message: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert f"ConfigError: {message}" in done.stderr or message in done.stderr
