from __future__ import annotations

import itertools
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import ConfigError
from inference_core.input_spec import (
    ClaheFilter,
    GammaFilter,
    GrayFilter,
    Interpolation,
    Resampler,
    StretchMinmaxFilter,
)
from inference_core.postprocess_spec import PostprocessSpec
from inference_core.prepare.resize import check_resampler
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings
from tests.specs import PLAIN_INPUT, input_spec, merged, model_spec, spec_data

SEGMENTATION = {"task": "segmentation"}
STATE_DICT = {"format": "state_dict", "architecture": {"name": "unet"}}


def with_input(options: dict[str, Any]) -> dict[str, Any]:
    return {"input": merged(PLAIN_INPUT, options)}


def test_the_defaults_are_the_documented_ones() -> None:
    spec = model_spec()
    assert (spec.output.activation, spec.output.top_k, spec.output.threshold) == ("softmax", 5, 0.5)
    assert (spec.input.scale, spec.input.mean, spec.input.std) == (255.0, (0.0,), (1.0,))
    assert (spec.input.resampler, spec.input.interpolation, spec.input.color) == ("pillow", "bilinear", "rgb")
    assert spec.input.decode.apply_orientation
    assert spec.calibration.temperature == 1.0
    assert not spec.is_binary


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"name": None}, "name: is required and missing; set it", id="no-name"),
        pytest.param({"name": ""}, "name: must have at least 1 character, got ''", id="empty-name"),
        pytest.param({"name": "a b"}, r"name: must match pattern .*, got 'a b'", id="name-with-space"),
        pytest.param({"task": "detect"}, "task: must be 'classification', .* or 'embedding', got 'detect'", id="task"),
        pytest.param(
            {"format": "pth"}, "format: must be 'state_dict', 'lightning', .* or 'ensemble', got 'pth'", id="format"
        ),
        pytest.param({"clases": 1}, "clases: is not a known key; did you mean 'classes'", id="unknown-key"),
        pytest.param({"classes": []}, "classes must name at least one class, got none", id="no-classes"),
        pytest.param({"classes": ["a", "b", "a"]}, "classes must be distinct, got a more than once", id="same-twice"),
        pytest.param({"classes": ["a", 2]}, "classes.1: must be a valid string, got 2", id="class-is-number"),
        pytest.param({"classes": {0: "a"}}, "classes: must be a list, got {0: 'a'}", id="class-mapping"),
        pytest.param({"weights_sha256": "ab"}, "weights_sha256: must match pattern", id="short-digest"),
        pytest.param({"format": "state_dict"}, "architecture must be given with format state_dict", id="no-code"),
        pytest.param(
            {"architecture": {"name": "unet"}}, "architecture must be absent with format onnx", id="code-twice"
        ),
        pytest.param(
            STATE_DICT | {"architecture": {"name": "unet", "import": "a:b"}},
            "architecture: must have exactly one of 'name' and 'import'",
            id="two-architectures",
        ),
        pytest.param(STATE_DICT | {"architecture": {}}, "architecture: must have exactly one of", id="no-architecture"),
        pytest.param(
            STATE_DICT | {"architecture": {"import": "a.b"}}, "architecture.import: must be package", id="no-colon"
        ),
        pytest.param(
            STATE_DICT | {"architecture": {"import": ".a:b"}}, "architecture.import: must be package", id="relative"
        ),
        pytest.param(
            STATE_DICT | {"architecture": {"name": "unet", "hyper_parameters": True}},
            "architecture.hyper_parameters must go with format lightning; remove it",
            id="hyper-parameters-of-a-state-dict",
        ),
        pytest.param(
            {"format": "lightning", "architecture": {"name": "timm:resnet18", "hyper_parameters": True}},
            "architecture: hyper_parameters must be a list with an architecture of timm",
            id="all-hyper-parameters-for-timm",
        ),
        pytest.param({"format": "lightning"}, "architecture must be given with format lightning", id="no-module"),
        pytest.param({"format": "timm"}, "architecture must be given with format timm, which holds no", id="no-name"),
        pytest.param(
            {"format": "timm", "architecture": {"import": "a:b"}},
            "architecture.name must be given with format timm; for your own, use format state_dict",
            id="timm-by-import",
        ),
        pytest.param(
            {"format": "huggingface", "architecture": {"name": "unet"}},
            "architecture must be absent with format huggingface, which holds it",
            id="architecture-of-huggingface",
        ),
        pytest.param(
            STATE_DICT | {"architecture": {"name": "unet", "option": {}}},
            "architecture.option: is not a known key; did you mean 'options'",
            id="unknown-architecture-key",
        ),
        pytest.param(
            {"task": "embedding", "classes": None, "calibration": {"temperature": 2.0}},
            "calibration.temperature must be absent with task embedding; remove it",
            id="temperature-of-vectors",
        ),
        pytest.param(
            {"calibration": {"temperature": 0}}, "calibration.temperature: must be greater than 0, got 0", id="cold"
        ),
        pytest.param(
            {"calibration": {"temperature": float("inf")}}, "temperature: must be a finite number", id="infinitely-hot"
        ),
        pytest.param(with_input({"fit": "tile"}), "input.fit tile must go with task segmentation", id="tiled-classes"),
        pytest.param(
            {"postprocess": [{"min_area_px": 3}]}, "postprocess must go with task segmentation", id="no-mask-to-clean"
        ),
        pytest.param(SEGMENTATION | {"classes": ["a"]}, "classes must be 2 to 256 for segmentation", id="one-class"),
        pytest.param(
            SEGMENTATION | {"classes": [str(i) for i in range(257)]},
            "classes must be 2 to 256 for segmentation, background included, got 257; name .*a pixel is one byte",
            id="too-many-classes",
        ),
        pytest.param(
            SEGMENTATION | {"output": {"activation": "sigmoid"}},
            "output.activation sigmoid must go with two classes",
            id="sigmoid-of-three",
        ),
        pytest.param({"output": {"top_k": 0}}, "output.top_k: must be greater than 0, got 0", id="top-none"),
        pytest.param({"output": {"threshold": 1.0}}, "output.threshold: must be less than 1, got 1.0", id="threshold"),
        pytest.param(
            {"output": {"treshold": 0.5}}, "output.treshold: is not a known key; did you mean 'threshold'", id="typo"
        ),
    ],
)
def test_a_wrong_model_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        model_spec(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"fit": "strech"}, "fit: must be 'letterbox', 'stretch', .* or 'native', got 'strech'", id="fit"),
        pytest.param({"size_hw": None}, r"size_hw must be given with fit stretch; add size_hw: \[height", id="no-size"),
        pytest.param({"size_hw": 8}, "size_hw: must be a list, got 8", id="one-size"),
        pytest.param({"size_hw": [8]}, "size_hw.1: is required and missing", id="half-a-size"),
        pytest.param({"size_hw": [0, 8]}, "size_hw.0: must be greater than 0, got 0", id="size-0"),
        pytest.param({"fit": "native"}, "size_hw must be absent with fit native", id="native-with-size"),
        pytest.param({"resize_px": 9}, "resize_px must go with fit shortest_side_crop or native or tile", id="resize"),
        pytest.param({"long_side_rounding": "nearest"}, "long_side_rounding must go with fit", id="rounding"),
        pytest.param({"crop_rounding": "floor"}, "crop_rounding must go with fit shortest_side_crop, or", id="crop"),
        pytest.param(
            {"fit": "letterbox", "resize_hw": [9, 9]}, "resize_hw must go with fit stretch, got fit letterbox", id="cut"
        ),
        pytest.param({"longest_px": 9}, "longest_px must go with fit native, got fit stretch", id="longest"),
        pytest.param({"scaled_multiple_px": 2}, "scaled_multiple_px must go with fit native", id="scaled-multiple"),
        pytest.param(
            {"fit": "native", "size_hw": None, "longest_px": 9},
            "longest_px must go with resize_px, which it limits; add resize_px",
            id="longest-alone",
        ),
        pytest.param({"multiple_px": 8}, "multiple_px must go with fit native, got fit stretch", id="multiple"),
        pytest.param({"overlap_px": 4}, "overlap_px must go with fit tile, got fit stretch; remove it", id="overlap"),
        pytest.param(
            {"fit": "tile", "overlap_px": 5}, "overlap_px must be at most half a tile's side, got 5", id="wide-overlap"
        ),
        pytest.param({"pad_value": 256}, "pad_value: must be less than or equal to 255, got 256", id="pad-value"),
        pytest.param({"mean": 0.5}, "mean: must be a list, got 0.5", id="bare-mean"),
        pytest.param({"mean": [0.1, 0.2]}, "mean must have 1 or 3 finite values for color rgb", id="two-means"),
        pytest.param(
            {"color": "gray", "std": [1, 1, 1]}, "std must have 1 or 1 finite values for color gray", id="gray-std"
        ),
        pytest.param({"mean": [float("nan")]}, "mean must have 1 or 3 finite values", id="nan-mean"),
        pytest.param({"std": [1, 0, 1]}, "scale and std must be finite and not 0", id="std-0"),
        pytest.param({"scale": 0}, "scale and std must be finite and not 0; they divide", id="scale-0"),
        pytest.param({"scale": float("inf")}, "scale and std must be finite and not 0", id="scale-inf"),
        pytest.param({"filters": "gray"}, "filters: must be a list, got 'gray'", id="bare-filter"),
        pytest.param({"filters": ["grey"]}, "must be among gray, stretch_minmax, .*, got 'grey'", id="grey"),
        pytest.param({"filters": [{"name": "clhe"}]}, "filters must be among .*, got 'clhe'", id="named-wrongly"),
        pytest.param({"filters": [{"gray": 3}]}, "filter gray must have no value, got 3; write it alone", id="gray-3"),
        pytest.param({"filters": [3]}, "a filter must be a name or a mapping of one name to its value, got 3", id="3"),
        pytest.param({"filters": [{"gamma": 1, "gray": 1}]}, "a filter must be a name or a mapping", id="two-in-one"),
        pytest.param({"filters": [{"gamma": -1}]}, "filters.0.gamma: must be greater than 0, got -1", id="gamma"),
        pytest.param({"filters": [{"gamma": float("inf")}]}, "filters.0.gamma: must be a finite number", id="inf"),
        pytest.param(
            {"filters": [{"clahe": {"clip_limt": 2}}]},
            "filters.0.clip_limt: is not a known key; did you mean 'clip_limit'",
            id="unknown-option-of-filter",
        ),
        pytest.param(
            {"decode": {"alpha": "red"}}, "decode.alpha: must be 'white', 'black' or 'drop', got 'red'", id="alpha"
        ),
        pytest.param({"decode": {"page": -1}}, "decode.page: must be greater than or equal to 0, got -1", id="page"),
    ],
)
def test_a_wrong_input_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        input_spec(options)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param("gray", GrayFilter(), id="name"),
        pytest.param({"gray": True}, GrayFilter(), id="true"),
        pytest.param({"stretch_minmax": None}, StretchMinmaxFilter(), id="nothing"),
        pytest.param({"gamma": 1.2}, GammaFilter(gamma=1.2), id="first-option"),
        pytest.param({"clahe": 3}, ClaheFilter(clip_limit=3), id="first-option-of-several"),
        pytest.param({"clahe": {"grid": [4, 4]}}, ClaheFilter(grid=(4, 4)), id="options"),
        pytest.param({"name": "clahe", "grid": [4, 4]}, ClaheFilter(grid=(4, 4)), id="as-dumped"),
        pytest.param(GammaFilter(gamma=2), GammaFilter(gamma=2), id="built"),
    ],
)
def test_every_way_to_write_a_filter(entry: Any, expected: Any) -> None:
    assert input_spec({"filters": [entry]}).filters == (expected,)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param([{"min_area_px": 64}], [("min_area_px", 64)], id="pixels"),
        pytest.param([{"fill_holes": False}], [("fill_holes", False)], id="switch"),
        pytest.param([{"open_px": 1}, {"close_px": 5}], [("open_px", 1), ("close_px", 5)], id="order-is-kept"),
        pytest.param([{"fill_holes": 40}], [("fill_holes", 40)], id="largest hole"),
        pytest.param(
            [{"max_area_px": 9}, {"keep_largest": 2}, {"clear_border": True}],
            [("max_area_px", 9), ("keep_largest", 2), ("clear_border", True)],
            id="components",
        ),
        pytest.param([{"name": "open_px", "value": 3}], [("open_px", 3)], id="as-dumped"),
        pytest.param([PostprocessSpec(name="open_px", value=3)], [("open_px", 3)], id="built"),
    ],
)
def test_postprocess_steps(steps: list[Any], expected: list[tuple[str, int]]) -> None:
    spec = model_spec(SEGMENTATION | {"postprocess": steps})
    assert [(step.name, step.value) for step in spec.postprocess] == expected
    assert all(type(step.value) is type(value) for step, (_, value) in zip(spec.postprocess, expected, strict=True))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        pytest.param({"min_area_px": 1}, "postprocess: must be a list, got {'min_area_px': 1}", id="no-list"),
        pytest.param(["fill_holes"], "postprocess step must be a mapping of one name to its value", id="bare-name"),
        pytest.param([{"min_area": 5}], "postprocess.0.name: must be 'min_area_px', .*, got 'min_area'", id="unknown"),
        pytest.param([{"min_area_px": 0}], "min_area_px must be a whole number of at least 1, got 0", id="area-0"),
        pytest.param([{"min_area_px": "big"}], "must be a whole number of at least 1, got 'big'", id="text"),
        pytest.param([{"min_area_px": True}], "must be a whole number of at least 1, got True", id="true"),
        pytest.param([{"open_px": 1.0}], "open_px must be a whole number of at least 1, got 1.0", id="fraction"),
        pytest.param([{"open_px": 4}], "open_px must be odd, the diameter of a disc, got 4; take one", id="even"),
        pytest.param([{"open_px": 1003}], "open_px must be at most 1001, got 1003; take a smaller disc", id="vast"),
        pytest.param([{"fill_holes": 0}], "must be true, false or the largest hole in pixels, got 0", id="no-hole"),
        pytest.param([{"clear_border": 1}], "clear_border must be true or false, got 1", id="switch-as-number"),
        pytest.param(
            [{"min_area_px": 4, "open_px": 3}], "must be a mapping of one name to its value, got {'min_area", id="two"
        ),
        pytest.param([{"classes": ["fore"]}], "must be a mapping of one name to its value, got {}", id="no-name"),
    ],
)
def test_wrong_postprocess_steps_are_refused(steps: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        model_spec(SEGMENTATION | {"postprocess": steps})
    assert "1 problem:" in str(caught.value)


@pytest.mark.parametrize(
    ("resampler", "interpolation"), [*itertools.product(get_args(Resampler), get_args(Interpolation))]
)
def test_the_spec_refuses_what_the_resampler_does_not_have(resampler: Any, interpolation: Any) -> None:
    try:
        check_resampler(interpolation=interpolation, resampler=resampler)
    except ConfigError:
        with pytest.raises(ConfigError, match=f"interpolation must be .* with resampler {resampler}"):
            input_spec({"resampler": resampler, "interpolation": interpolation})
    else:
        assert input_spec({"resampler": resampler, "interpolation": interpolation}).interpolation == interpolation


@given(
    options=st.fixed_dictionaries(
        {},
        optional={
            "classes": st.lists(st.text(), min_size=2, max_size=4, unique=True),
            "calibration": st.fixed_dictionaries({"temperature": st.floats(0.1, 10)}),
            "output": st.fixed_dictionaries({"threshold": st.floats(0.01, 0.99), "top_k": st.integers(1, 9)}),
            "postprocess": st.just([{"fill_holes": True}, {"open_px": 3}]),
            "input": st.just(PLAIN_INPUT | {"filters": ["gray", {"clahe": 3}], "mean": [0.1, 0.2, 0.3]}),
        },
    )
)
def test_a_dumped_spec_reads_back_equal(options: dict[str, Any]) -> None:
    spec = model_spec(SEGMENTATION | options)
    dumped = spec.model_dump(mode="json", by_alias=True)
    assert build_settings(ModelSpec, dumped, origin="dump") == spec


def test_all_problems_come_in_one_message() -> None:
    with pytest.raises(ConfigError) as caught:
        build_settings(ModelSpec, spec_data({"name": None, "tusk": 1, "input": {"fit": "x"}}), origin="m/model.yaml")
    text = str(caught.value)
    assert text.startswith("m/model.yaml has 3 problems:")
    assert all(f"\n  {key}: " in text for key in ("name", "tusk", "input.fit"))


def test_binary_is_segmentation_of_two() -> None:
    assert model_spec(SEGMENTATION | {"classes": ["a", "b"]}).is_binary
    assert not model_spec({"classes": ["a", "b"]}).is_binary
