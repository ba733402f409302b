from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference_core.contender import Contender
from inference_core.errors import ConfigError, ModelError
from inference_core.items import PreparedItem
from inference_core.models.package import ModelPackage, load_package
from inference_core.optimise.fold import find_batch_norms
from inference_core.optimise.fuse import capture_graph, capture_package, fuse_package
from inference_core.pipeline import build_preparer
from tests.asset_packages import camvid_package
from tests.exportable_nets import net_package

CELLS = Path(__file__).resolve().parents[3] / "examples" / "cells" / "package"


def items(package: ModelPackage, *sizes_hw: tuple[int, int]) -> list[PreparedItem]:
    random = np.random.default_rng(0)
    images = [random.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes_hw]
    return [build_preparer(package).prepare(image, image_id=str(index)) for index, image in enumerate(images)]


def outputs(package: ModelPackage, item: PreparedItem) -> Any:
    contender = Contender(package, "torch", device="cpu", precision="fp32", batch_size=4, num_threads=1)
    return next(iter(contender.raw_outputs(item).values()))


def check_equal(package: ModelPackage, fused: ModelPackage, *sizes_hw: tuple[int, int]) -> None:
    for item in items(package, *sizes_hw):
        np.testing.assert_allclose(outputs(fused, item), outputs(package, item), atol=1e-4)


def test_the_cells_unet_loses_every_batch_norm_and_keeps_its_outputs() -> None:
    package = load_package(str(CELLS))
    fused, note = fuse_package(package)
    assert note.startswith("14 of 14 batch norms folded")
    assert (fused.spec.format, fused.spec.architecture) == ("torch_export", None)
    assert fused.digest != package.digest
    assert find_batch_norms(capture_graph(fused)[0]) == []
    check_equal(package, fused, (64, 64), (40, 104), (16, 16))


@pytest.mark.assets
def test_a_state_dict_of_a_users_own_architecture(assets: Path, tmp_path: Path) -> None:
    package = load_package(str(camvid_package(tmp_path, assets, kind="pth")))
    before = len(find_batch_norms(capture_graph(package)[0]))
    fused, note = fuse_package(package)
    assert len(find_batch_norms(capture_graph(fused)[0])) < before
    assert f"of {before} batch norms folded" in note
    check_equal(package, fused, (96, 128))


def test_a_fused_package_can_be_fused_no_further(tmp_path: Path) -> None:
    package = load_package(str(net_package(tmp_path, "plain")))
    fused, _ = fuse_package(package)
    check_equal(package, fused, (20, 24))
    with pytest.raises(ConfigError, match=r"--fuse: must have a batch norm behind a convolution .* with 0 batch norms"):
        fuse_package(fused)


def test_a_model_whose_code_branches_on_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="branches on their values"):
        fuse_package(load_package(str(net_package(tmp_path, "branching"))))


def test_capturing_leaves_graphs_and_state_dicts_alone(tmp_path: Path) -> None:
    package = load_package(str(net_package(tmp_path, "plain")))
    assert capture_package(package) is package
    fused, _ = fuse_package(package)
    assert capture_package(fused) is fused
