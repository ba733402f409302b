from __future__ import annotations

import importlib.util
import sys
import zipfile
from pathlib import Path

import pytest

from inference_core.hooks.source import source_sha256
from inference_core.provenance import sha256_hex

SOURCE = b"raise RuntimeError('this module must not run')\n"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of modules that cannot be imported."""
    folder = tmp_path / "library"
    for name in ("lonely_module.py", "outer_pkg/__init__.py", "outer_pkg/inner.py", "space_pkg/inner.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(SOURCE + name.encode())
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.mark.parametrize(
    ("module", "file"),
    [
        ("lonely_module", "lonely_module.py"),
        ("outer_pkg", "outer_pkg/__init__.py"),
        ("outer_pkg.inner", "outer_pkg/inner.py"),
        ("space_pkg.inner", "space_pkg/inner.py"),
    ],
)
def test_the_file_that_would_run_without_running_it(library: Path, module: str, file: str) -> None:
    assert source_sha256(module) == sha256_hex((library / file).read_bytes())
    assert module.partition(".")[0] not in sys.modules


@pytest.mark.parametrize(
    "module", ["no_such_module", "outer_pkg.absent", "lonely_module.inner", "outer_pkg.inner.more", "sys", "space_pkg"]
)
def test_what_has_no_file(library: Path, module: str) -> None:
    assert source_sha256(module) is None


def test_a_module_in_a_zip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as archive:
        archive.writestr("zipped_module.py", SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path / "lib.zip"))
    assert source_sha256("zipped_module") == sha256_hex(SOURCE)


@pytest.mark.parametrize("module", ["json.decoder", "numpy.linalg", "inference_core.records", "tests.hook_functions"])
def test_it_is_what_the_import_system_finds(module: str) -> None:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    assert source_sha256(module) == sha256_hex(Path(spec.origin).read_bytes())
