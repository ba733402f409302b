from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from inference_core.models.package import ModelPackage, load_package
from jobs.cli import finalize_run
from jobs.config import JobConfig
from jobs.driver import run
from jobs.execution_config import ExecutionConfig
from jobs.progress import Counter, LineProgress
from jobs.resources import choose_pools
from jobs.retry import retry
from jobs.review import read_review
from jobs.runtime import ray_session
from jobs.settings import read_settings
from jobs.told_stages import stage_settings
from tests.drawn_images import draw_folder
from tests.jobs.local_run import list_job, plan_job, read_rows, run_shards
from tests.tiny_models import tiny_classifier, tiny_segmenter

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("local_ray"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns of its own settings
]

ROWS_PER_SHARD = 3
NUM_IMAGES = 130
"""Enough for the small shards of both ends."""


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """A model whose rows tell which images shared a forward: what is equal was batched equally."""
    return load_package(str(tiny_classifier(tmp_path_factory.mktemp("model"), mixes_batch=True)))


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    return load_package(str(tiny_segmenter(tmp_path_factory.mktemp("model"))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), NUM_IMAGES - 3, with_bad=True)


def job(package: ModelPackage, folder: Path, output: Path, **execution: Any) -> JobConfig:
    flags = {"model": package.uri, "input": str(folder), "output": str(output)}
    options = {"rows_per_shard": ROWS_PER_SHARD} | execution
    return read_settings(None, flags=flags, assignments=[f"execution.{key}={value}" for key, value in options.items()])


def run_quietly(config: JobConfig) -> None:
    run(config, show=lambda state: LineProgress(Counter(total=state.listing.num_rows, done=0), log_format="json"))


@pytest.fixture(scope="module")
def expected(classifier: ModelPackage, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows that one process without Ray gives."""
    config = job(classifier, folder, tmp_path_factory.mktemp("expected"))
    run_shards(config, classifier, plan_job(config, classifier))
    return read_rows(config.output)


@pytest.mark.parametrize(
    "execution",
    [
        pytest.param({"layout": "whole", "actors": 1, "head_start": "false"}, id="whole-1"),
        pytest.param({"layout": "whole", "actors": 4, "head_start": "false"}, id="whole-4"),
        pytest.param({"layout": "whole", "actors": 4}, id="whole-4-with-a-head-start"),
        pytest.param({"layout": "split", "actors": 1}, id="split-1"),
        pytest.param({"layout": "split", "actors": 4}, id="split-4"),
    ],
)
def test_every_layout_gives_the_same_rows(
    classifier: ModelPackage, folder: Path, tmp_path: Path, expected: list[dict[str, Any]], execution: dict[str, Any]
) -> None:
    config = job(classifier, folder, tmp_path / "out", **execution)
    run_quietly(config)
    rows = read_rows(config.output)
    assert [row["row_id"] for row in rows] == list(range(NUM_IMAGES))
    assert rows == expected


@pytest.mark.parametrize(("layout", "actors"), [("whole", 3), ("split", 1), ("split", 3)])
def test_every_layout_gives_the_same_masks(
    segmenter: ModelPackage, folder: Path, tmp_path: Path, layout: str, actors: int
) -> None:
    masks: list[dict[str, bytes]] = []
    for name in ("expected", "actual"):
        output = tmp_path / name
        config = job(segmenter, folder / "deep", output, layout=layout, actors=actors)
        if name == "expected":
            run_shards(config, segmenter, plan_job(config, segmenter))
        else:
            run_quietly(config)
        found = (output / "masks").rglob("*.png")
        masks.append({path.relative_to(output).as_posix(): path.read_bytes() for path in found})
    assert len(masks[0]) == len(list((folder / "deep").rglob("*.png")))
    assert masks[1] == masks[0]
    assert read_rows(tmp_path / "actual") == read_rows(tmp_path / "expected")


def explained_ids(output: Path) -> list[str]:
    """The images that the table of explanations tells of, each with its picture, which no other has."""
    with (output / "report" / "explanations.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert not [row["error"] for row in rows if row["error"]]
    pictures = {path.relative_to(output).as_posix() for path in (output / "explanations").rglob("*.png")}
    assert {row["picture"] for row in rows} == pictures
    page = (output / "report" / "report.html").read_text()
    assert all(row["picture"] in page for row in rows)
    return [row["image_id"] for row in rows]


def test_explanations_of_a_split_run_follow_its_queue(tmp_path: Path) -> None:
    package = load_package(str(tiny_classifier(tmp_path / "model")))
    images, output = draw_folder(tmp_path / "images", 5), tmp_path / "out"
    broken = sorted(images.glob("*.png"))[0]
    content = broken.read_bytes()
    broken.write_bytes(content[:90])
    sets = ["execution.layout=split", "max_error_frac=1", "explain=review"]
    flags = {"model": package.uri, "input": str(images), "output": str(output)}
    config = read_settings(None, flags=flags, assignments=sets)
    run_quietly(config)
    assert explained_ids(output) == [row.image_id for row in read_review(config.output)]
    assert len(explained_ids(output)) == 4

    with pytest.raises(typer.Exit) as caught:
        finalize_run(str(output), ["explain.images=review", "explain.max_images=2"], log_format="json")
    assert caught.value.exit_code == 0
    assert explained_ids(output) == [row.image_id for row in read_review(config.output)[:2]]
    with pytest.raises(typer.Exit):
        finalize_run(str(output), ["explain.images=review"], log_format="json")

    broken.write_bytes(content)
    said: list[str] = []
    retry(
        config.output,
        statuses=["decode_error"],
        assignments=[],
        show=lambda chosen, left: LineProgress(Counter(total=left, done=0), log_format="json"),
        notice=said.append,
    )
    assert "explains 5 images of the review queue" in said
    assert explained_ids(output) == [row.image_id for row in read_review(config.output)]
    assert broken.name in explained_ids(output)


def explained(
    package: ModelPackage, config: JobConfig, capsys: pytest.CaptureFixture[str], *, cpus: int, gpus: int
) -> list[str]:
    """The physical operators that Ray makes of a pipeline, first to last."""
    from jobs.pipeline import build_pipeline

    plan = plan_job(config, package)
    with ray_session(ExecutionConfig()):
        choice = choose_pools({"CPU": cpus, "GPU": gpus}, config.execution, num_shards=9)
        settings = stage_settings(config, package, plan, list_job(config))
        dataset = build_pipeline(range(len(list_job(config).shards)), settings, pools=choice.pools)
        capsys.readouterr()
        dataset.explain()
    text = capsys.readouterr().out
    _, _, physical = text.rpartition("-------- Physical Plan (Optimized) --------")
    assert physical, text
    return list(reversed(re.findall(r"(\w+)\[([^\]]*)\]", physical)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("cpus", "gpus"), [(4, 0), (1, 0), (16, 2), (19, 0)])
def test_in_split_no_stage_runs_inside_another(
    classifier: ModelPackage,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    cpus: int,
    gpus: int,
) -> None:
    config = job(classifier, folder, tmp_path / "out", layout="split")
    operators = explained(classifier, config, capsys, cpus=cpus, gpus=gpus)
    names = [name for _, name in operators]
    assert [kind for kind, _ in operators] == [
        "InputDataBuffer",
        "TaskPoolMapOperator",
        "ActorPoolMapOperator",
        "TaskPoolMapOperator",
    ], operators
    assert "PrepareShards" in names[1]
    assert "InferShards" in names[2]
    assert "PrepareShards" not in names[2]
    assert "CommitShards" in names[3]
    assert not any("Split" in name for name in names)


def test_in_whole_one_pool_does_everything(
    classifier: ModelPackage, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = job(classifier, folder, tmp_path / "out", layout="whole")
    operators = explained(classifier, config, capsys, cpus=4, gpus=0)
    assert [kind for kind, _ in operators] == ["InputDataBuffer", "ActorPoolMapOperator"]
    assert "WholeShards" in operators[1][1]


def test_building_a_pipeline_runs_nothing(
    classifier: ModelPackage, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = job(classifier, folder, tmp_path / "out", layout="split")
    explained(classifier, config, capsys, cpus=4, gpus=0)
    assert not (tmp_path / "out" / "data").exists()
