"""What holds for local files only."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent

import pytest

from inference_core import storage
from inference_core.errors import StorageError, TooLargeError
from inference_core.storage.local import SLOW_READ_S

REPOSITORY = Path(__file__).resolve().parents[3]


def listed(folder: Path, *, recursive: bool = True) -> list[str]:
    return [info.path for info in storage.list_objects(str(folder), recursive=recursive)]


@pytest.mark.parametrize("form", ["plain", "uri", "relative"])
def test_plain_paths_and_uris_name_the_same_file(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    uri = {"plain": str(tmp_path / "a/b"), "uri": (tmp_path / "a/b").as_uri(), "relative": "a/b"}[form]
    assert storage.create(uri, b"x")
    assert (tmp_path / "a/b").read_bytes() == storage.read_bytes(uri) == b"x"
    assert [info.uri for info in storage.list_objects(".")] == [f"file://{tmp_path}/a/b"]


def test_a_folder_or_a_pipe_is_no_object(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="must name a regular file, got a folder"):
        storage.read_bytes(str(tmp_path))
    with pytest.raises(StorageError, match="must name a regular file, got a pipe"):
        storage.read_bytes(str(tmp_path / "pipe"))
    assert not storage.exists(str(tmp_path / "pipe"))
    assert listed(tmp_path) == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_file_that_hides_its_size_is_read_and_limited() -> None:
    assert storage.read_bytes("/proc/self/status").startswith(b"Name:")
    with pytest.raises(TooLargeError, match="at most 10 bytes"):
        storage.read_bytes("/proc/self/status", max_bytes=10)


def test_a_file_over_the_limit_is_not_held(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)  # 1 TB, sparse: reading it would not end well
    (outcome,) = storage.read_many([str(tmp_path / "huge")], max_bytes=1 << 20)
    assert isinstance(outcome, TooLargeError)


def test_a_file_of_more_than_one_read_call_is_whole(tmp_path: Path) -> None:
    # The system gives at most 2 GB per call; a growing file gives less than asked for in the same way.
    path = tmp_path / "growing"
    path.write_bytes(b"")
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab", buffering=0) as file:
            for _ in range(2_000):  # a writer that outran the reader for ever would fill the memory
                if stop.is_set():
                    return
                file.write(b"x" * 10_000)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        sizes = [len(storage.read_bytes(str(path))) for _ in range(20)]
    finally:
        stop.set()
        thread.join()
    assert sizes == sorted(sizes)


def test_slow_reads_overlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A mount that answers after 20 ms, at the only door where the system can be slowed down: the open call.
    for index in range(40):
        (tmp_path / f"{index:02}").write_bytes(b"%d" % index)
    real_open = os.open

    def slow_open(*args: object, **keywords: object) -> int:
        time.sleep(10 * SLOW_READ_S)
        return real_open(*args, **keywords)  # type: ignore[arg-type]

    uris = [str(tmp_path / f"{index:02}") for index in range(40)]
    monkeypatch.setattr(os, "open", slow_open)
    seconds = {}
    for concurrency in (1, 10):
        started_s = time.perf_counter()
        assert list(storage.read_many(uris, concurrency=concurrency)) == [b"%d" % index for index in range(40)]
        seconds[concurrency] = time.perf_counter() - started_s
    assert seconds[1] > 40 * 10 * SLOW_READ_S
    assert seconds[10] < seconds[1] / 3


def test_created_files_have_the_users_default_mode(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        storage.create(str(tmp_path / "a"), b"")
        storage.replace(str(tmp_path / "b"), b"")
        with storage.open_for_write(str(tmp_path / "c")):
            pass
    finally:
        os.umask(mask)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in "abc"] == [0o640] * 3


def test_nothing_unfinished_is_left_or_listed(tmp_path: Path) -> None:
    assert storage.create(str(tmp_path / "a"), b"")
    assert not storage.create(str(tmp_path / "a"), b"")
    storage.replace(str(tmp_path / "a"), b"")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    with storage.open_for_write(str(tmp_path / "b")):
        assert len(list(tmp_path.iterdir())) == 2
        assert listed(tmp_path) == ["a"]


def test_create_does_not_write_through_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert not storage.create(str(tmp_path / "link"), b"x")
    assert not (tmp_path / "target").exists()


KILLED = dedent("""
    import sys
    from inference_core import storage
    for turn in range(10**9):
        storage.replace(sys.argv[1], bytes([turn % 256]) * 3_000_000, durable=False)
        if turn == 3:
            print("go", flush=True)
""")


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path / "a")], cwd=REPOSITORY, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        data = (tmp_path / "a").read_bytes()
        assert len(data) == 3_000_000
        assert len(set(data)) == 1
        assert listed(tmp_path) == ["a"]
        assert storage.remove_unfinished(str(tmp_path)) == 0
        storage.remove_unfinished(str(tmp_path), min_age_s=0)
        assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_place_that_keeps_the_promise_passes_the_check(tmp_path: Path) -> None:
    storage.check_create_only(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_only_old_unfinished_files_are_removed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name, age_s in (("old", 100), ("young", 10)):
        path = tmp_path / f"data/.millrace-tmp-{name}"
        path.write_bytes(b"")
        os.utime(path, (time.time() - age_s,) * 2)
    assert storage.remove_unfinished(str(tmp_path), min_age_s=50) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".millrace-tmp-young"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_bytes(b"1")
    (tmp_path / "again").symlink_to("data")
    (tmp_path / "data/up").symlink_to("..")
    (tmp_path / "data/b").symlink_to("a")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    assert listed(tmp_path) == ["again/a", "again/b", "data/a", "data/b", "gone", "self"]
    assert listed(tmp_path / "again") == ["a", "b", "up/gone", "up/self"]
    outcomes = list(storage.read_many(info.uri for info in storage.list_objects(str(tmp_path))))
    assert outcomes[:4] == [b"1"] * 4
    assert all(isinstance(outcome, StorageError) for outcome in outcomes[4:])


def test_a_listed_uri_keeps_the_name_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a").write_bytes(b"")
    (tmp_path / "link").symlink_to("real")
    assert [info.uri for info in storage.list_objects(str(tmp_path / "link"))] == [f"file://{tmp_path}/link/a"]


ODD_NAMES = [
    b"bad\xff.jpg",
    b"\xc3",
    b"\xff\xfe\xe9",
    "\U0010ffff".encode(),
    b"\xed\xb3\xbf",
    b"fine.jpg",
    "\u00e9".encode(),
]
"""No UTF-8; characters that stand for such bytes in URIs; half a character as three bytes; and two that are plain."""


def test_names_that_are_no_utf8_are_listed_in_order_and_read(tmp_path: Path) -> None:
    try:
        for name in ODD_NAMES:
            (tmp_path / os.fsdecode(b"in " + name)).mkdir()
            (tmp_path / os.fsdecode(b"in " + name) / os.fsdecode(name)).write_bytes(name)
    except OSError:
        pytest.skip("the file system refuses such names")
    found = list(storage.list_objects(str(tmp_path)))
    assert len({info.path for info in found}) == len(ODD_NAMES)
    assert [info.path for info in found] == sorted((info.path for info in found), key=str.encode)
    assert sorted(storage.read_bytes(info.uri) for info in found) == sorted(ODD_NAMES)
    assert [storage.normalise(info.uri) for info in found] == [info.uri for info in found]
    with storage.open_for_read(found[-1].uri) as file:
        assert file.read() in ODD_NAMES


def test_listing_is_streamed(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        storage.create(str(tmp_path / folder / "x"), b"", durable=False)
    infos = storage.list_objects(str(tmp_path))
    assert next(infos).path == "a/x"
    storage.create(str(tmp_path / "b/y"), b"", durable=False)
    assert [info.path for info in infos] == ["b/x", "b/y"]


def test_delete_many_goes_on_after_a_failure(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(StorageError, match=r"cannot access .*folder'"):
        storage.delete_many([str(tmp_path / "folder"), str(tmp_path / "a")])
    assert listed(tmp_path) == []
    assert (tmp_path / "folder").is_dir()


def test_a_link_whose_answer_was_lost_is_known_as_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What an NFS client does when it repeats a request that the server had done already.
    real_link = os.link

    def link_twice(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        real_link(source, target, follow_symlinks=follow_symlinks)
        real_link(source, target, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", link_twice)
    assert storage.create(str(tmp_path / "a"), b"x")
    assert not storage.create(str(tmp_path / "a"), b"x")


def test_losing_the_race_at_the_last_moment_is_losing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_link = os.link

    def link_after_another(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        target.write_bytes(b"theirs")
        real_link(source, target, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(os, "link", link_after_another)
    assert not storage.create(str(tmp_path / "a"), b"mine")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"theirs")]


def test_a_file_system_without_hard_links_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path, *, follow_symlinks: bool) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(
        StorageError, match="file system must have hard links for create-only writes, got 'Operation not"
    ):
        storage.create(str(tmp_path / "a"), b"x")
    assert list(tmp_path.iterdir()) == []


def test_errors_survive_the_way_between_processes(tmp_path: Path) -> None:
    (outcome,) = storage.read_many([str(tmp_path / "absent")])
    assert isinstance(outcome, StorageError)
    copied = pickle.loads(pickle.dumps(outcome))
    assert (type(copied), str(copied), copied.uri) == (type(outcome), str(outcome), outcome.uri)
