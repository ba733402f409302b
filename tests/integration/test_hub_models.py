"""Models of timm and transformers give through us what they give through their own pipeline, preprocessing included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from inference_core.engines.build import build_engine
from inference_core.importing.importer import import_model
from inference_core.models.package import ModelPackage
from inference_core.pipeline import build_preparer
from tests.hub_models import save_huggingface, save_timm

pytestmark = pytest.mark.assets

TOLERANCE = 1e-4
"""Of logits; both sides compute them in float32."""
MIN_SPREAD = 0.05
"""By how much logits of different photographs differ at least, so that equal ones mean something."""


def photographs(assets: Path) -> Iterator[Path]:
    """Real JPEG files of several sizes, upright and lying, some of their sides odd."""
    yield from sorted((assets / "classification" / "imagenet").glob("*.jp*g"))[:3]
    yield from sorted((assets / "coco_val" / "images").glob("*.jp*g"))[:4]


def answers(package: ModelPackage, photographs: Iterable[Path]) -> Iterator[dict[str, Tensor]]:
    """The raw outputs of the package's own model for each photograph."""
    preparer = build_preparer(package)
    engine = build_engine(package, device="cpu", precision="fp32", num_threads=1)
    for photograph in photographs:
        item = preparer.prepare(photograph.read_bytes(), image_id="a")
        assert item.prepared is not None, item.error
        yield engine.run(item.prepared.tiles)


def check_alike(package: ModelPackage, assets: Path, reference: Any) -> None:
    """Compare every output for every photograph with what ``reference`` gives for its Pillow image."""
    seen: list[np.ndarray[Any, Any]] = []
    sizes = set()
    paths = list(photographs(assets))
    for photograph, found in zip(paths, answers(package, paths), strict=True):
        image = Image.open(photograph).convert("RGB")
        sizes.add(image.size)
        with torch.inference_mode():
            expected: Mapping[str, Tensor] = reference(image)
        for name, values in found.items():
            torch.testing.assert_close(values, expected[name], rtol=0, atol=TOLERANCE)
        seen.append(next(iter(found.values())).numpy().reshape(-1)[:3])
    assert any(width % 2 or height % 2 for width, height in sizes)
    assert np.ptp(np.stack(seen), axis=0).max() > MIN_SPREAD


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("resnet18", {}, id="resnet18"),
        pytest.param("vit_tiny_patch16_224", {"depth": 2}, id="a vision transformer"),
        pytest.param("mobilenetv3_small_050", {}, id="mobilenet"),
        pytest.param("test_vit", {}, id="160 pixels"),
        pytest.param("test_efficientnet", {"config": {"crop_mode": "squash", "crop_pct": 1.0}}, id="stretched"),
        pytest.param("test_resnet", {"config": {"crop_mode": "squash", "crop_pct": 0.87}}, id="stretched and cut"),
        pytest.param("test_resnet", {"config": {"crop_pct": 1.15, "interpolation": "bilinear"}}, id="filled up"),
        pytest.param("test_resnet", {"config": {"mean": [0.5] * 3, "std": [0.4, 0.5, 0.6]}}, id="another mean"),
    ],
)
def test_timm(name: str, options: dict[str, Any], tmp_path: Path, assets: Path) -> None:
    model = save_timm(tmp_path / "model", name, **{"num_classes": 3, **options})
    from timm.data import create_transform, resolve_model_data_config

    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    package = import_model(
        f"timm:local-dir:{tmp_path / 'model'}", out=str(tmp_path / "package"), said={"classes": ["ant", "bee", "cat"]}
    ).package
    assert package.spec.format == "timm"
    check_alike(package, assets, lambda image: {"output": model(transform(image)[None])})


def test_timm_without_a_classifier(tmp_path: Path, assets: Path) -> None:
    model = save_timm(tmp_path / "model", "resnet18", num_classes=3)
    from timm.data import create_transform, resolve_model_data_config

    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    package = import_model(str(tmp_path / "model"), out=str(tmp_path / "package"), said={"task": "embedding"}).package
    model.reset_classifier(0)
    check_alike(package, assets, lambda image: {"output": model(transform(image)[None])})


@pytest.mark.parametrize("is_fast", [False, True], ids=["pillow", "torchvision"])
@pytest.mark.parametrize(
    ("kind", "task"),
    [
        pytest.param("resnet", "classification", id="resnet"),
        pytest.param("vit", "classification", id="vit"),
        pytest.param("multilabel", "multilabel", id="multi-label"),
        pytest.param("segformer", "segmentation", id="segformer"),
        pytest.param("detr", "detection", id="detr"),
        pytest.param("yolos", "detection", id="yolos"),
        pytest.param("maskformer", "detection", id="maskformer"),
    ],
)
def test_huggingface(kind: str, task: str, is_fast: bool, tmp_path: Path, assets: Path) -> None:
    model, processor = save_huggingface(tmp_path / "model", kind, is_fast=is_fast)
    said = {"input.resampler": "torch" if is_fast else "pillow"}
    package = import_model(str(tmp_path / "model"), out=str(tmp_path / "package"), said=said).package
    assert (package.spec.format, package.spec.task) == ("huggingface", task)
    check_alike(package, assets, lambda image: model(**processor(images=image, return_tensors="pt")))


@pytest.mark.parametrize(
    ("kind", "output"),
    [
        pytest.param("dinov2", "cls_token", id="the first token"),
        pytest.param("dinov2", "mean_token", id="the mean of the tokens"),
        pytest.param("dinov2", "pooler_output", id="the models own pooling"),
        pytest.param("resnet", "pooler_output", id="of a classifier"),
        pytest.param("clip", "image_features", id="shared with texts"),
    ],
)
def test_huggingface_features(kind: str, output: str, tmp_path: Path, assets: Path) -> None:
    model, processor = save_huggingface(tmp_path / "model", kind)
    said = {"task": "embedding", "output.name": output, "input.resampler": "pillow"}
    package = import_model(str(tmp_path / "model"), out=str(tmp_path / "package"), said=said).package

    def reference(image: Image.Image) -> dict[str, Tensor]:
        values = processor(images=image, return_tensors="pt")["pixel_values"]
        if output == "image_features":
            features = model.get_image_features(pixel_values=values)
            return {output: getattr(features, "pooler_output", features)}
        outputs = getattr(model, "base_model", model)(values)
        features = {
            "cls_token": lambda: outputs.last_hidden_state[:, 0],
            "mean_token": lambda: outputs.last_hidden_state.mean(dim=1),
            "pooler_output": lambda: outputs.pooler_output.flatten(1),
        }[output]()
        return {output: features}

    check_alike(package, assets, reference)
