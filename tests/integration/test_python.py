"""Jobs and pipelines from Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from inference_core.errors import ConfigError
from jobs import read_results, read_status, run
from jobs.config import JobConfig
from tests.drawn_images import draw_folder
from tests.tiny_models import tiny_classifier

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns of its own settings
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_classifier(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), 12, with_bad=False)


@pytest.mark.parametrize("kind", ["mapping", "settings", "file"])
def test_a_job_is_run_from_python(
    model: Path, images: Path, tmp_path: Path, kind: str, local_ray: None, capsys: pytest.CaptureFixture[str]
) -> None:
    data: dict[str, Any] = {"model": str(model), "input": str(images), "output": str(tmp_path / "out")}
    data["execution"] = {"head_start": False}
    config: Any = data
    if kind == "settings":
        config = JobConfig.model_validate(data)
    elif kind == "file":
        config = tmp_path / "job.yaml"
        config.write_text(yaml.safe_dump(data))
    outcome = run(config)
    assert (outcome.facts.num_planned, outcome.facts.num_ok, outcome.failed_frac) == (12, 12, 0.0)
    assert len(read_results(data["output"])) == 12
    assert read_status(data["output"]).phase == "finished"
    assert "planned 12 images" in capsys.readouterr().err
    assert run(config).facts.num_attempts == 1  # it was done already


def test_settings_that_are_wrong_are_told_from_python_too() -> None:
    with pytest.raises(ConfigError, match="did you mean 'output'"):
        run({"model": "m", "input": "i", "outptu": "o"})


def test_predictions_stand_between_stages_of_a_user(model: Path, images: Path, local_ray: None) -> None:
    import ray.data

    from jobs.pipeline import build_predictions
    from jobs.predict_rows import PredictSettings

    uris = [f"file://{path}" for path in sorted(images.rglob("*.*"))]
    own = ray.data.from_arrow(pa.table({"place": uris, "shelf": list(range(len(uris)))})).map_batches(
        lambda rows: {name: values[rows["shelf"] % 2 == 0] for name, values in rows.items()}, batch_size=None
    )
    predicted = build_predictions(own, PredictSettings(model=str(model), uri_column="place"), actors=1)
    counts = predicted.map(lambda row: {"shelf": row["shelf"], "label": row["label"]}).take_all()
    assert sorted(row["shelf"] for row in counts) == list(range(0, len(uris), 2))
    assert all(row["label"] in ("red", "green", "blue") for row in counts)
