from __future__ import annotations

import pytest

from inference_core.errors import ConfigError
from inference_core.optimise.names import match_names

NAMES = ["conv_1", "conv_2", "gemm_3"]


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["conv_2"], ["conv_2"], id="name"),
        pytest.param(["conv_*"], ["conv_1", "conv_2"], id="pattern"),
        pytest.param(["gemm_3", "conv_?"], ["conv_1", "conv_2", "gemm_3"], id="in-order-of-the-graph"),
    ],
)
def test_names_and_patterns(patterns: list[str], expected: list[str]) -> None:
    assert match_names(patterns, NAMES) == expected


def test_a_pattern_without_a_match_is_told_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"--keep-float: must name a layer of the model, got 'conv2'; there are 3"):
        match_names(["conv_1", "conv2"], NAMES)
