from __future__ import annotations

import io
from typing import Any

import pytest
import safetensors.torch
import torch

from inference_core.errors import ConfigError, ModelError
from inference_core.importing.draft import Draft
from inference_core.importing.from_state_dict import draft_state_dict
from inference_core.models.unet import build_unet
from inference_core.models.weights import Weights

CNN = {
    "first.weight": torch.zeros(8, 3, 3, 3),
    "first.bias": torch.zeros(8),
    "head.weight": torch.zeros(7, 8),
    "head.bias": torch.zeros(7),
}


def saved(state: Any, *, name: str = "net.pth") -> Weights:
    if name.endswith(".safetensors"):
        return Weights(name=name, files={name: safetensors.torch.save(state)})
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return Weights(name=name, files={name: buffer.getvalue()})


def facts(draft: Draft) -> dict[str, Any]:
    return {fact.key: fact.value for fact in (*draft.assumed, *draft.found)}


def test_the_architecture_is_asked_for() -> None:
    draft = draft_state_dict(saved(CNN), given={})
    reasons = {gap.key: gap.reason for gap in draft.missing}
    assert list(reasons)[-3:] == ["architecture", "task", "classes"]
    assert "4 weights (first.weight, first.bias, head.weight, ...)" in reasons["architecture"]
    assert "7 of them" in reasons["classes"]


def test_safetensors_forget_what_came_last() -> None:
    draft = draft_state_dict(saved(CNN, name="net.safetensors"), given={})
    assert "of them" not in {gap.key: gap.reason for gap in draft.missing}["classes"]


@pytest.mark.parametrize(
    ("given", "left"),
    [({"task": "embedding"}, ["architecture"]), ({"task": "classification", "classes": ["a"]}, ["architecture"])],
    ids=["embedding", "classes"],
)
def test_what_is_said_is_not_asked_for(given: dict[str, Any], left: list[str]) -> None:
    missing = [gap.key for gap in draft_state_dict(saved(CNN), given=given).missing]
    assert [key for key in missing if not key.startswith("input.")] == left


@pytest.mark.parametrize("upsampling", ["transpose", "bilinear"])
@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
def test_the_built_in_unet_is_recognised(upsampling: Any, name: str) -> None:
    options = {"in_channels": 1, "num_classes": 3, "widths": [4, 6, 8], "upsampling": upsampling}
    unet = build_unet(in_channels=1, num_classes=3, widths=(4, 6, 8), upsampling=upsampling)
    draft = draft_state_dict(saved(unet.state_dict(), name=name), given={})
    known = facts(draft)
    assert known["architecture"] == {"name": "unet", "options": options}
    assert (known["task"], known["output.activation"], known["input.color"]) == ("segmentation", "softmax", "gray")
    assert "3 of them" in {gap.key: gap.reason for gap in draft.missing}["classes"]


def test_an_architecture_that_is_said_is_run() -> None:
    unet = build_unet(in_channels=3, num_classes=1, widths=(4, 6))
    torch.nn.init.constant_(unet.get_parameter("outc.conv.bias"), -3.0)  # logits, and no shares by chance
    given = {
        "architecture.import": "inference_core.models.unet:build_unet",
        "architecture.options": {"in_channels": 3, "num_classes": 1, "widths": [4, 6]},
    }
    known = facts(draft_state_dict(saved(unet.state_dict()), given=given))
    assert (known["task"], known["output.activation"]) == ("segmentation", "sigmoid")


def test_an_architecture_that_does_not_fit() -> None:
    given = {"architecture.name": "unet", "architecture.options": {"in_channels": 3, "num_classes": 7}}
    with pytest.raises(ModelError, match=r"weights must fit the architecture"):
        draft_state_dict(saved(CNN), given=given)


def test_an_unknown_architecture() -> None:
    with pytest.raises(ConfigError, match=r"architecture.name: must be one of unet"):
        draft_state_dict(saved(CNN), given={"architecture.name": "unetplusplus"})
