from __future__ import annotations

from typing import Any

import pytest

from inference_core.errors import ConfigError
from inference_core.hooks.named import code_digests, hooks_of, import_paths, package_files
from inference_core.hooks.package_code import NO_CODE, PackageCode
from inference_core.hooks.source import source_sha256
from inference_core.provenance import sha256_hex
from tests.specs import PLAIN_INPUT, model_spec

HOOKED: dict[str, Any] = {
    "format": "state_dict",
    "architecture": {"import": "tests.hook_functions:build_means"},
    "input": PLAIN_INPUT | {"filters": ["gray", {"import": "./f.py:a"}]},
    "output": {"decoder": {"import": "no_such_module:b"}},
    "postprocess": [{"import": "./d/s.py:c"}, {"import": "./f.py:d"}],
}


def test_a_package_without_import_paths_names_nothing() -> None:
    spec = model_spec({"format": "state_dict", "architecture": {"name": "unet"}})
    assert hooks_of(spec) == import_paths(spec) == []
    assert code_digests(spec, NO_CODE) == {}


def test_all_that_a_package_names() -> None:
    spec = model_spec(HOOKED)
    assert [hook.import_path for hook in hooks_of(spec)] == [
        "./f.py:a",
        "no_such_module:b",
        "./d/s.py:c",
        "./f.py:d",
    ]
    assert import_paths(spec)[-1] == "tests.hook_functions:build_means"
    assert package_files(import_paths(spec)) == ["d/s.py", "f.py"]


def test_digests_are_of_what_is_needed() -> None:
    files = {"f.py": b"from .g import x", "g.py": b"x = 1", "d/s.py": b"", "other.py": b"(((("}
    assert code_digests(model_spec(HOOKED), PackageCode(files=files)) == {
        "./f.py": sha256_hex(files["f.py"]),
        "./g.py": sha256_hex(files["g.py"]),
        "./d/s.py": sha256_hex(b""),
        "no_such_module": None,
        "tests.hook_functions": source_sha256("tests.hook_functions"),
    }


def test_a_digest_needs_the_files() -> None:
    with pytest.raises(ConfigError, match="must be a file of the package"):
        code_digests(model_spec(HOOKED), NO_CODE)
