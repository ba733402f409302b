from __future__ import annotations

import hashlib
import json
import platform

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference_core.provenance import canonical_json, changed_keys, digest_of, environment_versions, sha256_hex

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("data", [b"", b"abc", memoryview(b"abc")], ids=["empty", "bytes", "memoryview"])
def test_sha256_is_that_of_the_standard_library(data: bytes | memoryview) -> None:
    assert sha256_hex(data) == hashlib.sha256(bytes(data)).hexdigest()


@given(JSON_VALUES)
def test_canonical_json_reads_back(value: object) -> None:
    assert json.loads(canonical_json(value)) == value


def test_the_order_of_keys_does_not_count() -> None:
    assert canonical_json({"b": 1, "a": [1, {"d": 2, "c": "é"}]}) == '{"a":[1,{"c":"é","d":2}],"b":1}'
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})


def test_no_digest_of_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of({"a": float("nan")})


def test_versions_of_what_is_installed() -> None:
    versions = environment_versions()
    assert versions["python"] == platform.python_version()
    assert versions["numpy"] == numpy.__version__
    assert all(versions.values())


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param({}, {}, [], id="empty"),
        pytest.param({"a": 1}, {"a": 1}, [], id="equal"),
        pytest.param({"a": 1}, {"a": 2}, [("a", 1, 2)], id="changed"),
        pytest.param({"a": 1}, {}, [("a", 1, None)], id="gone"),
        pytest.param({}, {"a": 1}, [("a", None, 1)], id="new"),
        pytest.param({"b": {"d": 1, "c": 2}}, {"b": {"d": 3, "c": 4}}, [("b.c", 2, 4), ("b.d", 1, 3)], id="nested"),
        pytest.param({"b": {"c": 1}}, {"b": 5}, [("b", {"c": 1}, 5)], id="mapping-to-value"),
        pytest.param({"b": {}}, {"b": {"c": 1}}, [("b.c", None, 1)], id="into-an-empty-mapping"),
    ],
)
def test_changed_keys(
    old: dict[str, object], new: dict[str, object], expected: list[tuple[str, object, object]]
) -> None:
    assert changed_keys(old, new) == expected


@given(st.dictionaries(st.text(max_size=3), st.integers()))
def test_nothing_changed_in_itself(value: dict[str, int]) -> None:
    assert changed_keys(value, dict(value)) == []
