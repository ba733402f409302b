from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.errors import StorageError
from inference_core.storage.uris import (
    is_local,
    join,
    local_path,
    mask_secrets,
    normalise,
    scheme_of,
    split_bucket_key,
)

names = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1).filter(
    lambda s: s not in (".", "..")
)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        pytest.param("/", "file:///", id="root"),
        pytest.param("/a/b.jpg", "file:///a/b.jpg", id="absolute"),
        pytest.param("/a//b/./c/../d/", "file:///a/b/d", id="untidy"),
        pytest.param("file:///a/b", "file:///a/b", id="file-uri"),
        pytest.param("FILE:///a/../b", "file:///b", id="file-uri-untidy"),
        pytest.param("local:///a", "file:///a", id="other-spelling"),
        pytest.param("/a/100%.jpg", "file:///a/100%.jpg", id="percent-is-a-percent"),
        pytest.param("/a/b c#d?e.jpg", "file:///a/b c#d?e.jpg", id="reserved-characters"),
        pytest.param("s3://bucket", "s3://bucket", id="bucket"),
        pytest.param("S3A://bucket/a//b/../c/", "s3://bucket/a//b/../c/", id="keys-are-opaque"),
        pytest.param("gs://bucket/x", "gs://bucket/x", id="other-scheme"),
        pytest.param("http://user@host/x?y=1", "http://user@host/x?y=1", id="http"),
        pytest.param("abfs://box@account.net/a:b@c", "abfs://box@account.net/a:b@c", id="a-container-is-no-secret"),
    ],
)
def test_normalise(uri: str, expected: str) -> None:
    assert normalise(uri) == expected
    assert normalise(expected) == expected


def test_a_relative_path_is_resolved_against_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert normalise("a/../b.jpg") == f"file://{tmp_path}/b.jpg"
    assert normalise(".") == f"file://{tmp_path}"


def test_a_tilde_is_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert normalise("~/data") == "file:///home/someone/data"
    assert normalise("/x/~/data") == "file:///x/~/data"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        pytest.param("", "uri must be a path or a URI", id="empty"),
        pytest.param("/a\0b", "uri must be a path or a URI", id="nul"),
        pytest.param("s3://", r"uri must name a bucket, got 's3://'; write s3://bucket/key", id="no-bucket"),
        pytest.param("s3:///key", "uri must name a bucket", id="empty-bucket"),
        pytest.param(
            "s3://AKIA:secret@bucket/k", r"must not carry credentials, got 's3://\*\*\*@bucket/k'", id="password"
        ),
    ],
)
def test_normalise_refuses(uri: str, message: str) -> None:
    with pytest.raises(StorageError, match=message) as caught:
        normalise(uri)
    assert "secret" not in str(caught.value)


@given(st.lists(names, min_size=1, max_size=4))
def test_normalise_is_idempotent_and_agrees_with_the_operating_system(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert local_path(path) == os.path.abspath(path) == local_path(normalise(path))  # noqa: PTH100 - the oracle
    assert normalise(normalise(path)) == normalise(path)


@given(st.sampled_from(["file:///base", "s3://bucket", "s3://bucket/p/"]), st.lists(names, min_size=1, max_size=4))
def test_join_stays_below_and_does_not_depend_on_the_cut(base: str, parts: list[str]) -> None:
    joined = join(base, *parts)
    assert joined.startswith(base.rstrip("/") + "/")
    assert joined == join(base, "/".join(parts))
    assert normalise(joined) == joined


@pytest.mark.parametrize(
    ("uri", "parts", "expected"),
    [
        ("s3://bucket", (), "s3://bucket"),
        ("s3://bucket", ("a",), "s3://bucket/a"),
        ("s3://bucket/p/", ("a/b", "c"), "s3://bucket/p/a/b/c"),
        ("file:///", ("a",), "file:///a"),
        ("/data", ("a",), "/data/a"),
        ("memory://", ("a",), "memory://a"),
    ],
)
def test_join(uri: str, parts: tuple[str, ...], expected: str) -> None:
    assert join(uri, *parts) == expected


@pytest.mark.parametrize("part", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "a\0b"])
def test_join_refuses_what_could_escape(part: str) -> None:
    with pytest.raises(StorageError, match="part must be a relative path of plain names"):
        join("s3://bucket/run", "masks", part)


def test_local_path_refuses_remote_names_without_showing_secrets() -> None:
    with pytest.raises(StorageError, match=r"must name a local file, got 'http://\*\*\*@host/a'"):
        local_path("http://me:secret@host/a")


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("a", "file"),
        ("/a", "file"),
        ("C:/a", "file"),
        ("a:b", "file"),
        ("s3a://b", "s3"),
        ("GS://b", "gs"),
        ("zip://x::s3://b/y", "zip"),
    ],
)
def test_scheme_of(uri: str, scheme: str) -> None:
    assert scheme_of(uri) == scheme
    assert is_local(uri) == (scheme == "file")


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://b", ("b", "")),
        ("s3://b/", ("b", "")),
        ("s3://b/k?versionId=1#x", ("b", "k?versionId=1#x")),
        ("s3a://b//k/", ("b", "/k/")),
    ],
)
def test_split_bucket_key(uri: str, expected: tuple[str, str]) -> None:
    assert split_bucket_key(uri) == expected


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("", ""),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("failed: sftp://me:pw@host/a and ftp://x@y/z", "failed: sftp://***@host/a and ftp://***@y/z"),
        ("https://h/a?x=1&X-Amz-Signature=ab12&y=2", "https://h/a?x=1&X-Amz-Signature=***&y=2"),
        ("https://h/a?sig=ab%2B12", "https://h/a?sig=***"),
    ],
)
def test_mask_secrets(text: str, masked: str) -> None:
    assert mask_secrets(text) == masked
