from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from inference_core.engines.normalize import ArrayNormalizer
from inference_core.images import Limits
from inference_core.importing.huggingface_input import draft_processor
from inference_core.importing.huggingface_processor import KINDS, PROCESSOR_FILE
from inference_core.input_spec import InputSpec
from inference_core.prepare.plan import plan_fit, scale_short_side
from inference_core.preparer import Preparer
from tests.torchvision_shim import import_torchvision

import_torchvision()
transformers = pytest.importorskip("transformers")

SIZES_HW = [(97, 131), (180, 75), (64, 64), (33, 240), (301, 299)]
"""Upright, lying, square, narrow, with odd sides."""
SMALL: dict[str, dict[str, Any]] = {
    "ConvNextImageProcessor": {"size": {"shortest_edge": 70}},
    "MobileViTImageProcessor": {"size": {"shortest_edge": 81}, "crop_size": {"height": 64, "width": 72}},
    **{name: {"size": {"shortest_edge": 90, "longest_edge": 121}} for name in KINDS if "Detr" in name},
    "MaskFormerImageProcessor": {"size": {"height": 60, "width": 70}},
    "Mask2FormerImageProcessor": {"size": {"shortest_edge": 90, "longest_edge": 121}, "size_divisor": 0},
    "YolosImageProcessor": {"size": {"shortest_edge": 90, "longest_edge": 121}},
}
"""Other steps than the classes' own: smaller ones, or such that have a counterpart."""


def draw(image_hw: tuple[int, int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture with edges, gradients and noise."""
    rows, columns = np.mgrid[: image_hw[0], : image_hw[1]]
    planes = np.stack([rows * 3, columns * 2, (rows // 7 + columns // 5) % 2 * 200], axis=-1)
    noise = np.random.default_rng(0).integers(0, 40, (*image_hw, 3))
    return ((planes + noise) % 256).astype(np.uint8)


def check_alike(facts: dict[str, Any], processor: Any, *, resampler: str) -> InputSpec:
    """Prepare pictures by the draft of a processor's file and by the processor itself."""
    draft = draft_processor(facts, num_channels=3)
    assert draft.missing == ()
    spec = InputSpec(**{**draft.settings()["input"], "resampler": resampler})
    preparer, normalizer = Preparer(spec, limits=Limits()), ArrayNormalizer(spec)
    for image_hw in SIZES_HW:
        pixels = draw(image_hw)
        item = preparer.prepare(pixels, image_id="a")
        assert item.prepared is not None, item.error
        expected = np.asarray(processor(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"])
        np.testing.assert_allclose(normalizer.normalize(item.prepared.tiles), expected, rtol=1e-6, atol=2e-6)
    return spec


@pytest.mark.parametrize("suffix", ["Pil", ""], ids=["pillow", "torchvision"])
@pytest.mark.parametrize("name", KINDS)
def test_every_known_processor_does_what_its_file_is_read_as(name: str, suffix: str, tmp_path: Path) -> None:
    processor = getattr(transformers, name + suffix)(**SMALL.get(name, {}))
    processor.save_pretrained(tmp_path)
    facts = json.loads((tmp_path / PROCESSOR_FILE).read_text())
    check_alike(facts, processor, resampler="pillow" if suffix else "torch")


@given(
    image_hw=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    short_px=st.integers(1, 900),
    longest_px=st.integers(1, 1400),
)
def test_the_limit_of_the_long_side_is_that_of_transformers(
    image_hw: tuple[int, int], short_px: int, longest_px: int
) -> None:
    from transformers.image_transforms import get_size_with_aspect_ratio

    expected = get_size_with_aspect_ratio(image_hw, short_px, longest_px)
    assume(min(expected) > 0)  # where theirs fails
    assert scale_short_side(image_hw, short_px=short_px, longest_px=longest_px) == expected


@given(image_hw=st.tuples(st.integers(20, 3000), st.integers(20, 3000)), short_px=st.integers(16, 900))
def test_sizes_of_yolos_are_those_of_transformers(image_hw: tuple[int, int], short_px: int) -> None:
    from transformers.models.yolos.image_processing_pil_yolos import get_size_with_aspect_ratio_yolos

    expected = get_size_with_aspect_ratio_yolos(image_hw, short_px, 2 * short_px)
    assume(min(expected) > 0)
    placement = plan_fit(image_hw, fit="native", resize_px=short_px, longest_px=2 * short_px, scaled_multiple_px=16)
    assert placement.scaled_hw == expected


NORMAL = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        pytest.param("ViTImageProcessor", {"size": 48, "resample": 2, **NORMAL}, id="one number is a square"),
        pytest.param(
            "CLIPImageProcessor", {"size": 80, "crop_size": 64, "resample": 3, **NORMAL}, id="or a short side"
        ),
        pytest.param(
            "CLIPImageProcessor",
            {"size": {"shortest_edge": 60}, "do_center_crop": False, "resample": 3, **NORMAL},
            id="without a crop",
        ),
        pytest.param(
            "DetrImageProcessor", {"size": 90, "max_size": 121, "resample": 2, **NORMAL}, id="and a longest side"
        ),
        pytest.param("ConvNextImageProcessor", {"size": 400, "resample": 3, **NORMAL}, id="stretched when large"),
        pytest.param(
            "ConvNextImageProcessor", {"size": 60, "crop_pct": 0.7, "resample": 3, **NORMAL}, id="another share"
        ),
        pytest.param(
            "ViTImageProcessor",
            {"size": {"height": 40, "width": 56}, "do_rescale": False, "do_normalize": False, "resample": 0},
            id="pixels as they are",
        ),
        pytest.param(
            "ViTImageProcessor", {"size": 40, "do_normalize": False, "resample": 1}, id="rescaled, not normalised"
        ),
        pytest.param(
            "ViTImageProcessor", {"size": 40, "rescale_factor": 0.01, "resample": 4, **NORMAL}, id="another factor"
        ),
        pytest.param(
            "EfficientNetImageProcessor",
            {"size": 40, "rescale_factor": 1 / 127.5, "rescale_offset": True, "resample": 2, **NORMAL},
            id="offset",
        ),
        pytest.param(
            "EfficientNetImageProcessor", {"size": 40, "include_top": False, "resample": 2, **NORMAL}, id="once"
        ),
    ],
)
def test_what_a_file_says_counts(name: str, facts: dict[str, Any]) -> None:
    processor = getattr(transformers, f"{name}Pil").from_dict(dict(facts))
    check_alike({"image_processor_type": name, **facts}, processor, resampler="pillow")


def test_the_names_of_older_versions_mean_the_same() -> None:
    facts = {"size": 40, "resample": 2, **NORMAL}
    now = draft_processor({"image_processor_type": "ViTImageProcessor", **facts}, num_channels=3)
    assert draft_processor({"feature_extractor_type": "ViTFeatureExtractor", **facts}, num_channels=3) == now
    fast = draft_processor({"image_processor_type": "ViTImageProcessorFast", **facts}, num_channels=3)
    assert [fact.value for fact in now.assumed] == ["pillow"]
    assert [fact.value for fact in fast.assumed] == ["torch"]
    assert "resizes with torchvision" in fast.assumed[0].origin


VIT = {"image_processor_type": "ViTImageProcessor", "size": 40, "resample": 2, **NORMAL}
CLIP = {"image_processor_type": "CLIPImageProcessor", "size": 40, "crop_size": 40, "resample": 2, **NORMAL}


@pytest.mark.parametrize(
    ("facts", "key", "reason"),
    [
        pytest.param(None, "input.fit", "how images got the input's size", id="no file"),
        pytest.param({}, "input.fit", "the steps of a processor without a name are not known", id="empty"),
        pytest.param(
            {**VIT, "image_processor_type": "OwnProcessor"}, "input.fit", "steps of OwnProcessor are not", id="unknown"
        ),
        pytest.param({**VIT, "do_resize": False}, "input.fit", "do_resize is off", id="no resize"),
        pytest.param({**VIT, "size": {"longest_edge": 40}}, "input.fit", "is no height and width", id="longest alone"),
        pytest.param({**VIT, "resample": 5}, "input.fit", "resample 5 is a kernel that is not known", id="kernel"),
        pytest.param({**VIT, "size": None}, "input.fit", "preprocessor_config.json holds no size", id="no size"),
        pytest.param({**CLIP, "crop_size": None}, "input.fit", "do_center_crop is on and crop_size", id="no crop size"),
        pytest.param({**CLIP, "crop_size": 48}, "input.fit", r"crop \[48, 48\] is larger than", id="larger crop"),
        pytest.param({**VIT, "image_mean": [0.5]}, "", "", id="one mean for all"),
        pytest.param({**VIT, "image_mean": [0.5, 0.5]}, "input.mean", "image_mean has 2 values", id="two means"),
        pytest.param(
            {"image_processor_type": "ViTImageProcessor", "size": 40, "resample": 2}, "input.mean", "", id="no mean"
        ),
        pytest.param(
            {
                "image_processor_type": "Mask2FormerImageProcessor",
                "size": {"shortest_edge": 8, "longest_edge": 9},
                "resample": 2,
                **NORMAL,
            },
            "input.fit",
            "size_divisor 32 rounds sides up",
            id="rounded up",
        ),
        pytest.param(
            {
                "image_processor_type": "DetrImageProcessor",
                "size": {"shortest_edge": 8, "longest_edge": 9},
                "resample": 2,
                "pad_size": {"height": 9, "width": 9},
                **NORMAL,
            },
            "input.fit",
            "pad_size fills images up",
            id="padded to a size",
        ),
    ],
)
def test_what_has_no_counterpart_is_a_gap(facts: dict[str, Any] | None, key: str, reason: str) -> None:
    gaps = draft_processor(facts, num_channels=3).missing
    assert (gaps == ()) if not key else (gaps[0].key == key)
    if reason:
        assert re.search(reason, gaps[0].reason)


def test_channels_that_no_image_has() -> None:
    assert [
        gap.key for gap in draft_processor({**VIT, "image_mean": [0.5], "image_std": [0.5]}, num_channels=4).missing
    ] == ["input.color"]
    gray = draft_processor({**VIT, "image_mean": [0.5], "image_std": [0.5]}, num_channels=1)
    assert gray.settings()["input"]["color"] == "gray"
