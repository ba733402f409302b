from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from inference_core.errors import ConfigError
from inference_core.models.package import ModelPackage
from jobs.predict_rows import PredictRows, PredictSettings
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards


def image_table(images: Path, *, held: bool) -> pa.Table:
    files = sorted(path for path in images.rglob("*") if path.is_file())
    names = [path.relative_to(images).as_posix() for path in files]
    source = {"bytes": [path.read_bytes() for path in files]} if held else {"uri": [f"file://{path}" for path in files]}
    return pa.table({"image_id": names, "shelf": list(range(len(files))), **source})


@pytest.mark.parametrize("held", [True, False], ids=["held", "named"])
def test_predictions_are_those_of_a_job(make_job: MakeJob, classifier: ModelPackage, images: Path, held: bool) -> None:
    table = image_table(images, held=held)
    found = PredictRows(PredictSettings(model=classifier.uri))(table)
    config = make_job()
    run_shards(config, classifier, plan_job(config, classifier))
    expected = {row["image_id"]: row for row in read_rows(config.output)}
    assert found["shelf"].to_pylist() == list(range(10))
    assert "bytes" not in found.column_names
    for row in found.to_pylist():
        answer = expected[row["image_id"]]
        assert all(row[key] == answer[key] for key in ("status", "label", "score", "sha256", "height"))


def test_a_table_without_images_is_refused(classifier: ModelPackage) -> None:
    with pytest.raises(ConfigError, match="must have a column bytes or uri, got other"):
        PredictRows(PredictSettings(model=classifier.uri))(pa.table({"other": [1]}))
