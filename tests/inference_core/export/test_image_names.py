from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.export.image_names import StemNames, file_name, stem_of
from inference_core.storage import join

PARTS = st.sampled_from(["a", "b.jpg", "b.png", "b", "b.jpg.bmp", "..", ".", "", "x" * 300, "%", "é.tif", ".hidden"])
IMAGE_IDS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)


def names_of(*image_ids: str) -> list[str]:
    names = StemNames(image_ids)
    return [names.name(image_id, folder="labels", suffix=".txt") for image_id in image_ids]


@pytest.mark.parametrize(
    ("image_ids", "expected"),
    [
        pytest.param(["a/b.jpg"], ["labels/a/b.txt"], id="suffix-replaced"),
        pytest.param(["b"], ["labels/b.txt"], id="no-suffix"),
        pytest.param([".hidden"], ["labels/.hidden.txt"], id="a-dot-first"),
        pytest.param(["b.jpg", "b.png", "c.png"], ["labels/b.jpg.txt", "labels/b.png.txt", "labels/c.txt"], id="two"),
        pytest.param(["../b.jpg"], ["labels/%2E2E/b.txt"], id="up"),
    ],
)
def test_names(image_ids: list[str], expected: list[str]) -> None:
    assert names_of(*image_ids) == expected


@given(st.lists(IMAGE_IDS, unique=True, max_size=12))
def test_no_two_images_share_a_file(image_ids: list[str]) -> None:
    names = names_of(*image_ids)
    assert len(set(names)) == len(names)
    for name in names:
        assert join("file:///to", name) == f"file:///to/{name}"
        assert name.endswith(".txt")


@given(IMAGE_IDS)
def test_a_file_name_stays_below_its_folder(image_id: str) -> None:
    assert join("file:///to", file_name(image_id)).startswith("file:///to/")
    plain = not {"", ".", ".."} & set(image_id.split("/")) and "%" not in image_id and "x" * 300 not in image_id
    assert (file_name(image_id) == image_id) == plain


def test_a_stem_is_what_tools_look_for() -> None:
    for image_id in ("a/b.jpg", "b.tar.gz", "a.b/c"):
        assert stem_of(image_id) == str(PurePosixPath(image_id).with_suffix(""))
