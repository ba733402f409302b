from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from inference_core.errors import ConfigError, ModelError
from inference_core.importing.draft import Draft
from inference_core.importing.from_timm import draft_timm
from inference_core.importing.timm_input import draft_timm_input
from tests.hub_models import build_timm, save_timm

NAME = "test_resnet"


def facts(draft: Draft) -> dict[str, Any]:
    return {fact.key: fact.value for fact in (*draft.assumed, *draft.found)}


def test_a_folder_tells_all_but_the_names(tmp_path: Path) -> None:
    save_timm(tmp_path, NAME, num_classes=3)
    draft = draft_timm(f"local-dir:{tmp_path}", given={})
    found = {fact.key: fact.value for fact in draft.found}
    assert found == {
        "name": NAME,
        "format": "timm",
        "architecture": {"name": NAME, "options": {"num_classes": 3, "in_chans": 3, "global_pool": "avg"}},
        "weights": "model.safetensors",
        "input.size_hw": [160, 160],
        "input.fit": "shortest_side_crop",
        "input.resize_px": 168,
        "input.interpolation": "bilinear",
        "input.scale": 255.0,
        "input.mean": [0.5, 0.5, 0.5],
        "input.std": [0.5, 0.5, 0.5],
    }
    assert [(fact.key, fact.value) for fact in draft.assumed] == [
        ("input.resampler", "pillow"),
        ("task", "classification"),
    ]
    assert [gap.key for gap in draft.missing] == ["classes"]
    assert "3 of them" in draft.missing[0].reason
    assert list(draft.files) == ["model.safetensors"]


@pytest.mark.parametrize("names", [["n1", "n2", "n3"], {"0": "n1", "1": "n2", "2": "n3"}], ids=["list", "by number"])
def test_names_in_the_configuration(names: Any, tmp_path: Path) -> None:
    beside = {"label_names": names, "label_descriptions": {"n1": "ant", "n2": "bee", "n3": "ant"}}
    save_timm(tmp_path, NAME, num_classes=3, beside=beside)
    draft = draft_timm(f"local-dir:{tmp_path}", given={})
    assert facts(draft)["classes"] == ["ant (0)", "bee", "ant (2)"]
    assert draft.missing == ()


def test_a_thousand_classes_are_imagenets(tmp_path: Path) -> None:
    save_timm(tmp_path, NAME)
    draft = draft_timm(f"local-dir:{tmp_path}", given={})
    names = facts(draft)["classes"]
    assert (len(names), len(set(names))) == (1000, 1000)
    assert names[0] == "tench, Tinca tinca"
    assert [fact.origin for fact in draft.assumed if fact.key == "classes"] == [
        "timm's names of imagenet-1k, told by the number of classes"
    ]


@pytest.mark.parametrize("in_chans", [3, 1], ids=["colour", "gray"])
def test_a_name_with_weights_of_ones_own(in_chans: int, tmp_path: Path) -> None:
    model = build_timm(NAME, num_classes=7, in_chans=in_chans)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "own.safetensors")
    draft = draft_timm(f"{NAME}?weights={tmp_path}/own.safetensors", given={"input.mean": [0.5], "input.std": [0.5]})
    options = {"num_classes": 7} | ({"in_chans": 1} if in_chans == 1 else {})
    assert facts(draft)["architecture"] == {"name": NAME, "options": options}
    assert facts(draft).get("input.color", "rgb") == ("gray" if in_chans == 1 else "rgb")
    assert not any(fact.key.startswith("input") for fact in draft.found)  # the training may have been another
    assert "may have been trained otherwise" in next(f.origin for f in draft.assumed if f.key == "input.fit")


def test_the_users_task_decides_about_the_classifier(tmp_path: Path) -> None:
    save_timm(tmp_path, NAME, num_classes=3)
    draft = draft_timm(f"local-dir:{tmp_path}", given={"task": "embedding"})
    assert facts(draft)["architecture"]["options"]["num_classes"] == 0
    assert (draft.missing, facts(draft)["task"]) == ((), "embedding")
    draft = draft_timm(f"local-dir:{tmp_path}", given={"task": "multilabel", "classes": ["a", "b", "c"]})
    assert facts(draft)["output.activation"] == "sigmoid"


CONFIG = {"input_size": (3, 96, 96), "crop_pct": 0.9, "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic"}


@pytest.mark.parametrize(
    ("config", "options", "key"),
    [
        pytest.param({"crop_mode": "border"}, {}, "input.fit", id="border"),
        pytest.param({"input_size": (3, 96, 64)}, {}, "input.fit", id="an oblong crop"),
        pytest.param({"interpolation": "random"}, {}, "input.interpolation", id="chance"),
        pytest.param({}, {"in_chans": 1}, "input.mean", id="three means for gray"),
        pytest.param({"input_size": (4, 96, 96), "mean": (0.5,), "std": (0.5,)}, {}, "input.color", id="four channels"),
    ],
)
def test_what_has_no_counterpart_is_a_gap(config: dict[str, Any], options: dict[str, Any], key: str) -> None:
    draft = draft_timm_input({**CONFIG, **config}, is_own=True, options=options, origin="config.json")
    assert key in [gap.key for gap in draft.missing]
    assert key not in facts(draft)


@pytest.mark.parametrize(
    ("config", "options", "expected"),
    [
        pytest.param({}, {}, {"fit": "shortest_side_crop", "resize_px": 106, "size_hw": [96, 96]}, id="crop"),
        pytest.param({"crop_pct": 1.0}, {}, {"resize_px": 96}, id="all of the short side"),
        pytest.param({"crop_pct": 1.2}, {}, {"resize_px": 80, "pad_value": 0}, id="filled up"),
        pytest.param({"crop_mode": "squash", "crop_pct": 1.0}, {}, {"fit": "stretch"}, id="stretched"),
        pytest.param({"crop_mode": "squash"}, {}, {"fit": "stretch", "resize_hw": [106, 106]}, id="stretched and cut"),
        pytest.param(
            {"crop_mode": "squash", "crop_pct": 1.0, "input_size": (3, 96, 64)}, {}, {"size_hw": [96, 64]}, id="oblong"
        ),
        pytest.param({}, {"img_size": 64}, {"size_hw": [64, 64], "resize_px": 71}, id="another size"),
        pytest.param({"interpolation": "box"}, {}, {"interpolation": "area"}, id="kernel"),
    ],
)
def test_preprocessing(config: dict[str, Any], options: dict[str, Any], expected: dict[str, Any]) -> None:
    draft = draft_timm_input({**CONFIG, **config}, is_own=True, options=options, origin="config.json")
    assert draft.missing == ()
    assert expected.items() <= draft.settings()["input"].items()


def test_a_hub_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ConfigError, match=r"model must be one that the hub gives, got timm:resnet18: .*; check the name"
    ):
        draft_timm("resnet18", given={})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        pytest.param("resnt18", "must be an architecture of timm .* did you mean resnet18", id="near"),
        pytest.param(
            "resnt18?weights=a.pth", "must be an architecture of timm .* did you mean resnet18", id="with weights"
        ),
    ],
)
def test_names_that_timm_does_not_know(source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        draft_timm(source, given={})


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must be a folder that timm wrote, got .* without config.json"):
        draft_timm(f"local-dir:{tmp_path}", given={})
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    with pytest.raises(ModelError, match="must be a configuration of timm with an architecture"):
        draft_timm(f"local-dir:{tmp_path}", given={})
    (tmp_path / "config.json").write_text(f'{{"architecture": "{NAME}"}}')
    with pytest.raises(ModelError, match=r"must hold model.safetensors or pytorch_model.bin, got .* without; add"):
        draft_timm(f"local-dir:{tmp_path}", given={})


def test_weights_that_are_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"weights must exist, got .*own\.pth"):
        draft_timm(f"{NAME}?weights={tmp_path}/own.pth", given={})


def test_a_pickled_folder_is_read_too(tmp_path: Path) -> None:
    model = save_timm(tmp_path, NAME, num_classes=3)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    assert list(draft_timm(f"local-dir:{tmp_path}", given={}).files) == ["pytorch_model.bin"]
