"""What a package's steps did, and the components of its masks, on the way from the shards to the report."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from inference_core.export.rows import RowBuilder
from inference_core.models.package import ModelPackage, load_package
from inference_core.predictor import Predictor
from inference_core.stats.effects import EffectCounts
from tests.asset_packages import write_package
from tests.drawn_images import write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import TIMES, finish_job, read_rows
from tests.tiny_models import tiny_segmenter

RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)
"""The background and the two other classes."""


def drawn(*, num_specks: int) -> bytes:
    """A blue block with a hole, and green specks of one pixel."""
    pixels = np.full((24, 32, 3), RED, np.uint8)
    pixels[2:8, 2:8] = BLUE
    pixels[4, 4] = RED
    for index in range(num_specks):
        pixels[20, 2 + 3 * index] = GREEN
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A model of three colours that fills holes and removes specks."""
    folder = tiny_segmenter(tmp_path_factory.mktemp("package"))
    facts = yaml.safe_load((folder / "model.yaml").read_text())
    steps = [{"fill_holes": True}, {"min_area_px": 4, "classes": [facts["classes"][1]]}]
    return load_package(str(write_package(folder, {**facts, "postprocess": steps, "components": {"max_count": 1}})))


def test_a_run_tells_what_its_steps_did(tmp_path: Path, package: ModelPackage, make_job: MakeJob) -> None:
    folder = tmp_path / "drawn"
    for index, num_specks in enumerate((2, 0, 3)):
        write(folder / f"{index}.png", drawn(num_specks=num_specks))
    write(folder / "bad.png", b"no image")
    config = make_job(model=package.uri, input=str(folder), execution__rows_per_shard=1)
    outcome = finish_job(config, package)

    assert outcome.facts.num_shards == 4
    filled, removed = outcome.summary.effects.steps
    assert outcome.summary.effects.images == 3
    assert filled.all_classes == EffectCounts(images=3, components=3, pixels=3)
    assert removed.all_classes == EffectCounts(images=2, components=5, pixels=5)
    assert set(filled.classes) == {"2"}
    assert set(removed.classes) == {"1"}
    block = json.loads((tmp_path / "out" / "report" / "summary.json").read_text())["postprocess"]
    assert [step["sentence"] for step in block["steps"]] == [
        "filled 3 holes (3 pixels) in 100.0 % of the images",
        "removed 5 components under 4 px in 66.7 % of the images",
    ]

    rows = {row["image_id"]: row for row in read_rows(config.output)}
    assert rows["bad.png"]["postprocess"] is rows["bad.png"]["components"] is None
    predictor, builder = Predictor.load(package, device="cpu"), RowBuilder(package.spec, model_digest=package.digest)
    for name in ("0.png", "1.png", "2.png"):
        prediction = predictor.predict((folder / name).read_bytes(), image_id=name)
        (own,) = builder.table([builder.row(prediction, row_id=0)]).drop_columns(list(TIMES)).to_pylist()
        told = ("postprocess", "num_components", "components", "classes", "score")
        assert {key: rows[name][key] for key in told} == {key: own[key] for key in told}
        (one,) = rows[name]["components"]
        assert (rows[name]["num_components"], one["area_px"], one["label"]) == (1, 36, package.spec.classes[2])
