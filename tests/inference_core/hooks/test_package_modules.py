from __future__ import annotations

import sys
import traceback
from typing import Any

import pytest

from inference_core.hooks.package_code import PackageCode
from inference_core.hooks.package_modules import import_package_file

ORIGIN = "s3://bucket/tests-of-package-modules"


def code_of(**files: str) -> PackageCode:
    """Files by path; ``__`` stands for a slash."""
    named = {f"{name.replace('__', '/')}.py": text.encode() for name, text in files.items()}
    return PackageCode(files=named, origin=ORIGIN, is_trusted=True)


def test_a_file_runs_once() -> None:
    code = code_of(a="VALUES = []\n")
    module = import_package_file(code, "a.py")
    module.VALUES.append(1)
    assert import_package_file(code_of(a="VALUES = []\n"), "a.py").VALUES == [1]
    assert import_package_file(code_of(a="VALUES = [] #\n"), "a.py").VALUES == []


def test_files_import_each_other_from_memory() -> None:
    code = code_of(
        a="from .b.c import VALUE\nfrom . import d\n", b__c="from ..d import VALUE\n", d="VALUE = 3\n", b__e="1 / 0"
    )
    module = import_package_file(code, "a.py")
    assert module.VALUE == module.d.VALUE == 3
    assert import_package_file(code, "b/c.py") is sys.modules[f"{module.__name__.rpartition('.')[0]}.b.c"]


def test_classes_of_a_file_can_be_pickled() -> None:
    import pickle

    module = import_package_file(code_of(a="class Thing:\n    pass\n"), "a.py")
    assert type(pickle.loads(pickle.dumps(module.Thing()))) is module.Thing


def test_an_error_shows_the_file_and_its_line() -> None:
    module = import_package_file(code_of(a="def f():\n    return 1 / 0  # the line\n"), "a.py")
    with pytest.raises(ZeroDivisionError) as caught:
        module.f()
    shown = "".join(traceback.format_exception(caught.value))
    assert f'File "{ORIGIN}/a.py", line 2, in f' in shown
    assert "1 / 0  # the line" in shown


def test_a_file_that_fails_can_be_imported_again() -> None:
    code = code_of(a="1 / 0\n")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            import_package_file(code, "a.py")


def test_an_encoding_is_heeded() -> None:
    files = {"a.py": "# -*- coding: latin-1 -*-\nNAME = 'café'\n".encode("latin-1")}
    assert import_package_file(PackageCode(files=files, origin=ORIGIN), "a.py").NAME == "café"


@pytest.mark.parametrize("name", ["other", "a.b"])
def test_what_is_not_among_the_files_is_not_found(name: str) -> None:
    code = code_of(a="VALUE = 1\n")
    root = import_package_file(code, "a.py").__name__.rpartition(".")[0]
    with pytest.raises(ModuleNotFoundError):
        __import__(f"{root}.{name}")


def test_nothing_is_written(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    import_package_file(code_of(a="WRITTEN = 'nothing'\n"), "a.py")
    assert list(tmp_path.iterdir()) == []
