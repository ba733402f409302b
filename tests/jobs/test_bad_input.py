"""What a user can get wrong in the job command: one sentence, exit code 2, nothing started, no secret shown."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from inference_core.cli import build_app, run_app
from inference_core.models.package import ModelPackage
from jobs.cli import print_settings
from jobs.finalize import finalize
from jobs.plan import find_plan
from tests.drawn_images import draw_folder, png_bytes, write
from tests.jobs.conftest import MakeJob
from tests.jobs.local_run import plan_job, read_rows, run_shards
from tests.s3_loopback import S3Server


class Ended:
    """How a command ended."""

    def __init__(self, code: object, err: str) -> None:
        self.code, self.err = code, err
        self.message = f"\n{err}".partition("\nerror: ")[2].strip()  # a line of its own; settings may end so


Command = Callable[..., Ended]


@pytest.fixture
def job(
    tmp_path: Path,
    images: Path,
    classifier: ModelPackage,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """``run`` over the drawn images with some flags changed; "IN", "OUT" and "TMP" in them are places of the test."""

    def start(*assignments: str, **flags: str) -> Ended:
        named = {"model": classifier.uri, "input": str(images), "output": str(tmp_path / "out"), **flags}
        arguments = [part for key, value in named.items() for part in (f"--{key}", value.replace("TMP", str(tmp_path)))]
        sets = [part for assignment in assignments for part in ("--set", assignment.replace("TMP", str(tmp_path)))]
        monkeypatch.setattr(sys, "argv", ["millrace", "run", *arguments, *sets])
        with pytest.raises(SystemExit) as caught:
            run_app(build_app())
        return Ended(caught.value.code, capsys.readouterr().err)

    return start


@pytest.fixture
def files(tmp_path: Path, images: Path) -> Path:
    """Tables and places that are wrong in one way each."""
    good = images / "0000.png"
    write(tmp_path / "columns.csv", b"a,b\n1,2\n")
    write(tmp_path / "doubles.csv", f"uri,image_id\n{good},x\n{good},x\n".encode())
    write(tmp_path / "escapes.csv", b"uri\nimages/0000.png\n../secret.png\n")
    write(tmp_path / "nul.jsonl", b'{"uri": "a\\u0000b"}\n')
    write(tmp_path / "half.jsonl", b'{"uri": "a\\udcffb"}\n')
    write(tmp_path / "password.csv", b"uri\nhttps://user:secret@host/a.jpg\n")
    write(tmp_path / "header.csv", b"uri\n")
    write(tmp_path / "text.parquet", b"hello")
    write(tmp_path / "blank.csv", b'uri\n""\n')
    write(tmp_path / "file", b"x")
    (tmp_path / "empty").mkdir()
    return tmp_path


WRONG = [
    pytest.param(
        {"input": "TMP/empty"},
        "input: must hold at least one file, got none below file://TMP/empty (0 left out by include and "
        "exclude); check the path and the globs",
        id="empty folder",
    ),
    pytest.param(
        {"input": "TMP/absent"},
        "input: must hold at least one file, got none below file://TMP/absent (0 left out by include and "
        "exclude); check the path and the globs",
        id="absent folder",
    ),
    pytest.param(
        {"input": "TMP/header.csv"},
        "input: must hold at least one file, got none below file://TMP/header.csv (0 left out by include and "
        "exclude); check the path and the globs",
        id="table without rows",
    ),
    pytest.param(
        {"input": "TMP/columns.csv"},
        "input: must have a column uri, url, path, file, file_name, filename or image, got a, b in "
        "file://TMP/columns.csv; name it in source.uri_column",
        id="missing column",
    ),
    pytest.param(
        {"input": "TMP/doubles.csv"},
        "input: image_id must be distinct, got 'x' again in file://TMP/doubles.csv; remove the row, or give "
        "a column image_id with a name of its own for each",
        id="double ids",
    ),
    pytest.param(
        {"input": "TMP/escapes.csv"},
        "input: must name images, got row 2 of file://TMP/escapes.csv: part must be a relative path of plain "
        "names, got '../secret.png'; remove empty names, '.', '..' and slashes at its ends",
        id="row that escapes",
    ),
    pytest.param(
        {"input": "TMP/blank.csv"},
        "input: must name an image in every row, got '' in row 1 of file://TMP/blank.csv, column uri; correct it",
        id="row of nothing",
    ),
    pytest.param(
        {"input": "TMP/nul.jsonl"},
        "input: must name images, got row 1 of file://TMP/nul.jsonl: part must be a relative path of plain "
        "names, got 'a\\x00b'; remove empty names, '.', '..' and slashes at its ends",
        id="NUL in a row",
    ),
    pytest.param(
        {"input": "TMP/half.jsonl"},
        "input: must name images in valid Unicode, got 'a\\udcffb' in row 1 of file://TMP/half.jsonl; correct it",
        id="half a character",
    ),
    pytest.param(
        {"input": "TMP/password.csv"},
        "input: must name images, got row 1 of file://TMP/password.csv: uri must not carry credentials, got "
        "'https://***@host/a.jpg'; give them to the file system by its FSSPEC_HTTPS_* variables instead",
        id="password in a row",
    ),
    pytest.param(
        {"input": "TMP/text.parquet"},
        "input: must be a Parquet file, got file://TMP/text.parquet (Parquet file size is 5 bytes, smaller "
        "than the minimum file footer (8 bytes)); write it again",
        id="no Parquet",
    ),
    pytest.param(
        {"input": "s3://key:secret@bucket/in"},
        "input: uri must not carry credentials, got 's3://***@bucket/in'; set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY instead",
        id="keys in an S3 URI",
    ),
    pytest.param(
        {"output": "s3://key:secret@bucket/out"},
        "output: uri must not carry credentials, got 's3://***@bucket/out'; set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY instead",
        id="keys in the output",
    ),
    pytest.param(
        {"model": "s3://key:secret@bucket/m"},
        "model: uri must not carry credentials, got 's3://***@bucket/m'; set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY instead",
        id="keys in the model",
    ),
    pytest.param(
        {"input": "sftp://user:secret@host/x"},
        "input: uri must not carry credentials, got 'sftp://***@host/x'; give them to the file system by its "
        "FSSPEC_SFTP_* variables instead",
        id="password",
    ),
    pytest.param(
        {"input": "foo://host/x"},
        "uri must have a known scheme, got 'foo://host/x'; write a path, s3://, or a scheme that fsspec knows",
        id="unknown scheme",
    ),
    pytest.param(
        {"config": "TMP/empty"},
        "--config: must be a YAML file that can be read, got TMP/empty (uri must name a regular file, got a "
        "folder at 'TMP/empty'); name another",
        id="config is a folder",
    ),
    pytest.param(
        {"config": "TMP/absent.yaml"},
        "--config: must be an existing file, got TMP/absent.yaml; check the path",
        id="no config",
    ),
    pytest.param(
        {"output": "TMP/file"},
        "output: must be a folder, got the file file://TMP/file; choose another",
        id="output is a file",
    ),
    pytest.param(
        {"output": "TMP/file/out"},
        "output: must be a folder, got file://TMP/file/out below the file file://TMP/file; choose another",
        id="output in a file",
    ),
    pytest.param(
        {"output": "memory://out"},
        "output: must be a local folder or s3://, got memory://out; memory:// has no create-only write that is safe",
        id="output in memory",
    ),
    pytest.param(
        {"output": "https://host/out?sig=secret"},
        "output: must be a local folder or s3://, got https://host/out?sig=***; https:// has no create-only "
        "write that is safe",
        id="output over HTTP",
    ),
    pytest.param(
        {"output": "s3://bucket/a/../b"},
        "output: must be a prefix of plain names, got s3://bucket/a/../b; remove empty names, '.' and '..'",
        id="output that climbs",
    ),
    pytest.param(
        {"output": "s3:///x"},
        "output: uri must name a bucket, got 's3:///x'; write s3://bucket/key",
        id="output of no name",
    ),
]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("flags", "message"), WRONG)
def test_a_wrong_place_is_one_sentence(job: Command, tmp_path: Path, flags: dict[str, str], message: str) -> None:
    ended = job(**flags)
    assert (ended.message, ended.code) == (message.replace("TMP", str(tmp_path)), 2)
    assert "secret" not in ended.err.replace("secret.png", "")
    assert not (tmp_path / "out" / "_commits").exists()


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ('input="a\\0b"', "input: uri must be a path or a URI without NUL characters, got 'a\\x00b'"),
        ('output="a\\0b"', "output: uri must be a path or a URI without NUL characters, got 'a\\x00b'"),
        ("include=3", "the command line has 1 problem:\n  include: must be a list, got 3; correct it"),
    ],
)
def test_a_wrong_assignment_is_one_sentence(job: Command, assignment: str, message: str) -> None:
    ended = job(assignment)
    assert (ended.message, ended.code) == (message, 2)


def test_one_glob_needs_no_list(job: Command, tmp_path: Path) -> None:
    ended = job("include='*.jpg'", "exclude='*'", "execution.device=cpu")
    assert ended.message.startswith("input: must hold at least one file, got none below")
    assert "include: ['*.jpg']" in ended.err


# Secrets


def test_a_signature_stays_in_the_manifest_alone(
    make_job: MakeJob, classifier: ModelPackage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder is named as a signed URL ends: what masks one masks the other."""
    secret = "5ecret5ignature"
    folder = draw_folder(tmp_path / f"in?X-Amz-Signature={secret}", 3, with_bad=True)
    table = tmp_path / "list.csv"
    write(tmp_path / f"a.png?token={secret}", png_bytes(0))
    write(table, f"uri\na.png?token={secret}\nabsent.png?token={secret}\n".encode())
    output = tmp_path / "out"
    for given in (folder, table):
        config = make_job(input=str(given), output=str(output / given.name[:4]))
        print_settings(config, console=Console(stderr=True, soft_wrap=True, width=1000), log_format="text")
        print_settings(config, console=Console(), log_format="json")
        plan = plan_job(config, classifier)
        run_shards(config, classifier, plan)
        finalize(config.output, plan)
        assert find_plan(config, classifier) == plan, "the run is known again"
    assert read_rows(output / "in?X")[0]["uri"].endswith("in?X-Amz-Signature=***")
    written = capsys.readouterr()
    assert secret not in written.out + written.err
    for path in (found for found in output.rglob("*") if found.is_file()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            content = str(pq.read_table(path).to_pylist()).encode()
        assert (secret.encode() in content) == (path.parent.name == "manifest"), path


def test_ids_that_climb_stay_in_the_output(
    make_job: MakeJob, segmenter: ModelPackage, images: Path, tmp_path: Path
) -> None:
    rows = [f"{images}/0000.png,../../../escaped", f"{images}/0001.png,/etc/escaped", f"{images}/0002.png,a/../../b"]
    write(tmp_path / "list.csv", "\n".join(["uri,image_id", *rows]).encode())
    config = make_job(model=segmenter.uri, input=str(tmp_path / "list.csv"), exclude="[]")
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    run_shards(config, segmenter, plan_job(config, segmenter))
    new = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.is_relative_to(tmp_path / "out") for path in new)
    assert len([path for path in new if path.is_relative_to(tmp_path / "out" / "masks")]) == 3


# S3


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, s3_server: S3Server) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_") and "ENDPOINT" not in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.usefixtures("no_keys")
def test_no_credentials(job: Command) -> None:
    ended = job(input="s3://millrace-tests/in")
    assert (ended.message, ended.code) == (
        "input: cannot access 's3://millrace-tests/in': no credentials were found; set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY, a profile or a role, or FSSPEC_S3_ANON=true for a public bucket",
        2,
    )


@pytest.mark.usefixtures("s3_server")
@pytest.mark.parametrize("flag", ["input", "output", "model"])
def test_a_wrong_bucket(job: Command, flag: str) -> None:
    ended = job(**{flag: "s3://no-such-bucket-here/x"})
    assert (ended.message, ended.code) == (
        f"{flag}: cannot access 's3://no-such-bucket-here/x': there is no such bucket; check its name and "
        "AWS_ENDPOINT_URL",
        2,
    )


def test_a_prefix_with_nothing_in_it(job: Command, s3_bucket: str) -> None:
    ended = job(input=f"{s3_bucket}/nothing-here")
    assert (ended.message, ended.code) == (
        f"input: must hold at least one file, got none below {s3_bucket}/nothing-here (0 left out by include and "
        "exclude); check the path and the globs",
        2,
    )


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("kind", ["refuses", "is silent"])
def test_an_endpoint_that_does_not_answer(
    job: Command, s3_bucket: str, silent_port: int, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    port = 9 if kind == "refuses" else silent_port
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    started_s = time.monotonic()
    ended = job(input=f"{s3_bucket}/in")
    assert (ended.message, ended.code) == (
        f"input: cannot access '{s3_bucket}/in': the endpoint did not answer; check AWS_ENDPOINT_URL, the network and "
        "the proxy",
        2,
    )
    assert time.monotonic() - started_s < 20, "it is asked once, not with the patience of work"
