from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from inference_core.errors import ConfigError
from inference_core.models.unet import build_unet


class ReferenceDoubleConv(nn.Module):
    """Written apart from the source under test, in the style of milesial/Pytorch-UNet."""

    def __init__(self, in_channels, out_channels, mid_channels=None):
        super().__init__()
        if not mid_channels:
            mid_channels = out_channels
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class ReferenceDown(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), ReferenceDoubleConv(in_channels, out_channels))

    def forward(self, x):
        return self.maxpool_conv(x)


class ReferenceUp(nn.Module):
    def __init__(self, in_channels, out_channels, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = ReferenceDoubleConv(in_channels, out_channels, in_channels // 2)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
            self.conv = ReferenceDoubleConv(in_channels, out_channels)

    def forward(self, x1, x2):
        x1 = self.up(x1)
        diff_y = x2.size()[2] - x1.size()[2]
        diff_x = x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [diff_x // 2, diff_x - diff_x // 2, diff_y // 2, diff_y - diff_y // 2])
        return self.conv(torch.cat([x2, x1], dim=1))


class ReferenceOutConv(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(self, x):
        return self.conv(x)


class ReferenceUNet(nn.Module):
    def __init__(self, n_channels, n_classes, bilinear=False):
        super().__init__()
        factor = 2 if bilinear else 1
        self.inc = ReferenceDoubleConv(n_channels, 64)
        self.down1 = ReferenceDown(64, 128)
        self.down2 = ReferenceDown(128, 256)
        self.down3 = ReferenceDown(256, 512)
        self.down4 = ReferenceDown(512, 1024 // factor)
        self.up1 = ReferenceUp(1024, 512 // factor, bilinear)
        self.up2 = ReferenceUp(512, 256 // factor, bilinear)
        self.up3 = ReferenceUp(256, 128 // factor, bilinear)
        self.up4 = ReferenceUp(128, 64, bilinear)
        self.outc = ReferenceOutConv(64, n_classes)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x5 = self.down4(x4)
        x = self.up1(x5, x4)
        x = self.up2(x, x3)
        x = self.up3(x, x2)
        x = self.up4(x, x1)
        return self.outc(x)


@pytest.fixture(autouse=True)
def _seeded():
    state = torch.get_rng_state()
    torch.manual_seed(7)
    yield
    torch.set_rng_state(state)


def small_unet(**options: Any) -> nn.Module:
    defaults: dict[str, Any] = {"in_channels": 1, "num_classes": 2, "widths": (4, 8, 16)}
    return build_unet(**{**defaults, **options}).eval()


@pytest.fixture(scope="module", params=["transpose", "bilinear"])
def pair(request):
    """The reference with lively batch statistics, and ours with its weights loaded strictly."""
    torch.manual_seed(11)
    reference = ReferenceUNet(3, 2, bilinear=request.param == "bilinear")
    for module in reference.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    ours = build_unet(in_channels=3, num_classes=2, upsampling=request.param)
    ours.load_state_dict(reference.state_dict(), strict=True)
    return reference.eval(), ours.eval()


def test_keys_and_shapes_are_those_of_the_reference(pair):
    reference, ours = pair
    expected = [(key, tuple(value.shape)) for key, value in reference.state_dict().items()]
    assert [(key, tuple(value.shape)) for key, value in ours.state_dict().items()] == expected


@pytest.mark.parametrize("image_hw", [(16, 16), (48, 32), (45, 37), (50, 33)], ids=str)
def test_outputs_are_those_of_the_reference(pair, image_hw):
    reference, ours = pair
    images = torch.randn(2, 3, *image_hw)
    with torch.inference_mode():
        expected, logits = reference(images), ours(images)
    assert logits.shape == (2, 2, *image_hw)
    assert expected.std() > 1e-3, "a constant map would prove nothing"
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-6)


def test_the_other_upsampling_does_not_load(pair):
    reference, _ = pair
    is_bilinear = "up1.up.weight" not in reference.state_dict()
    other = build_unet(in_channels=3, num_classes=2, upsampling="transpose" if is_bilinear else "bilinear")
    with pytest.raises(RuntimeError, match="state_dict"):
        other.load_state_dict(reference.state_dict(), strict=True)


@pytest.mark.parametrize("upsampling", ["transpose", "bilinear"])
@pytest.mark.parametrize(
    "widths", [(4, 8), (3, 4), (4, 8, 16), (4, 6, 10), (8, 4, 2, 2), (2, 4, 8, 16, 32, 64)], ids=str
)
def test_depth_follows_widths_which_need_not_double(upsampling, widths):
    model = small_unet(widths=widths, upsampling=upsampling)
    names = [name for name, _ in model.named_children()]
    steps = range(1, len(widths))
    assert names == ["inc", *(f"down{n}" for n in steps), *(f"up{n}" for n in steps), "outc"]
    assert model(torch.randn(1, 1, 64, 64)).shape == (1, 2, 64, 64)


@given(height=st.integers(4, 40), width=st.integers(4, 40), upsampling=st.sampled_from(["transpose", "bilinear"]))
@settings(max_examples=25, deadline=None)
def test_any_size_comes_back_in_its_own_size(height, width, upsampling):
    with torch.inference_mode():
        logits = small_unet(num_classes=3, upsampling=upsampling)(torch.zeros(1, 1, height, width))
    assert logits.shape == (1, 3, height, width)


def test_weights_get_gradients_everywhere():
    model = small_unet().train()
    model(torch.randn(2, 1, 16, 16)).square().mean().backward()
    idle = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    # A convolution's constant shift before batch normalisation cancels; there is none here, so all must move.
    assert idle == []


def test_exported_program_gives_the_same_logits():
    model = small_unet()
    images = torch.randn(2, 1, 32, 48)
    program = torch.export.export(model, (images,))
    torch.testing.assert_close(program.module()(images), model(images), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, r"widths: must name at least 2 levels, got \[\]; add a width per level"),
        ({"widths": (8,)}, r"widths: must name at least 2 levels, got \[8\]"),
        ({"widths": (8, 15)}, r"widths: must be even after the first, got \[8, 15\]"),
        ({"widths": (8, 0)}, "widths: must be a whole number of at least 1, got 0"),
        ({"in_channels": 0}, "in_channels: must be a whole number of at least 1, got 0"),
        ({"num_classes": True}, "num_classes: must be a whole number of at least 1, got True"),
        ({"upsampling": "nearest"}, "upsampling: must be transpose or bilinear, got 'nearest'"),
    ],
    ids=["no-level", "one-level", "odd-width", "zero-width", "no-channel", "bool-classes", "upsampling"],
)
def test_a_wrong_option_names_itself_and_the_rule(options, message):
    with pytest.raises(ConfigError, match=message):
        small_unet(**options)
