"""Functions of the user's in jobs: the same answers as online, the same trust, the same code everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import pytest

from inference_core.errors import ConfigError, ModelError
from inference_core.export.rows import RowBuilder
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from jobs.driver import check_package
from jobs.planned_package import read_package
from jobs.stages import CommitShards, InferShards, PrepareShards
from tests.hooked_packages import hook, hooked_classifier, hooked_segmenter
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import TIMES, plan_job, read_rows, run_shards, shard_table, worker_settings

CODE = """
import numpy as np

def flip(outputs, *, limit):
    scores = next(iter(outputs.values()))
    if float(scores.max()) > limit:
        raise OverflowError("over the limit")
    return scores[:, ::-1]

def cut(mask):
    changed = mask.copy()
    changed[: len(mask) // 2] = 0
    return changed

def least(pixels, *, value):
    if pixels.mean() < value:
        raise ValueError("too dark")
    return np.roll(pixels, 1, axis=2)
"""


def classifier(folder: Path, *, limit: float = 9.0) -> Path:
    return hooked_classifier(
        folder,
        input__filters=[hook("./f.py:least", value=60)],
        output__decoder=hook("./f.py:flip", limit=limit),
        files={"f.py": CODE},
    )


def segmenter(folder: Path) -> Path:
    return hooked_segmenter(
        folder, input__filters=[hook("./f.py:least", value=60)], postprocess=[hook("./f.py:cut")], files={"f.py": CODE}
    )


@pytest.mark.parametrize("build", [classifier, segmenter], ids=["classifier", "segmenter"])
def test_both_layouts_and_a_predictor_answer_alike(make_job: MakeJob, images: Path, tmp_path: Path, build: Any) -> None:
    cv2.imwrite(str(images / "dark.png"), cv2.imread(str(next(images.glob("*.png")))) * 0)
    package = load_package(str(build(tmp_path / "model")), trusts_code=True)
    facts = {"model": package.uri, "trust_package_code": True, "execution__rows_per_shard": 4}
    whole = make_job(output=str(tmp_path / "whole"), **facts)
    run_shards(whole, package, plan_job(whole, package))
    rows = read_rows(tmp_path / "whole")

    split = make_job(output=str(tmp_path / "split"), **facts)
    settings = worker_settings(split, package, plan_job(split, package))
    prepare, infer, commit = PrepareShards(settings), InferShards(settings), CommitShards(settings)
    commit(infer(prepare(shard_table(range(len(settings.shards))))))
    assert read_rows(tmp_path / "split") == rows

    builder = RowBuilder(package.spec, model_digest=package.digest)
    found = Predictor.load(package, device="cpu", num_threads=1).predict_directory(images)
    table = builder.table([builder.row(prediction, row_id=index) for index, prediction in enumerate(found)])
    online = table.drop_columns(list(TIMES)).to_pylist()
    assert [row | {"mask_path": None} for row in online] == [row | {"mask_path": None} for row in rows]
    by_id = {row["image_id"]: row for row in rows}
    assert by_id["dark.png"]["status"] == "infer_error"
    assert by_id["dark.png"]["error"] == "filter ./f.py:least raised ValueError: too dark"
    assert sum(row["status"] == "ok" for row in rows) == 7


def test_hooks_change_the_rows(make_job: MakeJob, tmp_path: Path) -> None:
    labels = []
    for name, package_uri in (
        ("plain", hooked_classifier(tmp_path / "p")),
        ("hooked", classifier(tmp_path / "h")),
    ):
        package = load_package(str(package_uri), trusts_code=True)
        config = make_job(model=package.uri, output=str(tmp_path / name), trust_package_code=True)
        run_shards(config, package, plan_job(config, package))
        labels.append([row["label"] for row in read_rows(tmp_path / name) if row["status"] == "ok"])
    assert len(labels[0]) == len(labels[1]) > 0
    assert labels[0] != labels[1]


def test_without_trust_no_worker_is_asked(make_job: MakeJob, tmp_path: Path) -> None:
    config = make_job(model=str(classifier(tmp_path / "model")))
    package = load_package(config.model, trusts_code=config.trust_package_code)
    with pytest.raises(
        ConfigError, match=r"f.py \(sha256 .*--trust-package-code \(trust_package_code: true in a job's"
    ):
        check_package(package, config.execution)


def test_a_worker_with_other_code_is_refused(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = tmp_path / "lib"
    library.mkdir()
    (library / "code_of_the_driver.py").write_text(CODE)
    monkeypatch.syspath_prepend(str(library))
    folder = hooked_classifier(tmp_path / "m", input__filters=[hook("code_of_the_driver:least", value=1)])
    config = make_job(model=str(folder))
    package = load_package(config.model)
    settings = worker_settings(config, package, plan_job(config, package))
    assert read_package(settings).digest == package.digest
    (library / "code_of_the_driver.py").write_text(CODE + "\n# newer\n")
    with pytest.raises(ModelError, match="or the code that it names is another on this worker"):
        read_package(settings)


def test_an_image_that_a_decoder_fails_on_is_one_row(make_job: MakeJob, images: Path, tmp_path: Path) -> None:
    package = load_package(str(classifier(tmp_path / "model", limit=1.26)), trusts_code=True)
    config = make_job(model=package.uri, trust_package_code=True)
    check_package(package, config.execution)
    run_shards(config, package, plan_job(config, package))
    rows = read_rows(config.output)
    errors = [row["error"] for row in rows if row["status"] == "infer_error"]
    assert sum("over the limit" in error for error in errors) == 3
    assert all(
        error.endswith("decoder ./f.py:flip raised OverflowError: over the limit") or "too dark" in error
        for error in errors
    )
    assert any(row["status"] == "ok" for row in rows)
