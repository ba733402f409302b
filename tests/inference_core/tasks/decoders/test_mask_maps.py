from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.detection_spec import (
    DetrDecoder,
    Mask2formerDecoder,
    TorchvisionDecoder,
    Yolov5Decoder,
    Yolov8Decoder,
)
from inference_core.errors import ModelError
from inference_core.tasks.decoders.decode import decode, decode_masks
from inference_core.tasks.decoders.mask_maps import mask_windows
from tests.arrays import LIBRARIES, array_of, numpy_of

each_library = pytest.mark.parametrize("library", LIBRARIES)
RANDOM = np.random.default_rng(3)
ROWS = RANDOM.normal(size=(2, 7, 4 + 2 + 3)).astype(np.float32)  # K = 2 classes, P = 3 prototypes
PROTOTYPES = RANDOM.normal(size=(2, 3, 4, 6)).astype(np.float32)


def maps_of(decoder: Any, arrays: dict[str, Any], *, library: str, num_boxes: int = 7) -> Any:
    outputs = {name: array_of(values, library=library) for name, values in arrays.items()}
    return decode_masks(outputs, decoder, names={}, num_boxes=num_boxes)


def taken(maps: Any, tile_index: int, rows: list[int], *, library: str) -> Any:
    indices: Any = array_of(rows, library=library)
    return numpy_of(maps.of_rows(tile_index, indices.long() if library == "torch" else indices.astype(np.int64)))


@each_library
@pytest.mark.parametrize("layout", ["BNC", "BCN"])
@pytest.mark.parametrize("prototype_layout", ["BCHW", "BHWC"])
def test_prototypes_make_masks(library: str, layout: Any, prototype_layout: Any) -> None:
    decoder = Yolov8Decoder(masks=True, layout=layout, prototype_layout=prototype_layout)
    rows = ROWS if layout == "BNC" else ROWS.transpose(0, 2, 1)
    prototypes = PROTOTYPES if prototype_layout == "BCHW" else PROTOTYPES.transpose(0, 2, 3, 1)
    maps = maps_of(decoder, {"output": rows, "prototypes": prototypes}, library=library)
    assert maps.map_hw == (4, 6)
    expected = np.einsum("np,phw->nhw", ROWS[1, [5, 2], 6:], PROTOTYPES[1])
    np.testing.assert_allclose(taken(maps, 1, [5, 2], library=library), expected, rtol=1e-5, atol=1e-5)
    assert taken(maps, 0, [], library=library).shape == (0, 4, 6)


@each_library
@pytest.mark.parametrize("decoder", [Yolov5Decoder, Yolov8Decoder])
def test_coefficients_are_no_classes(library: str, decoder: Any) -> None:
    """Boxes, scores and classes are those of the same rows without coefficients."""
    rows = np.abs(ROWS[..., : 8 if decoder is Yolov5Decoder else 9])
    num_extra = rows.shape[2] - (7 if decoder is Yolov5Decoder else 6)
    prototypes = PROTOTYPES[:, :num_extra]
    options: Any = {"names": {}, "name": None, "num_classes": 2, "input_hw": (8, 8)}
    plain = decode({"rows": array_of(rows[..., :-num_extra], library=library)}, decoder(layout="BNC"), **options)
    outputs = {"prototypes": array_of(prototypes, library=library), "output": array_of(rows, library=library)}
    found = decode(outputs, decoder(layout="BNC", masks=True), **options)
    for name in ("boxes_xyxy", "scores", "class_ids"):
        np.testing.assert_array_equal(numpy_of(getattr(found, name)), numpy_of(getattr(plain, name)))


@each_library
@pytest.mark.parametrize("has_batch", [True, False], ids=["batch", "one-image"])
def test_masks_of_torchvision_have_one_channel(library: str, has_batch: bool) -> None:
    masks = RANDOM.random((2 if has_batch else 1, 7, 1, 4, 6)).astype(np.float32)
    maps = maps_of(
        TorchvisionDecoder(masks=True), {**lists(7), "masks": masks if has_batch else masks[0]}, library=library
    )
    np.testing.assert_array_equal(taken(maps, 0, [6], library=library), masks[0, [6], 0])


def lists(count: int) -> dict[str, Any]:
    return {"boxes": np.zeros((count, 4)), "labels": np.zeros(count), "scores": np.zeros(count)}


@each_library
@pytest.mark.parametrize(
    ("decoder", "names"),
    [
        pytest.param(DetrDecoder(masks=True), ("logits", "pred_boxes", "pred_masks"), id="detr"),
        pytest.param(Mask2formerDecoder(), ("class_queries_logits", "masks_queries_logits"), id="mask2former"),
    ],
)
def test_sets_of_masks(library: str, decoder: Any, names: tuple[str, ...]) -> None:
    masks = RANDOM.normal(size=(2, 7, 4, 6)).astype(np.float32)
    outputs = dict.fromkeys(names, np.zeros((2, 7, 3))) | {names[-1]: masks}
    maps = maps_of(decoder, outputs, library=library)
    np.testing.assert_array_equal(taken(maps, 1, [0, 3], library=library), masks[1, [0, 3]])


@pytest.mark.parametrize(
    ("decoder", "outputs", "message"),
    [
        pytest.param(
            TorchvisionDecoder(masks=True),
            {**lists(7), "masks": np.zeros((5, 1, 4, 6))},
            r"masks must be \(B, 7, 1, h, w\) with decoder torchvision .* got \[1, 5, 1, 4, 6\]",
            id="torchvision",
        ),
        pytest.param(
            DetrDecoder(masks=True),
            {"logits": ROWS, "pred_boxes": ROWS, "pred_masks": ROWS},
            r"pred_masks must be \(B, 7, h, w\) with decoder detr",
            id="detr",
        ),
        pytest.param(
            Yolov8Decoder(masks=True),
            {"output": ROWS, "prototypes": ROWS},
            r"prototypes must be \(B, C, H, W\) with decoder yolov8",
            id="prototypes",
        ),
        pytest.param(
            Yolov8Decoder(masks=True),
            {"output": ROWS, "output1": PROTOTYPES},
            "output.names.prototypes must be one of output, output1, got 'prototypes'",
            id="missing",
        ),
    ],
)
def test_other_shapes_are_refused(decoder: Any, outputs: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        maps_of(decoder, outputs, library="numpy")


def test_another_number_of_coefficients_is_refused() -> None:
    outputs = {"output": ROWS.transpose(0, 2, 1), "prototypes": PROTOTYPES[:, :2]}
    with pytest.raises(ModelError, match=r"output must be \(B, 8, N\) with decoder yolov8 .* got \[2, 9, 7\]"):
        decode(outputs, Yolov8Decoder(masks=True), name=None, names={}, num_classes=2, input_hw=(8, 8))


@each_library
@pytest.mark.parametrize(
    ("decoder", "expected"),
    [
        pytest.param(Yolov8Decoder(masks=True), [2, 4, 18, 12], id="cut-to-the-box"),
        pytest.param(TorchvisionDecoder(masks=True), [0, 2, 20, 14], id="a-pixel-of-the-map"),
        pytest.param(DetrDecoder(masks=True), [0, 1, 20, 15], id="a-share-of-the-box"),
        pytest.param(Mask2formerDecoder(), [2, 4, 18, 12], id="the-box-is-the-mask"),
    ],
)
def test_a_window_is_the_box_and_what_may_lie_around_it(library: str, decoder: Any, expected: list[float]) -> None:
    boxes = array_of([[2, 4, 18, 12], [-9, -9, -5, 99]], library=library)
    windows = numpy_of(mask_windows(boxes, decoder, map_hw=(8, 10), input_hw=(16, 20)))
    np.testing.assert_allclose(windows[0], expected)
    assert windows[1].tolist() == [0, 0, 0, 16]  # within the input
