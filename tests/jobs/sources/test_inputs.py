from __future__ import annotations

import os
from pathlib import Path

import pytest

from inference_core import storage
from inference_core.errors import ConfigError
from jobs.sources.image_ref import ImageRef
from jobs.sources.inputs import Inputs, SourceOptions, input_prefixes, matches
from tests.drawn_images import write
from tests.s3_loopback import S3Server

EVERYTHING = ("*",)
HIDDEN = (".*", "*/.*")


def listed(
    *inputs: str | Path,
    include: tuple[str, ...] = EVERYTHING,
    exclude: tuple[str, ...] = HIDDEN,
    output: str = "/o",
    options: SourceOptions | None = None,
) -> list[ImageRef | None]:
    uris = [storage.normalise(str(entry)) for entry in inputs]
    return list(
        Inputs(uris, include=include, exclude=exclude, output=storage.normalise(output), options=options).list()
    )


def ids(found: list[ImageRef | None]) -> list[str]:
    return [entry.image_id for entry in found if entry is not None]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Names of every kind."""
    for name in ("a.jpg", "b/a.jpg", "b/c/d.PNG", ".hidden.jpg", "b/.git/x.jpg", "b.txt", "_SUCCESS"):
        write(tmp_path / "in" / name, b"12345")
    return tmp_path / "in"


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    assert listed(tmp_path) == []


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert listed(tmp_path / "gone") == []


@pytest.mark.parametrize(
    ("include", "exclude", "wanted"),
    [
        pytest.param(EVERYTHING, HIDDEN, ["_SUCCESS", "a.jpg", "b.txt", "b/a.jpg", "b/c/d.PNG"], id="no-hidden-files"),
        pytest.param(
            EVERYTHING,
            (),
            [".hidden.jpg", "_SUCCESS", "a.jpg", "b.txt", "b/.git/x.jpg", "b/a.jpg", "b/c/d.PNG"],
            id="all",
        ),
        pytest.param(("*.jpg",), HIDDEN, ["a.jpg", "b/a.jpg"], id="a-star-crosses-slashes"),
        pytest.param(("a.jpg",), HIDDEN, ["a.jpg"], id="a-whole-path"),
        pytest.param(("*.jpg", "*.PNG"), HIDDEN, ["a.jpg", "b/a.jpg", "b/c/d.PNG"], id="several"),
        pytest.param(("*.png",), HIDDEN, [], id="case-counts"),
        pytest.param(EVERYTHING, ("b/*",), [".hidden.jpg", "_SUCCESS", "a.jpg", "b.txt"], id="exclude-a-folder"),
        pytest.param((), HIDDEN, [], id="nothing-included"),
    ],
)
def test_globs(tree: Path, include: tuple[str, ...], exclude: tuple[str, ...], wanted: list[str]) -> None:
    found = listed(tree, include=include, exclude=exclude)
    assert ids(found) == wanted
    assert found.count(None) == 7 - len(wanted)


def test_a_file_is_told_with_its_uri_size_and_tag(tree: Path) -> None:
    (found,) = listed(tree / "a.jpg")
    assert found is not None
    assert (found.image_id, found.uri, found.size_bytes) == ("a.jpg", f"file://{tree}/a.jpg", 5)
    before = found.etag
    os.utime(tree / "a.jpg", ns=(1, 1))
    (found,) = listed(tree / "a.jpg")
    assert found is not None
    assert found.etag != before


def test_several_inputs_come_in_their_order_under_their_names(tree: Path, tmp_path: Path) -> None:
    write(tmp_path / "more" / "a.jpg", b"1")
    assert ids(listed(tmp_path / "more", tree, include=("*.jpg",))) == ["more/a.jpg", "in/a.jpg", "in/b/a.jpg"]


@pytest.mark.parametrize("other", ["in", "in/", "./in/."])
def test_inputs_of_one_name_are_refused_because_ids_would_collide(tree: Path, other: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"input: must have distinct last names, got in more than once; rename"):
        listed(tree, tmp_path / "elsewhere" / other)


def test_the_output_is_left_out_where_it_lies_in_the_input(tree: Path) -> None:
    write(tree / "out" / "data" / "part.parquet", b"")
    write(tree / "outside.jpg", b"")
    found = ids(listed(tree, output=str(tree / "out")))
    assert "outside.jpg" in found
    assert not [name for name in found if name.startswith("out/")]


def test_an_output_with_a_slash_at_its_end_is_left_out_too(s3_bucket: str, s3_server: S3Server) -> None:
    s3_server.fill(f"{s3_bucket}/slash", ["a.png", "out/manifest.parquet"])
    assert ids(listed(f"{s3_bucket}/slash", output=f"{s3_bucket}/slash/out/")) == ["a.png"]


def test_each_input_must_hold_something(tree: Path) -> None:
    with pytest.raises(ConfigError, match="tyop"):
        listed(tree, tree.parent / "tyop")


def test_a_file_among_several_inputs_has_its_name_as_id(tree: Path) -> None:
    assert ids(listed(tree / "b", tree / "a.jpg", include=("*.jpg",))) == ["b/a.jpg", "a.jpg"]


HOSTILE_NAMES = [
    "with space.jpg",
    "quote'\"`$(x).jpg",
    "new\nline\r\ttab.jpg",
    "100%25.jpg",
    "plus+hash#query?.jpg",
    "back\\slash.jpg",
    "*[a]?.jpg",
    "漢字-é-e\u0301-🖼.jpg",
    "\u202egpj.exe",
    "-rf.jpg",
    "..jpg",
    "n" * 255,
]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_hostile_name_is_an_id_and_leads_back_to_its_file(tmp_path: Path, name: str) -> None:
    write(tmp_path / "in" / "f o%20o" / name, b"content")
    (found,) = listed(tmp_path / "in", exclude=())
    assert found is not None
    assert found.image_id == f"f o%20o/{name}"
    assert storage.read_bytes(found.uri) == b"content"


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_a_hostile_name_can_be_an_input_of_its_own(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, b"content")
    assert ids(listed(tmp_path / name, exclude=())) == [name]


def test_a_name_that_is_no_utf8_is_an_image_that_is_read(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.jpg"))).write_bytes(b"content")
    (found,) = listed(tmp_path)
    assert found is not None
    assert found.image_id.encode().endswith(b".jpg")
    assert storage.read_bytes(found.uri) == b"content"


def test_a_signature_is_not_part_of_an_id(tmp_path: Path) -> None:
    write(tmp_path / "a.jpg?X-Amz-Signature=abc", b"content")
    (found,) = listed(tmp_path)
    assert found is not None
    assert found.image_id == "a.jpg?X-Amz-Signature=***"
    assert storage.read_bytes(found.uri) == b"content"


@pytest.mark.parametrize(
    ("path", "globs", "expected"),
    [
        ("a.jpg", (), False),
        ("a.jpg", ("*",), True),
        ("a/b/c.jpg", ("*.jpg",), True),
        ("a/b/c.jpg", ("b/*",), False),
        ("[x].jpg", ("[x].jpg",), False),
        ("[x].jpg", ("[[]x].jpg",), True),
        (".hidden", HIDDEN, True),
        ("a/.hidden/b", HIDDEN, True),
        ("a.hidden", HIDDEN, False),
    ],
)
def test_matches(path: str, globs: tuple[str, ...], expected: bool) -> None:
    assert matches(path, globs) is expected


def test_one_input_needs_no_prefix() -> None:
    assert input_prefixes(["s3://bucket/x"]) == [""]
    assert input_prefixes(["s3://bucket/x/", "s3://bucket"]) == ["x/", "bucket/"]


def test_an_input_inside_another_is_refused(tree: Path) -> None:
    with pytest.raises(ConfigError, match=r"input: must not lie inside each other, got .*/b in "):
        listed(tree, tree / "b")
