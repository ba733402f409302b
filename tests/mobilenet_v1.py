"""MobileNetV1 as a user would bring it: an architecture of their own, named by import path in ``model.yaml``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


def build_mobilenet(*, description: str) -> nn.Module:
    """Build the network that a JSON file describes, one entry per convolution.

    Args:
        description: path of the file; batch normalisation is already folded into its convolutions.
    """
    return MobileNetV1(json.loads(Path(description).read_text())["layers"])


class MobileNetV1(nn.Module):
    """Convolutions under ``features``, their mean under ``classifier``."""

    def __init__(self, layers: list[dict[str, Any]]) -> None:
        super().__init__()
        self.features = nn.ModuleList(
            nn.Conv2d(
                layer["in_channels"], layer["out_channels"], layer["kernel"], stride=layer["stride"],
                groups=layer["groups"],
            )
            for layer in layers
        )  # fmt: skip
        self.paddings = [padding_of(layer) for layer in layers]
        self.classifier = nn.Linear(layers[-1]["out_channels"], 1000)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(B, 3, 128, 128) -> (B, 1000) logits."""
        features = images
        for convolution, padding in zip(self.features, self.paddings, strict=True):
            features = F.relu6(convolution(F.pad(features, padding)))
        logits: torch.Tensor = self.classifier(features.mean(dim=(2, 3)))
        return logits


def padding_of(layer: dict[str, Any]) -> tuple[int, int, int, int]:
    """Left, right, top, bottom: TensorFlow's "same", which pads an odd rest at the end."""
    if layer["stride"] == 2:
        return 0, 1, 0, 1
    margin = layer["kernel"] // 2
    return margin, margin, margin, margin
