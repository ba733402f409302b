from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import typer
import yaml

from inference_core.errors import ConfigError, JobError
from inference_core.models.package import ModelPackage, load_package
from jobs.comparison.compare_runs import compare_runs
from jobs.comparison.decisions import decisions_of, gap_of, is_flip
from jobs.comparison.distributions import Distributions, aligned, compared_columns, drift_by_name, drifts_between
from jobs.diff_command import diff_runs
from jobs.settings import read_settings
from tests.drawn_images import draw_folder
from tests.jobs.local_run import finish_job
from tests.tiny_models import tiny_classifier, tiny_segmenter


def finished(folder: Path, package: ModelPackage, images: Path) -> str:
    config = read_settings(
        None, flags={"model": package.uri, "input": str(images), "output": str(folder)}, assignments=[]
    )
    finish_job(config, package)
    return config.output


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("drawn"), 30, with_bad=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, drawn: Path) -> tuple[str, str]:
    """A run, and one of a model that calls red green and the other way round, without a third of the images."""
    folder = tmp_path_factory.mktemp("runs")
    first = load_package(str(tiny_classifier(folder / "one")))
    other = tiny_classifier(folder / "two")
    spec = yaml.safe_load((other / "model.yaml").read_text())
    (other / "model.yaml").write_text(yaml.safe_dump(spec | {"classes": ["green", "red", "blue"]}))
    some = folder / "some"
    for path in sorted(drawn.rglob("*.png"))[:20]:
        (some / path.relative_to(drawn)).parent.mkdir(parents=True, exist_ok=True)
        (some / path.relative_to(drawn)).write_bytes(path.read_bytes())
    return finished(folder / "a", first, drawn), finished(folder / "b", load_package(str(other)), some)


def test_a_run_does_not_differ_from_itself(runs: tuple[str, str]) -> None:
    found = compare_runs(runs[0], runs[0])
    assert (found.num_joined, found.num_compared, found.num_flips, found.gap_mean) == (33, 30, 0, 0.0)
    assert found.shifts is not None
    assert set(found.shifts.values()) == {0.0}
    assert {drift.level for drift in found.drifts.values()} == {"none"}
    assert {"classes", "score", "entropy", "height", "size_bytes"} <= found.drifts.keys()
    assert "infer_ms" not in found.drifts


def test_other_answers_are_counted_by_class_name(runs: tuple[str, str]) -> None:
    found = compare_runs(*runs)
    assert found.num_rows == (33, 20)
    assert found.num_joined == 20
    # Images show red, green and blue in turn; the second model mistakes the first two for each other.
    assert set(found.pairs) == {"red -> green", "green -> red"}
    assert found.num_flips == sum(found.pairs.values())
    assert found.flips_frac == found.gap_mean == found.num_flips / found.num_compared
    assert {flip.before for flip in found.flips} == {"red", "green"}
    record = json.loads(json.dumps(found.record()))
    assert record["num_flips"] == found.num_flips
    assert record["drift"]["score"]["level"] in ("none", "moderate", "large")


def test_the_command_ends_with_1_over_the_limit(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    diff_runs(*runs)
    assert "other answers: " in capsys.readouterr().out
    diff_runs(*runs, max_flips=1.0, as_json=True)
    assert json.loads(capsys.readouterr().out)["num_joined"] == 20
    with pytest.raises(typer.Exit) as caught:
        diff_runs(*runs, max_flips=0.1)
    assert caught.value.exit_code == 1
    assert "more than --max-flips 0.1 allows" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="--max-flips: must be a share from 0 to 1, got 2"):
        diff_runs(*runs, max_flips=2)


def test_what_cannot_be_compared_is_refused(runs: tuple[str, str], drawn: Path, tmp_path: Path) -> None:
    segmented = finished(tmp_path / "s", load_package(str(tiny_segmenter(tmp_path / "p"))), drawn)
    with pytest.raises(ConfigError, match="must be two runs of one task, got classification and segmentation"):
        compare_runs(runs[0], segmented)
    with pytest.raises(ConfigError, match="must hold a run, got"):
        compare_runs(runs[0], f"file://{tmp_path}/none")
    elsewhere = draw_folder(tmp_path / "x" / "other", 2)
    (elsewhere / "0000.png").rename(elsewhere / "else.png")
    (elsewhere / "0001.png").rename(elsewhere / "more.png")
    apart = finished(tmp_path / "e", load_package(str(tiny_classifier(tmp_path / "q"))), elsewhere)
    with pytest.raises(JobError, match="must have images in common to be compared, got none by image_id"):
        compare_runs(runs[0], apart)
    found = compare_runs(segmented, segmented)
    assert (found.num_flips, found.num_compared) == (0, 30)


OWN = np.arange(3)
OBJECT = {"class_id": 1, "x_min": 0.0, "y_min": 0.0, "x_max": 10.0, "y_max": 10.0}


@pytest.mark.parametrize(
    ("task", "before", "after", "gap", "flipped"),
    [
        pytest.param("classification", {"class_id": 1}, {"class_id": 1}, 0, False, id="same-class"),
        pytest.param("classification", {"class_id": 1}, {"class_id": 2}, 1, True, id="other-class"),
        pytest.param("multilabel", {"class_ids": []}, {"class_ids": []}, 0, False, id="no-label"),
        pytest.param("multilabel", {"class_ids": [0, 1]}, {"class_ids": [1]}, 0.5, True, id="label-lost"),
        pytest.param("detection", {"objects": [OBJECT]}, {"objects": []}, 1, True, id="object-lost"),
        pytest.param(
            "detection", {"objects": [OBJECT]}, {"objects": [OBJECT | {"x_max": 9.0}]}, 0, False, id="object-near"
        ),
        pytest.param(
            "segmentation",
            {"classes": [{"class_id": 0, "frac": 0.7}, {"class_id": 1, "frac": 0.3}]},
            {"classes": [{"class_id": 0, "frac": 0.4}, {"class_id": 1, "frac": 0.6}]},
            0.3,
            True,
            id="most-pixels",
        ),
        pytest.param("embedding", {"embedding": [1.0, 0.0]}, {"embedding": [2.0, 0.0]}, 0, False, id="longer"),
        pytest.param("embedding", {"embedding": [1.0, 0.0]}, {"embedding": [0.0, 1.0]}, 1, True, id="turned"),
    ],
)
def test_decisions(task: Any, before: Any, after: Any, gap: float, flipped: bool) -> None:
    one, other = (decisions_of(task, row, OWN) for row in (before, after))
    found = gap_of(task, one, other)
    assert found == pytest.approx(gap, abs=1e-6)
    assert is_flip(task, one, other, found) == flipped


def test_classes_of_the_second_run_are_read_by_name() -> None:
    turned = np.array([1, 0, -1])
    assert decisions_of("classification", {"class_id": 0}, turned).tolist() == [1]
    assert decisions_of("multilabel", {"class_ids": [1, 2]}, turned).tolist() == [0, -1]
    shares = decisions_of("segmentation", {"classes": [{"class_id": 2, "frac": 1.0}]}, turned)
    assert shares.tolist() == [0, 0, 0, 1]


def test_columns_that_are_names_or_times_are_not_compared() -> None:
    schema = pa.schema(
        [
            ("row_id", pa.int64()),
            ("score", pa.float32()),
            ("brightness", pa.float64()),
            ("infer_ms", pa.float32()),
            ("label", pa.string()),
        ]
    )
    assert compared_columns(schema) == ["score", "brightness"]


def test_distributions_are_folded_shard_by_shard() -> None:
    random = np.random.default_rng(0)
    rows = pa.table({"status": ["ok"] * 200, "score": random.random(200), "brightness": random.lognormal(3, 1, 200)})
    whole, parts = Distributions(), Distributions()
    whole.add(rows, ["score", "brightness"])
    for start in range(0, 200, 70):
        parts.add(rows.slice(start, 70), ["score", "brightness"])
    assert whole == parts
    assert {drift.psi for drift in drifts_between(whole, parts).values()} == {0.0}
    moved = Distributions()
    moved.add(rows.set_column(2, "brightness", pa.array(np.asarray(rows["brightness"]) * 2)), ["score", "brightness"])
    found = drifts_between(whole, moved)
    assert (found["score"].level, found["brightness"].level) == ("none", "large")
    assert [len(part) for part in aligned(whole.sizes["brightness"], moved.sizes["brightness"])] == [
        len({key for key, _ in (*whole.sizes["brightness"].bins, *moved.sizes["brightness"].bins)}) + 1
    ] * 2


def test_counts_by_name_drift() -> None:
    assert drift_by_name({}, {"a": 1}) is None
    drift = drift_by_name({"a": 500, "b": 500}, {"b": 500, "c": 500})
    assert drift is not None
    assert (drift.level, drift.ks) == ("large", 0.5)
