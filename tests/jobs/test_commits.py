from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import JobError
from jobs.commits import CommitLog, CommitRecord, DataFile, parse_record
from jobs.report.facts import ErrorRow
from tests.drawn_images import write


def record(shard_id: int, **changes: Any) -> CommitRecord:
    facts: dict[str, Any] = {
        "run_id": "cafecafe",
        "shard_id": shard_id,
        "attempt": "cafe",
        "num_rows": 2,
        "status_counts": {"ok": 1, "decode_error": 1},
        "data": DataFile(path=f"data/part-{shard_id:06d}-cafe.parquet", size_bytes=9, sha256="ab"),
        "num_masks": 1,
        "errors": (ErrorRow(image_id="ü\n\"'\u202e", uri="file:///x", status="decode_error", error="why\x00"),),
        "summary": {"schema": 1, "nested": {"a": [1, 2.5, None]}},
        "engine": "onnxruntime on cpu, fp32",
        "host": "h",
        "started_s": 1.5,
        "wall_s": 0.1 + 0.2,
    }
    return CommitRecord(**(facts | changes))


@pytest.fixture
def log(tmp_path: Path) -> CommitLog:
    return CommitLog(str(tmp_path))


def test_a_record_survives_json_to_the_last_bit() -> None:
    made = record(17)
    assert parse_record(made.model_dump_json().encode(), uri="x", shard_id=17) == made


def test_a_log_that_is_not_there_has_no_shard(log: CommitLog) -> None:
    assert log.committed() == set()
    assert not log.is_committed(0)


def test_a_created_record_commits_its_shard_alone(log: CommitLog) -> None:
    assert log.create(record(17))
    assert log.committed() == {17}
    assert log.is_committed(17)
    assert not log.is_committed(1)
    assert log.read(17) == record(17)
    assert log.uri_of(17).endswith("/_commits/000017.json")


def test_the_second_record_of_a_shard_is_refused(log: CommitLog) -> None:
    assert log.create(record(3, attempt="first"))
    assert not log.create(record(3, attempt="second"))
    assert log.read(3).attempt == "first"


def test_of_many_attempts_at_a_time_one_wins(log: CommitLog) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: log.create(record(5, attempt=str(i))), range(32)))
    assert won.count(True) == 1
    assert log.read(5).attempt == str(won.index(True))


def test_records_are_read_in_the_order_asked(log: CommitLog) -> None:
    for shard_id in (2, 0, 1):
        log.create(record(shard_id))
    assert [found.shard_id for found in log.read_many([1, 2, 0])] == [1, 2, 0]
    assert list(log.read_many([])) == []


def test_a_shard_number_over_six_digits_is_found(log: CommitLog) -> None:
    log.create(record(1_234_567))
    assert log.committed() == {1_234_567}


@pytest.mark.parametrize(
    "name", ["notes.txt", "000001.json.bak", ".000001.json", "abc.json", "sub/000001.json", "-1.json"]
)
def test_other_files_in_the_log_commit_nothing(log: CommitLog, tmp_path: Path, name: str) -> None:
    write(tmp_path / "_commits" / name, b"{}")
    assert log.committed() == set()


def test_a_missing_record_is_named_with_what_to_do(log: CommitLog) -> None:
    with pytest.raises(JobError, match=r"000004\.json must exist, got nothing there; run the same command again"):
        log.read(4)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"shard_id": 1}', record(1).model_dump_json().encode()[:-20]],
    ids=["empty", "open", "list", "null", "nothing", "no-text", "part", "cut"],
)
def test_a_damaged_record_is_named_with_what_to_do(log: CommitLog, tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "_commits" / "000001.json", content)
    with pytest.raises(
        JobError, match=r"000001\.json must be a commit record.*delete it and run the same command again"
    ):
        log.read(1)


def test_a_record_of_a_newer_version_with_more_in_it_is_refused() -> None:
    data = record(1).model_dump_json().encode().replace(b'"host"', b'"new_key":1,"host"')
    with pytest.raises(JobError, match="must be a commit record"):
        parse_record(data, uri="x", shard_id=1)


def test_a_record_of_another_shard_is_refused(log: CommitLog, tmp_path: Path) -> None:
    log.create(record(1))
    content = (tmp_path / "_commits" / "000001.json").read_bytes()
    write(tmp_path / "_commits" / "000002.json", content)
    with pytest.raises(JobError, match="000002"):
        log.read(2)
