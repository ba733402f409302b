from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import ConfigError, ModelError
from inference_core.importing.draft import Draft
from inference_core.importing.from_huggingface import draft_huggingface
from tests.hub_models import save_huggingface, save_timm


def facts(draft: Draft) -> dict[str, Any]:
    return {fact.key: fact.value for fact in (*draft.assumed, *draft.found)}


def change(path: Path, **changes: Any) -> None:
    """Rewrite keys of a JSON file; None takes one away."""
    changed = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}))


def test_a_classifier_tells_everything(tmp_path: Path) -> None:
    save_huggingface(tmp_path / "tiny-vit", "vit")
    draft = draft_huggingface(str(tmp_path / "tiny-vit"), given={})
    assert draft.missing == ()
    assert {fact.key: fact.value for fact in draft.found} == {
        "name": "tiny-vit",
        "format": "huggingface",
        "weights": "model",
        "input.fit": "stretch",
        "input.size_hw": [64, 64],
        "input.interpolation": "bilinear",
        "input.scale": 255.0,
        "input.mean": [0.5, 0.5, 0.5],
        "input.std": [0.5, 0.5, 0.5],
        "task": "classification",
        "classes": ["ant", "bee", "cat"],
    }
    assert sorted(draft.files) == ["model/config.json", "model/model.safetensors"]
    (resampler,) = draft.assumed
    assert (resampler.key, resampler.value) == ("input.resampler", "pillow")
    assert "transformers 5, which resizes with torchvision" in resampler.origin


DETECTOR = {"name": "detr", "activation": "softmax", "no_object": "last"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("multilabel", {"task": "multilabel", "output.activation": "sigmoid"}, id="multi-label"),
        pytest.param("segformer", {"task": "segmentation", "input.size_hw": [64, 96]}, id="segmentation"),
        pytest.param(
            "detr",
            {
                "task": "detection",
                "output.decoder": DETECTOR,
                "output.nms.method": "none",
                "input.fit": "native",
                "input.resize_px": 97,
                "input.longest_px": 130,
                "input.multiple_px": 1,
            },
            id="detection",
        ),
        pytest.param("yolos", {"task": "detection", "input.scaled_multiple_px": 16}, id="yolos"),
        pytest.param("clip", {"task": "embedding", "output.name": "image_features"}, id="images and texts"),
    ],
)
def test_tasks(kind: str, expected: dict[str, Any], tmp_path: Path) -> None:
    save_huggingface(tmp_path, kind)
    draft = draft_huggingface(str(tmp_path), given={})
    assert draft.missing == ()
    assert {key: facts(draft).get(key) for key in expected} == expected


def test_features_are_the_users_to_choose(tmp_path: Path) -> None:
    save_huggingface(tmp_path, "dinov2")
    draft = draft_huggingface(str(tmp_path), given={})
    assert [gap.key for gap in draft.missing] == ["output.name"]
    assert draft_huggingface(str(tmp_path), given={"output.name": "cls_token"}).missing == ()


@pytest.mark.parametrize(
    ("file", "changes", "key"),
    [
        pytest.param("config.json", {"architectures": ["ViTForMaskedImageModeling"]}, "task", id="another head"),
        pytest.param("config.json", {"architectures": None}, "task", id="no head"),
        pytest.param("config.json", {"id2label": None}, "classes", id="no names"),
        pytest.param("config.json", {"id2label": {"0": "ant", "7": "bee"}}, "classes", id="names with holes"),
        pytest.param("config.json", {"num_channels": 4}, "input.mean", id="channels"),
        pytest.param("preprocessor_config.json", {"image_processor_type": "OwnProcessor"}, "input.fit", id="processor"),
    ],
)
def test_what_is_not_told_is_a_gap(file: str, changes: dict[str, Any], key: str, tmp_path: Path) -> None:
    save_huggingface(tmp_path, "vit")
    change(tmp_path / file, **changes)
    assert key in [gap.key for gap in draft_huggingface(str(tmp_path), given={}).missing]


def test_a_detector_whose_scores_are_not_known(tmp_path: Path) -> None:
    save_huggingface(tmp_path, "detr")
    change(tmp_path / "config.json", model_type="future_detr")
    assert "output.decoder" in [gap.key for gap in draft_huggingface(str(tmp_path), given={}).missing]


def test_without_a_processor_the_preprocessing_is_a_gap(tmp_path: Path) -> None:
    save_huggingface(tmp_path, "vit")
    (tmp_path / "preprocessor_config.json").unlink()
    gaps = [gap.key for gap in draft_huggingface(str(tmp_path), given={}).missing]
    assert gaps == ["input.fit", "input.scale", "input.mean", "input.std"]


def test_a_processor_inside_one_of_images_and_texts(tmp_path: Path) -> None:
    save_huggingface(tmp_path, "clip")
    own = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").unlink()
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": own}))
    assert facts(draft_huggingface(str(tmp_path), given={}))["input.size_hw"] == [32, 32]


def test_a_model_of_timm_on_the_hub_is_timms(tmp_path: Path) -> None:
    save_timm(tmp_path, "test_resnet", num_classes=3)
    assert facts(draft_huggingface(str(tmp_path), given={}))["format"] == "timm"


def test_a_hub_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConfigError, match=r"model must be one that the hub gives, got hf:nobody/nothing@v1: .*; check"):
        draft_huggingface("nobody/nothing@v1", given={})


def test_without_the_hubs_client_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"need the hub's client; pip install 'millrace\[huggingface\]'"):
        draft_huggingface("nobody/nothing", given={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(None, "must be a folder with config.json", id="empty"),
        pytest.param("{", "config.json must be JSON, got", id="no json"),
        pytest.param("[]", "config.json must hold a mapping, got list", id="a list"),
    ],
)
def test_folders_that_are_none(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(ModelError, match=message):
        draft_huggingface(str(tmp_path), given={})
