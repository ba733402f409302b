from __future__ import annotations

import re
from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.optimise.recipe import Recipe, build_recipe, plan_steps


@pytest.mark.parametrize(
    ("weights_format", "options", "steps"),
    [
        pytest.param("onnx", {"graph": "basic"}, ["graph"], id="one"),
        pytest.param("onnx", {"prune_frac": 0.5, "int8": "static"}, ["prune", "int8"], id="onnx"),
        pytest.param("state_dict", {"fuse": True, "half": "weights"}, ["fuse", "half"], id="stays-torch"),
        pytest.param(
            "state_dict",
            {"fuse": True, "prune_frac": 0.5, "graph": "basic", "half": "graph"},
            ["fuse", "prune", "to-onnx", "graph", "half"],
            id="late-export",
        ),
        pytest.param("torchscript", {"int8": "dynamic"}, ["to-onnx", "int8"], id="torchscript"),
        pytest.param("keras", {"half": "graph"}, ["to-onnx", "half"], id="keras"),
        pytest.param("savedmodel", {"half": "weights"}, ["half"], id="savedmodel"),
    ],
)
def test_steps_come_in_one_order(weights_format: Any, options: dict[str, Any], steps: list[str]) -> None:
    assert list(plan_steps(build_recipe(**options), weights_format=weights_format)) == steps


@pytest.mark.parametrize(
    ("weights_format", "options", "message"),
    [
        pytest.param(
            "tflite",
            {"fuse": True},
            "--fuse must go with format state_dict, .*, got tflite, with which --half weights works; change",
            id="tflite-fuse",
        ),
        pytest.param("onnx", {"fuse": True}, "got onnx, with which --prune, --graph, --int8", id="onnx"),
        pytest.param("openvino", {"int8": "static"}, "--int8 must go with format .*, got openvino", id="ir-int8"),
        pytest.param("openvino", {"half": "graph"}, "--half graph must go with", id="ir-half-graph"),
        pytest.param("keras", {"prune_frac": 0.5}, "--prune must go with", id="keras-prune"),
    ],
)
def test_a_format_that_a_step_does_not_take_is_told_what_works(
    weights_format: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        plan_steps(build_recipe(**options), weights_format=weights_format)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({}, "optimise must be given one of --fuse", id="nothing"),
        pytest.param({"int8": "int4"}, "--int8: must be dynamic or static, got 'int4'", id="int8"),
        pytest.param({"half": "yes"}, "--half: must be weights or graph, got 'yes'", id="half"),
        pytest.param({"graph": "all"}, "--graph: must be basic or extended, got 'all'", id="graph"),
        pytest.param({"int8": "static", "ranges": "max"}, "--ranges: must be minmax or entropy", id="ranges"),
        pytest.param({"prune_frac": 0.0}, "--prune: must lie between 0 and 1, got 0.0", id="prune-none"),
        pytest.param({"prune_frac": 1.0}, "--prune: must lie between 0 and 1, got 1.0", id="prune-all"),
        pytest.param({"int8": "static", "half": "weights"}, "--int8: must go without --half", id="two-formats"),
        pytest.param({"int8": "static", "graph": "extended"}, "--graph: must be basic with --int8", id="extended-int8"),
        pytest.param({"half": "weights", "keep_float": ("a",)}, "--keep-float: must go with --int8", id="keep-float"),
        pytest.param({"half": "weights", "is_seven_bit": True}, "--seven-bit: must go with --int8", id="seven-bit"),
        pytest.param({"int8": "dynamic", "ranges": "entropy"}, "--ranges: must go with --int8", id="dynamic"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_recipe(**options)


def test_a_recipe_says_what_it_asks_for() -> None:
    assert list(Recipe(fuse=True, half="graph").options()) == ["--fuse", "--half graph"]
