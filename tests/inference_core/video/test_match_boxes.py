from __future__ import annotations

import numpy as np
import pytest

from inference_core.video.match_boxes import match_boxes

LEFT, RIGHT = [0, 0, 10, 10], [8, 0, 18, 10]


@pytest.mark.parametrize(
    ("ours", "our_ids", "theirs", "their_ids", "expected"),
    [
        pytest.param([], [], [], [], [], id="none"),
        pytest.param([], [], [LEFT], [0], [], id="none of ours"),
        pytest.param([LEFT], [0], [], [], [], id="none of theirs"),
        pytest.param([LEFT], [0], [LEFT], [0], [(0, 0)], id="same"),
        pytest.param([LEFT], [0], [LEFT], [1], [], id="other class"),
        pytest.param([LEFT], [0], [[6, 0, 16, 10]], [0], [], id="too little in common"),
        pytest.param([[5, 5, 5, 5]], [0], [[5, 5, 5, 5]], [0], [], id="empty boxes"),
        pytest.param([LEFT, RIGHT], [0, 0], [RIGHT, LEFT], [0, 0], [(0, 1), (1, 0)], id="two"),
        # The best pair alone, 0 with 1, would leave 1 without any.
        pytest.param([[0, 0, 10, 10], [4, 0, 14, 10]], [0, 0], [[-5, 0, 5, 10], [1, 0, 11, 10]], [0, 0],
                     [(0, 0), (1, 1)], id="all together"),
    ],
)  # fmt: skip
def test_boxes_are_paired_by_class_and_overlap(
    ours: list[list[float]],
    our_ids: list[int],
    theirs: list[list[float]],
    their_ids: list[int],
    expected: list[tuple[int, int]],
) -> None:
    found = match_boxes(
        np.array(ours, np.float32).reshape(-1, 4),
        np.array(our_ids, np.int32),
        np.array(theirs, np.float32).reshape(-1, 4),
        np.array(their_ids, np.int32),
    )
    assert found == expected
