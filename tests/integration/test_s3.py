from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from inference_core import storage
from inference_core.models.package import load_package
from jobs.commits import CommitLog
from jobs.lease import LEASE_FILE, new_lease
from jobs.settings import read_settings
from jobs.suspects import read_suspects
from tests.drawn_images import BAD_FILES, draw_folder
from tests.hooked_packages import hook, hooked_classifier
from tests.integration.commands import command, run_arguments, run_until
from tests.jobs.local_run import finish_job, plan_job, read_rows, run_shards
from tests.s3_loopback import S3Server
from tests.strikes import POISON_RGB
from tests.tiny_models import tiny_segmenter

pytestmark = pytest.mark.integration

NUM_GOOD, ROWS_PER_SHARD = 12, 4
NUM_FILES = NUM_GOOD + len(BAD_FILES)
SETS = (f"execution.rows_per_shard={ROWS_PER_SHARD}", "execution.num_cpus=2", "max_error_frac=1")
BROKEN = ("0001.png", "0006.png", "0010.png")
"""In three shards."""
POISON = "0001.png"
"""In shard 0."""
WAITS = "waiting for its end"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_segmenter(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("images"), NUM_GOOD, with_bad=True)


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


@pytest.fixture(scope="module")
def stored(s3_bucket: str, model: Path, folder: Path) -> str:
    """Prefix on the server with the images below ``in`` and the package below ``model``; nobody changes them."""
    prefix = f"{s3_bucket}/{uuid4().hex}"
    upload(folder, f"{prefix}/in")
    upload(model, f"{prefix}/model")
    return prefix


@pytest.fixture(scope="module")
def expected(model: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run on disk."""
    output = str(tmp_path_factory.mktemp("expected") / "out")
    run_here(str(model), str(folder), output)
    return output


def run_here(model: str, images: str, output: str, shard_ids: list[int] | None = None) -> None:
    """A run of this process, to its report, or some of its shards."""
    flags = {"model": model, "input": images, "output": output}
    config = read_settings(None, flags=flags, assignments=SETS)
    package = load_package(config.model)
    if shard_ids is None:
        finish_job(config, package)
    else:
        run_shards(config, package, plan_job(config, package), shard_ids)


def image_reads(server: S3Server, images: str) -> Counter[str]:
    """How often each image was read."""
    below = f"/{images.removeprefix('s3://')}/"
    return Counter(request.path for request in server.requests("GET") if request.path.startswith(below))


def is_there(uri: str) -> bool:
    return bool(list(storage.list_objects(uri)))


@contextmanager
def held_back(server: S3Server, uri: str) -> Iterator[Event]:
    """Let nobody write an object until the event is set."""
    path = "/" + uri.removeprefix("s3://")
    gate = server.gates[path] = Event()
    try:
        yield gate
    finally:
        gate.set()
        del server.gates[path]


def read_told(path: Path) -> str:
    """What a command told so far."""
    return path.read_text() if path.exists() else ""


def test_a_run_on_s3_gives_what_a_run_on_disk_gives_and_reads_each_image_once(
    stored: str, expected: str, prefix: str, s3_server: S3Server
) -> None:
    s3_server.forget()
    sets = (*SETS, "execution.head_start=false")
    ended = command(*run_arguments(f"{stored}/model", [f"{stored}/in"], prefix, *sets))
    assert ended.code == 0, ended.err
    assert without_uris(read_rows(prefix)) == without_uris(read_rows(expected))
    assert masks_below(prefix) == masks_below(expected)
    assert storage.exists(f"{prefix}/_SUCCESS")
    assert storage.exists(f"{prefix}/report/report.html")
    assert not storage.exists(f"{prefix}/{LEASE_FILE}")
    reads = image_reads(s3_server, f"{stored}/in")
    assert len(reads) == NUM_FILES
    assert set(reads.values()) == {1}
    asked = f"/{stored.removeprefix('s3://')}/in/"
    assert not [request for request in s3_server.requests("HEAD") if request.path.startswith(asked)]


def test_two_commands_after_a_killed_one_give_each_row_once(
    stored: str, expected: str, prefix: str, s3_server: S3Server, tmp_path: Path
) -> None:
    # With a head start, and behind a command that left its lease, rows of a shard and no report.
    run_here(f"{stored}/model", f"{stored}/in", prefix, [1, 2])
    records = {shard_id: CommitLog(prefix).read(shard_id) for shard_id in (1, 2)}
    dead = new_lease().model_copy(update={"pid": 2**22 + 1, "token": "dead"})
    storage.create(f"{prefix}/{LEASE_FILE}", dead.model_dump_json().encode())
    arguments = run_arguments(f"{stored}/model", [f"{stored}/in"], prefix, *SETS)
    s3_server.forget()
    told = [tmp_path / "first.err", tmp_path / "second.err"]
    with ThreadPoolExecutor(2) as pool, held_back(s3_server, f"{prefix}/_SUCCESS") as gate:
        begun = [pool.submit(command, *arguments, err_file=path) for path in told]
        while not (any(future.done() for future in begun) or any(WAITS in read_told(path) for path in told)):
            time.sleep(0.05)
        gate.set()  # neither ends before the other has come to the lease
        ended = [future.result() for future in begun]
    assert [end.code for end in ended] == [0, 0], [end.err for end in ended]
    assert sorted(WAITS in end.err for end in ended) == [False, True]
    assert without_uris(read_rows(prefix)) == without_uris(read_rows(expected))
    assert masks_below(prefix) == masks_below(expected)
    assert len(list(storage.list_objects(f"{prefix}/data"))) == -(-NUM_FILES // ROWS_PER_SHARD)
    reads = image_reads(s3_server, f"{stored}/in")  # by children and actors, who leave each other's shards alone
    assert (len(reads), set(reads.values())) == (NUM_FILES - 2 * ROWS_PER_SHARD, {1})
    for shard_id, record in records.items():
        assert CommitLog(prefix).read(shard_id) == record


def test_a_killed_retry_goes_on(stored: str, expected: str, prefix: str, folder: Path) -> None:
    images, output = f"{prefix}/in", f"{prefix}/out"
    upload(folder, images)
    for name in BROKEN:
        storage.replace(f"{images}/{name}", b"broken")
    run_here(f"{stored}/model", images, output)
    assert Counter(row["status"] for row in read_rows(output))["unsupported"] == 1 + len(BROKEN)

    for name in BROKEN:
        storage.replace(f"{images}/{name}", (folder / name).read_bytes())
    retry = ["retry", output, "--status", "unsupported", "--set", "execution.actors=1"]
    code, _ = run_until(retry, lambda: is_there(f"{output}/_retries/"), number=signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert storage.exists(f"{output}/{LEASE_FILE}")
    ended = command(*retry)
    assert ended.code == 0, ended.err
    assert f"retry 1: {1 + len(BROKEN)} images" in ended.err
    assert without_uris(read_rows(output)) == without_uris(read_rows(expected))
    assert masks_below(output) == masks_below(expected)
    assert len(list(storage.list_objects(f"{output}/data"))) == -(-NUM_FILES // ROWS_PER_SHARD)


def test_an_image_that_kills_is_done_in_quarantine(prefix: str, folder: Path, tmp_path: Path) -> None:
    images, output = f"{prefix}/in", f"{prefix}/out"
    deadly = hooked_classifier(tmp_path / "deadly", input__filters=[hook("tests.strikes:strike_poison", how="kill")])
    upload(deadly, f"{prefix}/model")
    upload(folder, images)
    buffer = BytesIO()
    Image.new("RGB", (24, 20), POISON_RGB).save(buffer, format="PNG")
    storage.replace(f"{images}/{POISON}", buffer.getvalue())
    ended = command(*run_arguments(f"{prefix}/model", [images], output, *SETS))
    assert ended.code == 0, ended.err
    rows = {row["image_id"]: row["status"] for row in read_rows(output)}
    assert len(rows) == NUM_FILES
    assert [name for name, status in rows.items() if status == "crashed"] == [POISON]
    assert sum(status == "ok" for status in rows.values()) == NUM_GOOD - 1
    assert 0 in read_suspects(output)


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
