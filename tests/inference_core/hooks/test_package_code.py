from __future__ import annotations

import pytest

from inference_core.errors import ConfigError
from inference_core.hooks.package_code import NO_CODE, PackageCode, collect_code
from inference_core.provenance import sha256_hex


def collect(*paths: str, **files: str) -> list[str]:
    """Paths that are collected; ``__`` stands for a slash."""
    given = {f"{name.replace('__', '/')}.py": text.encode() for name, text in files.items()}
    return sorted(collect_code(paths, read=given.get))


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({"a": ""}, ["a.py"], id="alone"),
        pytest.param({"a": "import numpy, b\nfrom b import c", "b": ""}, ["a.py"], id="absolute-imports-are-not-ours"),
        pytest.param({"a": "from .b import c", "b": ""}, ["a.py", "b.py"], id="module"),
        pytest.param({"a": "from . import b, c", "b": "", "c": ""}, ["a.py", "b.py", "c.py"], id="modules-by-name"),
        pytest.param({"a": "from .b.c import d", "b__c": ""}, ["a.py", "b/c.py"], id="in-a-folder"),
        pytest.param({"a": "from .b import c", "b__c": ""}, ["a.py", "b/c.py"], id="folder-by-name"),
        pytest.param({"a": "def f():\n    from .b import c", "b": ""}, ["a.py", "b.py"], id="late"),
        pytest.param({"a": "from .b import *", "b": "from .a import x"}, ["a.py", "b.py"], id="in-a-circle"),
        pytest.param({"a": "from .b import x", "b": "from .c import x", "c": ""}, ["a.py", "b.py", "c.py"], id="chain"),
    ],
)
def test_what_a_file_needs(files: dict[str, str], expected: list[str]) -> None:
    assert collect("a.py", **files) == expected


def test_upwards_within_the_package() -> None:
    assert collect("d/e.py", d__e="from ..a import x\nfrom .f import y", a="", d__f="") == ["a.py", "d/e.py", "d/f.py"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({}, r"a\.py, which model\.yaml names, must be a file of the package; add it", id="missing"),
        pytest.param({"a": "from .b import c"}, r"b/c\.py, which a\.py names, must be a file of the", id="import"),
        pytest.param({"a": "from .. import b"}, r"a\.py must import files below the package, got line 1", id="outside"),
        pytest.param({"a": "from ...b import c"}, "must import files below the package", id="far-outside"),
        pytest.param({"a": "def"}, r"a\.py must be Python, got SyntaxError: ", id="no-python"),
        pytest.param({"a": "x\0"}, r"a\.py must be Python, got (SyntaxError|ValueError): ", id="binary"),
        pytest.param({"a": "(" * 10_000}, r"a\.py must be Python, got \w+: ", id="too-deep"),
    ],
)
def test_what_cannot_be_collected(files: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        collect("a.py", **files)


def test_code_is_a_mapping_of_files() -> None:
    code = PackageCode(files={"b.py": b"2", "a.py": b"1"}, origin="s3://bucket/model")
    assert dict(code) == {"b.py": b"2", "a.py": b"1"}
    assert {**code, "w.onnx": b""}.keys() == {"a.py", "b.py", "w.onnx"}
    assert code.digests() == {"a.py": sha256_hex(b"1"), "b.py": sha256_hex(b"2")}
    assert list(code.digests()) == ["a.py", "b.py"]
    assert len(NO_CODE) == 0
    assert not NO_CODE


def test_trust_is_asked_for_by_name() -> None:
    code = PackageCode(files={"a.py": b"1"}, origin="s3://bucket/model")
    with pytest.raises(
        ConfigError, match=r"postprocess: .*'./a.py:f', code in the package s3://bucket/model: a\.py"
    ) as e:
        code.check_trust("./a.py:f", key="postprocess")
    assert sha256_hex(b"1") in str(e.value)
    assert "--trust-package-code" in str(e.value)
    PackageCode(files=code.files, origin=code.origin, is_trusted=True).check_trust("./a.py:f", key="postprocess")


@pytest.mark.parametrize(
    ("origin", "is_remote"),
    [("", False), ("file:///a/b", False), ("s3://bucket/a", True), ("memory://a", True)],
)
def test_where_code_comes_from(origin: str, is_remote: bool) -> None:
    assert PackageCode(origin=origin).is_remote is is_remote
