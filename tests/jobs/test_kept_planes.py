from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from inference_core import storage
from inference_core.errors import ConfigError
from inference_core.export.kept_planes import read_kept_mask
from inference_core.export.mask_files import PlaneOutput, read_plane
from inference_core.models.package import ModelPackage
from jobs.evaluation.evaluate import evaluate
from jobs.evaluation.request import EvaluateRequest
from jobs.forecast import forecast_job
from jobs.identity import identity_of
from jobs.plan import load_plan, make_plan
from jobs.plan_command import forecast_rows
from jobs.results import read_results
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import finish_job

FORMATS = pytest.mark.parametrize("masks", ["png", "png16", "npy", "tiff", "rle"])


def masks_of(output: str) -> dict[str, list[Any]]:
    """Every mask by image id, as lists."""
    found = {}
    for row in read_results(output).to_pylist():
        mask = read_kept_mask(output, row)
        assert (mask is None) == (row["status"] != "ok")
        if mask is not None:
            assert mask.dtype == np.uint8  # of 16 bits too: pictures take it as it is
            found[row["image_id"]] = mask.tolist()
    return found


@FORMATS
def test_every_format_keeps_the_same_masks(
    make_job: MakeJob, segmenter: ModelPackage, tmp_path: Path, masks: str
) -> None:
    plain, other = (
        make_job(model=segmenter.uri, output=str(tmp_path / name), results__masks=name) for name in ("png", masks)
    )
    for config in {plain.output: plain, other.output: other}.values():
        finish_job(config, segmenter)
    assert masks_of(other.output) == masks_of(plain.output)
    assert len(masks_of(other.output)) == 7
    files = [entry.path for entry in storage.list_objects(storage.join(other.output, "masks"))]
    assert len(files) == (0 if masks == "rle" else 7)
    assert ("mask_rle" in read_results(other.output).column_names) == (masks == "rle")


def test_runs_are_evaluated_as_files_are(make_job: MakeJob, segmenter: ModelPackage, tmp_path: Path) -> None:
    files = make_job(model=segmenter.uri, output=str(tmp_path / "files"))
    runs = make_job(model=segmenter.uri, output=str(tmp_path / "runs"), results__masks="rle")
    finish_job(files, segmenter)
    finish_job(runs, segmenter)
    shutil.copytree(tmp_path / "files" / "masks", tmp_path / "truth")
    for path in (tmp_path / "truth").rglob("*.png.png"):
        path.rename(path.with_suffix(""))
    found = evaluate(EvaluateRequest(output=runs.output, labels=str(tmp_path / "truth")))
    assert found.findings["pixel accuracy"] == 1.0


@pytest.mark.parametrize(("kind", "map_format"), [("uint8", "npy"), ("float16", "tiff")])
def test_score_maps_are_kept_where_asked(
    make_job: MakeJob, segmenter: ModelPackage, kind: str, map_format: str
) -> None:
    config = make_job(model=segmenter.uri, results__maps=kind, results__map_format=map_format)
    finish_job(config, segmenter)
    rows = [row for row in read_results(config.output).to_pylist() if row["status"] == "ok"]
    for row in rows:
        data = storage.read_bytes(storage.join(config.output, *row["map_path"].split("/")))
        plane = read_plane(data, origin="here")
        assert (plane.dtype, plane.shape) == (np.dtype(kind), (row["height"], row["width"]))
        mean = plane.mean(dtype=np.float64) / (255 if kind == "uint8" else 1)
        assert row["score"] == pytest.approx(mean, abs=1e-3)
    assert len(rows) == 7


def test_masks_of_a_geotiff_lie_where_it_lies(make_job: MakeJob, segmenter: ModelPackage, tmp_path: Path) -> None:
    (tmp_path / "earth").mkdir()
    tags = [
        (33550, 12, 3, (10.0, 10.0, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 6e5, 5.2e6, 0.0), True),
        (34735, 3, 16, (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32633), True),
    ]
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    for name in ("a.tif", "again.tif"):  # the second one takes its answer over
        tifffile.imwrite(tmp_path / "earth" / name, pixels, photometric="rgb", extratags=tags, metadata=None)
    config = make_job(model=segmenter.uri, input=str(tmp_path / "earth"), results__masks="tiff")
    finish_job(config, segmenter)
    for name in ("a.tif", "again.tif"):
        data = storage.read_bytes(storage.join(config.output, "masks", f"{name}.tif"))
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0].aspage()
            assert page.geotiff_tags["ModelTiepoint"] == [0.0, 0.0, 0.0, 6e5, 5.2e6, 0.0]
            assert page.geotiff_tags["ProjectedCSTypeGeoKey"].value == 32633


def test_equal_images_and_earlier_runs_give_maps_too(
    make_job: MakeJob, segmenter: ModelPackage, images: Path, tmp_path: Path
) -> None:
    shutil.copy(images / "0000.png", images / "zz.png")
    first = make_job(model=segmenter.uri, results__maps="uint8", output=str(tmp_path / "first"))
    finish_job(first, segmenter)
    rows = {row["image_id"]: row for row in read_results(first.output).to_pylist()}
    twin, original = (
        storage.read_bytes(storage.join(first.output, *rows[name]["map_path"].split("/")))
        for name in ("zz.png", "0000.png")
    )
    assert rows["zz.png"]["map_path"] == "maps/zz.png.npy"
    assert twin == original


def test_new_settings_leave_the_identity_of_runs_alone(make_job: MakeJob) -> None:
    def results(**changes: Any) -> dict[str, Any]:
        found: dict[str, Any] = identity_of(make_job(**changes), model_digest="d")["results"]
        return found

    assert results() == {"masks": "png"}
    assert results(results__budget_gb=1, results__annotations="[coco]") == {"masks": "png"}
    assert results(results__maps="uint8") == {"masks": "png", "maps": "uint8"}


def test_auto_needs_a_budget(make_job: MakeJob) -> None:
    with pytest.raises(ConfigError, match="budget_gb must be given with masks auto, got none"):
        make_job(results__masks="auto")


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """Images whose masks compress badly as PNG, and no better as runs."""
    folder = tmp_path / "noisy"
    folder.mkdir()
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_the_plan_takes_what_fits_the_budget(make_job: MakeJob, segmenter: ModelPackage, images: Path) -> None:
    roomy = make_job(model=segmenter.uri, results__masks="auto", results__budget_gb=1)
    plan = make_plan(roomy, segmenter)
    assert plan.planes is not None
    assert (plan.planes.masks, plan.planes.num_images) == ("png", 10)
    assert plan.kept_planes == PlaneOutput(masks="png")
    assert plan.planes.line.startswith("masks as png: 10 images make png ")
    png_gb, rle_gb = (plan.planes.forecast_bytes[name] / 1e9 for name in ("png", "rle"))
    assert rle_gb < png_gb  # flat colours

    tight = make_job(
        model=segmenter.uri,
        output=f"{roomy.output}-tight",
        results__masks="auto",
        results__budget_gb=(rle_gb + png_gb) / 2,
    )
    finish_job(tight, segmenter)
    assert load_plan(tight.output).kept_planes.masks == "rle"
    assert len(masks_of(tight.output)) == 7


def test_what_fits_no_budget_is_refused_before_the_work(
    make_job: MakeJob, segmenter: ModelPackage, noisy: Path, tmp_path: Path
) -> None:
    config = make_job(model=segmenter.uri, input=str(noisy), results__masks="auto", results__budget_gb=1e-8)
    message = r"results\.budget_gb: must hold the masks of 4 images, forecast as png .*, rle .*, got 1e-08 GB; raise"
    with pytest.raises(ConfigError, match=message):
        make_plan(config, segmenter)
    assert not (tmp_path / "out" / "plan.json").exists()
    named = make_job(model=segmenter.uri, input=str(noisy), results__masks="npy", results__budget_gb=1e-8)
    with pytest.raises(ConfigError, match="forecast as npy"):
        make_plan(named, segmenter)


def test_a_budget_needs_images_that_can_be_read(make_job: MakeJob, segmenter: ModelPackage, tmp_path: Path) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"none")
    config = make_job(model=segmenter.uri, input=str(tmp_path / "bad"), results__budget_gb=1)
    with pytest.raises(ConfigError, match="must go with images that can be read, got 1 of the sample without"):
        make_plan(config, segmenter)


def test_millrace_plan_tells_the_choice(make_job: MakeJob, segmenter: ModelPackage) -> None:
    config = make_job(model=segmenter.uri, results__masks="auto", results__budget_gb=1, execution__device="cpu")
    forecast = forecast_job(config)
    assert forecast.planes is not None
    assert forecast.planes.line in [text for _, text in forecast_rows(forecast, config)]


def test_a_classification_has_no_budget_to_keep(make_job: MakeJob, classifier: ModelPackage) -> None:
    assert make_plan(make_job(results__budget_gb=1e-9), classifier).planes is None
