"""Models of timm and of transformers with a few thousand random weights, saved as their libraries save them.

Importing this imports torchvision, which both need for their transforms.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.torchvision_shim import import_torchvision

import_torchvision()

LABELS = {0: "ant", 1: "bee", 2: "cat"}
RESNET = {"embedding_size": 8, "hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "layer_type": "basic"}
VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
DETR = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "num_queries": 5,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A small model of transformers and its processor."""

    model: str
    config: str
    processor: str
    facts: dict[str, Any]
    """Of the configuration."""
    steps: dict[str, Any]
    """Of the processor."""


RECIPES = {
    "resnet": Recipe(
        model="ResNetForImageClassification",
        config="ResNetConfig",
        processor="ConvNextImageProcessor",
        facts={**RESNET, "id2label": LABELS},
        steps={"size": {"shortest_edge": 64}},
    ),
    "vit": Recipe(
        model="ViTForImageClassification",
        config="ViTConfig",
        processor="ViTImageProcessor",
        facts={**VIT, "image_size": 64, "patch_size": 16, "id2label": LABELS},
        steps={"size": {"height": 64, "width": 64}},
    ),
    "multilabel": Recipe(
        model="ViTForImageClassification",
        config="ViTConfig",
        processor="DeiTImageProcessor",
        facts={
            **VIT,
            "image_size": 64,
            "patch_size": 16,
            "id2label": LABELS,
            "problem_type": "multi_label_classification",
        },
        steps={"size": {"height": 73, "width": 73}, "crop_size": {"height": 64, "width": 64}},
    ),
    "segformer": Recipe(
        model="SegformerForSemanticSegmentation",
        config="SegformerConfig",
        processor="SegformerImageProcessor",
        facts={
            "hidden_sizes": [8, 16, 24, 32],
            "num_attention_heads": [1, 1, 2, 4],
            "depths": [1, 1, 1, 1],
            "decoder_hidden_size": 16,
            "id2label": LABELS,
        },
        steps={"size": {"height": 64, "width": 96}},
    ),
    "detr": Recipe(
        model="DetrForObjectDetection",
        config="DetrConfig",
        processor="DetrImageProcessor",
        facts={**DETR, "use_timm_backbone": False, "use_pretrained_backbone": False, "id2label": LABELS},
        steps={"size": {"shortest_edge": 97, "longest_edge": 130}},
    ),
    "yolos": Recipe(
        model="YolosForObjectDetection",
        config="YolosConfig",
        processor="YolosImageProcessor",
        facts={**VIT, "image_size": [96, 128], "patch_size": 16, "num_detection_tokens": 5, "id2label": LABELS},
        steps={"size": {"shortest_edge": 97, "longest_edge": 130}},
    ),
    "maskformer": Recipe(
        model="MaskFormerForInstanceSegmentation",
        config="MaskFormerConfig",
        processor="MaskFormerImageProcessor",
        facts={"fpn_feature_size": 32, "mask_feature_size": 32, "id2label": LABELS},
        steps={"size": {"shortest_edge": 64, "longest_edge": 90}, "size_divisor": 0},
    ),
    "dinov2": Recipe(
        model="Dinov2Model",
        config="Dinov2Config",
        processor="BitImageProcessor",
        facts={"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56, "patch_size": 14},
        steps={"size": {"shortest_edge": 64}, "crop_size": {"height": 56, "width": 56}},
    ),
    "clip": Recipe(
        model="CLIPModel",
        config="CLIPConfig",
        processor="CLIPImageProcessor",
        facts={
            "text_config": {
                "hidden_size": 16,
                "intermediate_size": 16,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "vocab_size": 50,
                "max_position_embeddings": 8,
                "bos_token_id": 0,
                "eos_token_id": 1,
            },
            "vision_config": {**VIT, "image_size": 32, "patch_size": 16},
            "projection_dim": 12,
        },
        steps={"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
    ),
}


def build_huggingface(kind: str) -> Any:
    """A model of RECIPES with weights that tell images apart."""
    transformers = pytest.importorskip("transformers")
    recipe, facts = RECIPES[kind], RECIPES[kind].facts
    if kind == "detr":
        backbone = transformers.ResNetConfig(**RESNET, out_features=["stage4"])
        facts = {**facts, "backbone": None, "backbone_config": backbone}
    if kind == "maskformer":
        stages = [f"stage{index}" for index in range(1, 5)]
        facts = {
            **facts,
            "backbone_config": transformers.ResNetConfig(**RESNET, out_features=stages),
            "decoder_config": transformers.DetrConfig(**DETR),
        }
    if "id2label" in facts:
        facts = {**facts, "label2id": {name: index for index, name in LABELS.items()}}
    config = getattr(transformers, recipe.config)(**facts)
    return spread_weights(getattr(transformers, recipe.model)(config).eval())


def save_huggingface(folder: Path, kind: str, *, is_fast: bool = False, **options: Any) -> tuple[Any, Any]:
    """Save a model of RECIPES as ``save_pretrained`` does, and give it with its processor."""
    transformers = pytest.importorskip("transformers")
    recipe, model = RECIPES[kind], build_huggingface(kind)
    processor = getattr(transformers, recipe.processor + ("" if is_fast else "Pil"))(**recipe.steps)
    with contextlib.redirect_stderr(io.StringIO()):  # progress bars
        model.save_pretrained(folder, **options)
        processor.save_pretrained(folder)
    return model, processor


def build_timm(name: str, *, config: dict[str, Any] | None = None, **options: Any) -> Any:
    """An architecture of timm with weights that tell images apart, and other preprocessing in its configuration."""
    timm = pytest.importorskip("timm")
    return spread_weights(timm.create_model(name, pretrained=False, pretrained_cfg_overlay=config, **options).eval())


def save_timm(
    folder: Path,
    name: str,
    *,
    config: dict[str, Any] | None = None,
    beside: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """Save an architecture of timm as it is saved for a hub, with facts beside its configuration, and give it."""
    model = build_timm(name, config=config, **options)
    from timm.models import save_for_hf

    save_for_hf(model, str(folder), safe_serialization=True, model_args=options, model_config=beside)
    return model


def spread_weights(model: nn.Module) -> nn.Module:
    """Fill a model with weights of usual size: those of a fresh one often give every image the same small scores."""
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            weight.data.normal_(0, (2 / weight[0].numel()) ** 0.5, generator=generator)
        elif name.endswith("bias"):
            weight.data.normal_(0, 0.1, generator=generator)
    return model
