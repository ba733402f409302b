"""What holds in every store that a run can write to."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inference_core import storage
from inference_core.errors import MissingObjectError, StorageError, TooLargeError

REPOSITORY = Path(__file__).resolve().parents[3]


def paths_below(prefix: str, *, recursive: bool = True) -> list[str]:
    return [info.path for info in storage.list_objects(prefix, recursive=recursive)]


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 500], ids=["empty", "byte", "128kB"])
def test_what_was_written_is_read(prefix: str, data: bytes) -> None:
    uri = storage.join(prefix, "a b/ünï 100%#?.bin")
    storage.replace(uri, data)
    assert storage.read_bytes(uri) == data
    assert storage.read_bytes(uri, max_bytes=len(data)) == data
    assert list(storage.read_many([uri])) == [data]
    with storage.open_for_read(uri) as file:
        assert file.read() == data


@pytest.mark.parametrize("size", [1, 2, 5000])
def test_an_object_over_the_limit_is_refused(prefix: str, size: int) -> None:
    uri = storage.join(prefix, "big")
    storage.replace(uri, b"z" * size)
    with pytest.raises(TooLargeError, match=f"object must be at most {size - 1} bytes, got .*big'"):
        storage.read_bytes(uri, max_bytes=size - 1)


def test_read_many_answers_in_order_and_gives_errors_in_their_place(prefix: str) -> None:
    uris = [storage.join(prefix, f"{index:03}") for index in range(40)]
    for index, uri in enumerate(uris):
        if index % 7:
            storage.replace(uri, bytes([index]) * (index + 1))
    outcomes = list(storage.read_many(uris, concurrency=5, max_bytes=30))
    assert len(outcomes) == 40
    for index, outcome in enumerate(outcomes):
        if index % 7 == 0:
            assert isinstance(outcome, MissingObjectError)
            assert outcome.uri == uris[index]
        elif index >= 30:
            assert isinstance(outcome, TooLargeError)
            assert outcome.uri == uris[index]
        else:
            assert outcome == bytes([index]) * (index + 1)


def test_read_many_of_nothing_is_nothing(prefix: str) -> None:
    assert list(storage.read_many([])) == []


def test_read_many_mixes_stores(tmp_path: Path, s3_prefix: str) -> None:
    uris = [f"{s3_prefix}/a", f"{s3_prefix}/b", f"{tmp_path}/c", f"{s3_prefix}/d"]
    for uri in uris:
        storage.replace(uri, uri.encode())
    assert list(storage.read_many(uris, concurrency=2)) == [uri.encode() for uri in uris]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.text(st.characters(), max_size=5))
@example(key="\0")
@example(key="\ud800")
def test_read_many_answers_whatever_the_name(prefix: str, key: str) -> None:
    outcomes = list(storage.read_many([f"{prefix}/{key}", f"{prefix}/absent/{key}"]))
    assert all(isinstance(outcome, StorageError) for outcome in outcomes)


def test_read_many_refuses_a_concurrency_below_one() -> None:
    with pytest.raises(ValueError, match="concurrency must be at least 1, got 0"):
        storage.read_many([], concurrency=0)


def test_a_missing_object_says_so(prefix: str) -> None:
    uri = storage.join(prefix, "nothing/here")
    with pytest.raises(MissingObjectError, match=r"nothing is stored at '.*nothing/here'; check") as caught:
        storage.read_bytes(uri)
    assert caught.value.uri == uri
    with pytest.raises(MissingObjectError), storage.open_for_read(uri):
        pass
    assert not storage.exists(uri)


def test_create_writes_once(prefix: str) -> None:
    uri = storage.join(prefix, "_commits/000000.json")
    assert storage.create(uri, b"first")
    assert not storage.create(uri, b"second")
    assert not storage.create(uri, b"first")
    assert storage.read_bytes(uri) == b"first"
    storage.delete_many([uri])
    assert storage.create(uri, b"third", durable=False)


def test_of_racing_threads_exactly_one_creates(prefix: str) -> None:
    for attempt in range(5):
        uri = storage.join(prefix, "race", str(attempt))
        barrier = threading.Barrier(16)

        def create(index: int, uri: str = uri, barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            return storage.create(uri, b"%d" % index * 1000)

        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(create, range(16)))
        assert won.count(True) == 1
        assert storage.read_bytes(uri) == b"%d" % won.index(True) * 1000
    assert len(paths_below(prefix)) == 5


CREATOR = dedent("""
    import sys, time
    from inference_core import storage
    prefix, index, start_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
    storage.exists(prefix + "/warm")
    time.sleep(max(0.0, start_s - time.time()))
    print(*[attempt for attempt in range(20) if storage.create(f"{prefix}/{attempt}", index.encode())])
""")


def test_of_racing_processes_exactly_one_creates(prefix: str) -> None:
    start_s = str(time.time() + 3)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CREATOR, prefix, str(index), start_s],
            cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for index in range(4)
    ]  # fmt: skip
    winners: dict[int, str] = {}
    for index, process in enumerate(processes):
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        for attempt in map(int, out.split()):
            assert attempt not in winners
            winners[attempt] = str(index)
    assert sorted(winners) == list(range(20))
    assert {a: storage.read_bytes(f"{prefix}/{a}").decode() for a in winners} == winners


def test_a_reader_never_sees_a_part(prefix: str) -> None:
    uri = storage.join(prefix, "status.json")
    size = 300_000
    storage.replace(uri, b"a" * size)
    is_done = threading.Event()

    def write() -> None:
        try:
            for turn in range(40):
                storage.replace(uri, (b"a", b"b")[turn % 2] * size, durable=turn % 4 == 0)
        finally:
            is_done.set()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        seen = set()
        while not is_done.is_set():
            data = storage.read_bytes(uri)
            assert len(data) == size
            assert len(set(data)) == 1
            seen.add(data[0])
        writer.result()
    assert len(seen) == 2


def test_listing_gives_everything_in_byte_order_of_the_path(prefix: str) -> None:
    # "-" < "." < "/" < "0": a walk that sorted names alone would give another order than an object store.
    paths = ["a-b", "a.txt", "a/b", "a/c/d", "a0", "Z", "_hidden", ".dot/x", "é", "\U0001f600", "\uffee"]
    for path in paths:
        storage.replace(storage.join(prefix, path), path.encode())
    storage.replace(prefix + "x/other", b"")
    infos = list(storage.list_objects(prefix))
    assert [info.path for info in infos] == sorted(paths, key=str.encode)
    assert [info.uri for info in infos] == [storage.join(prefix, info.path) for info in infos]
    assert [info.size_bytes for info in infos] == [len(info.path.encode()) for info in infos]
    assert all(info.etag and info.mtime_s > 1.6e9 for info in infos)
    assert paths_below(prefix, recursive=False) == [p for p in sorted(paths, key=str.encode) if "/" not in p]
    assert paths_below(prefix + "/a") == paths_below(prefix + "/a/") == ["b", "c/d"]
    assert list(storage.read_many(info.uri for info in infos)) == [info.path.encode() for info in infos]


def test_listing_nothing_gives_nothing(prefix: str) -> None:
    assert paths_below(prefix + "/absent") == []
    storage.replace(prefix + "/object", b"")
    assert paths_below(prefix + "/object") == []


names = st.text("ab.-_0é", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paths=st.sets(st.lists(names, min_size=1, max_size=3).map("/".join), max_size=8))
def test_local_and_s3_list_the_same(tmp_path: Path, s3_prefix: str, paths: set[str]) -> None:
    # A name cannot be both a file and a folder locally.
    paths = {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
    folder, remote = f"{tmp_path.as_uri()}/{uuid4().hex}", f"{s3_prefix}/{uuid4().hex}"
    for path in paths:
        for prefix in (folder, remote):
            assert storage.create(storage.join(prefix, path), b"x", durable=False)
    assert paths_below(folder) == paths_below(remote) == sorted(paths, key=str.encode)
    assert paths_below(folder, recursive=False) == paths_below(remote, recursive=False)


def test_the_etag_tells_a_changed_object(prefix: str) -> None:
    uri = storage.join(prefix, "a")
    etags = []
    for data in (b"1", b"22"):
        storage.replace(uri, data)
        etags += [info.etag for info in storage.list_objects(prefix)]
    assert len(set(etags)) == 2


def test_exists_is_true_for_an_object_only(prefix: str) -> None:
    storage.replace(storage.join(prefix, "a/b"), b"")
    assert storage.exists(prefix + "/a/b")
    assert not storage.exists(prefix + "/a")
    assert not storage.exists(prefix + "/a/b/c")


def test_deleting_is_complete_and_can_be_repeated(prefix: str) -> None:
    uris = [storage.join(prefix, name) for name in ("a", "b/c", "d")]
    for uri in uris:
        storage.replace(uri, b"")
    storage.delete_many([])
    storage.delete_many([*uris[:2], prefix + "/absent"])
    assert paths_below(prefix) == ["d"]
    storage.delete_many(uris)
    assert paths_below(prefix) == []


def test_a_parquet_file_is_written_as_a_stream_and_read_in_parts(prefix: str) -> None:
    uri = storage.join(prefix, "data/part-000000.parquet")
    table = pa.table({"row_id": range(1000), "score": [index / 7 for index in range(1000)]})
    with storage.open_for_write(uri) as file, pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table, row_group_size=100)
    with storage.open_for_read(uri) as file:
        parquet = pq.ParquetFile(file)
        assert parquet.num_row_groups == 10
        assert parquet.read_row_group(3).equals(table.slice(300, 100))


@pytest.mark.parametrize("written", [0, 10, 60_000_000], ids=["nothing", "little", "over-one-upload-part"])
def test_a_stream_that_fails_leaves_what_was_there(prefix: str, written: int) -> None:
    uri = storage.join(prefix, "part")
    storage.replace(uri, b"old")
    with pytest.raises(KeyError), storage.open_for_write(uri) as file:  # noqa: PT012 - the body is what fails
        file.write(b"x" * written)
        raise KeyError
    assert storage.read_bytes(uri) == b"old"
    assert paths_below(prefix) == ["part"]


def test_a_stream_appears_only_when_it_is_complete(prefix: str) -> None:
    uri = storage.join(prefix, "new/part")
    with storage.open_for_write(uri) as file:
        file.write(b"123")
        assert not storage.exists(uri)
        assert paths_below(prefix) == []
        file.write(b"456")
    assert storage.read_bytes(uri) == b"123456"


def test_importing_the_package_loads_no_client() -> None:
    code = dedent("""
        import sys, inference_core.storage
        print([m for m in ("fsspec", "s3fs", "botocore", "aiohttp") if m in sys.modules])
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_local_work_loads_no_client(tmp_path: Path) -> None:
    code = dedent(f"""
        import sys
        from inference_core import storage
        storage.create({str(tmp_path / "a")!r}, b"x")
        assert list(storage.read_many([i.uri for i in storage.list_objects({str(tmp_path)!r})])) == [b"x"]
        print([m for m in ('fsspec', 's3fs', 'botocore', 'aiohttp') if m in sys.modules])
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(StorageError, match=r"uri must have a known scheme, got 'nosuch://x/y'; write a path, s3://"):
        storage.read_bytes("nosuch://x/y")
