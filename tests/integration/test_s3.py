from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from inference_core import storage
from inference_core.models.package import load_package
from jobs.commits import CommitLog
from jobs.settings import read_settings
from tests.drawn_images import draw_folder
from tests.integration.commands import command, run_arguments
from tests.jobs.local_run import plan_job, read_rows, run_shards
from tests.tiny_models import tiny_segmenter

pytestmark = pytest.mark.integration

ROWS_PER_SHARD = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_segmenter(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), 12, with_bad=True)


@pytest.fixture
def prefix(s3_bucket: str) -> str:
    return f"{s3_bucket}/{uuid4().hex}"


def upload(folder: Path, uri: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            storage.replace(storage.join(uri, path.relative_to(folder).as_posix()), path.read_bytes())


def without_uris(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows that can be compared: a failed one may name its place in its error too."""
    return [{key: value for key, value in row.items() if key != "uri"} for row in rows]


def masks_below(output: str) -> dict[str, bytes]:
    return {found.path: storage.read_bytes(found.uri) for found in storage.list_objects(f"{output}/masks")}


def run_on_disk(model: Path, folder: Path, output: Path) -> str:
    flags = {"model": str(model), "input": str(folder), "output": str(output)}
    config = read_settings(None, flags=flags, assignments=[f"execution.rows_per_shard={ROWS_PER_SHARD}"])
    package = load_package(config.model)
    run_shards(config, package, plan_job(config, package))
    return config.output


@pytest.mark.parametrize("done_before", [[], [1, 2]], ids=["from-nothing", "resumed"])
def test_a_run_on_s3_gives_what_a_run_on_disk_gives(
    model: Path, folder: Path, prefix: str, tmp_path: Path, done_before: list[int]
) -> None:
    upload(folder, f"{prefix}/in")
    upload(model, f"{prefix}/model")
    output = f"{prefix}/out"
    sets = (f"execution.rows_per_shard={ROWS_PER_SHARD}", "max_error_frac=1", "execution.num_cpus=2")
    if done_before:
        flags = {"model": f"{prefix}/model", "input": f"{prefix}/in", "output": output}
        config = read_settings(None, flags=flags, assignments=sets)
        package = load_package(config.model)
        run_shards(config, package, plan_job(config, package), done_before)
        records = {shard_id: CommitLog(output).read(shard_id) for shard_id in done_before}

    ended = command(*run_arguments(f"{prefix}/model", [f"{prefix}/in"], output, *sets))
    assert ended.code == 0, ended.err
    on_disk = run_on_disk(model, folder, tmp_path / "out")
    assert without_uris(read_rows(output)) == without_uris(read_rows(on_disk))
    assert masks_below(output) == masks_below(on_disk)
    assert storage.exists(f"{output}/_SUCCESS")
    assert storage.exists(f"{output}/report/report.html")
    for shard_id in done_before:
        assert CommitLog(output).read(shard_id) == records[shard_id]


def test_a_store_that_ignores_conditions_is_refused(
    model: Path, folder: Path, prefix: str, s3_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_server, "ignores_conditions", True)
    ended = command(*run_arguments(model, [folder], f"{prefix}/out"))
    assert ended.code != 0
    assert "store must honour create-only writes" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input": "s3://no-such-bucket-here/in"}, "there is no such bucket"),
        ({"output": "s3://no-such-bucket-here/out"}, "no-such-bucket-here"),
        ({"input": "s3://key:secret@bucket/in"}, "must not carry credentials"),
    ],
    ids=str,
)
def test_a_wrong_place_is_named(model: Path, folder: Path, prefix: str, change: dict[str, str], message: str) -> None:
    places = {"input": str(folder), "output": f"{prefix}/out"} | change
    ended = command(*run_arguments(model, [places["input"]], places["output"]))
    assert ended.code != 0
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert "secret" not in ended.err
