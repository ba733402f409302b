from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inference_core.errors import ConfigError, InferError, UnsupportedError
from inference_core.hook_spec import HookSpec
from inference_core.hooks.function import MAX_MESSAGE_CHARS, HookFunction, import_object
from inference_core.hooks.package_code import NO_CODE, PackageCode


def function(path: str, *, code: PackageCode = NO_CODE, **options: Any) -> HookFunction:
    return HookFunction(HookSpec(import_path=path, options=options), role="filter", key="input.filters", code=code)


def package(text: str) -> PackageCode:
    return PackageCode(files={"f.py": text.encode()}, origin="file:///tests", is_trusted=True)


def test_it_is_called_with_its_options() -> None:
    assert function("builtins:sorted", reverse=True)([1, 3, 2]) == [3, 2, 1]
    assert function("math:sqrt")(4.0) == 2.0
    assert function("collections:OrderedDict.fromkeys", value=3)(["a"]) == {"a": 3}
    assert function("./f.py:Inner.f", code=package("class Inner:\n    def f(x, *, y): return x + y\n"), y=2)(1) == 3


def test_nothing_is_imported_before_the_first_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "imported_late.py").write_text("def f(x):\n    return x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    late = function("imported_late:f")
    assert "imported_late" not in sys.modules
    assert late(3) == 3
    assert "imported_late" in sys.modules


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        pytest.param("raise ValueError('a  b\\nc')", InferError, "filter ./f.py:f raised ValueError: a b c", id="any"),
        pytest.param("assert False", InferError, "filter ./f.py:f raised AssertionError: ", id="assert"),
        pytest.param("raise ValueError('x' * 999)", InferError, "x" * MAX_MESSAGE_CHARS, id="long"),
        pytest.param(
            "from inference_core.errors import UnsupportedError\n    raise UnsupportedError('no')",
            UnsupportedError,
            "no",
            id="its-own",
        ),
    ],
)
def test_what_it_raises_is_the_images_error(body: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        function("./f.py:f", code=package(f"def f(x):\n    {body}\n"))(0)
    assert type(caught.value) is error
    assert str(caught.value).endswith(message)
    assert len(str(caught.value)) < MAX_MESSAGE_CHARS + 60


@pytest.mark.parametrize("exits", ["KeyboardInterrupt", "SystemExit"])
def test_an_end_of_the_process_is_no_image_error(exits: str) -> None:
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        function("./f.py:f", code=package(f"def f(x):\n    raise {exits}\n"))(0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("1 / 0", r"'./f.py:f' \(ZeroDivisionError: division by zero\); correct the code", id="raises"),
        pytest.param(
            "import no_such", r"No module named 'no_such'\); install .* \(for a file beside it wr", id="import"
        ),
        pytest.param("", r"must be importable, got './f.py:f' \(module .* has no attribute 'f'\)", id="absent"),
        pytest.param("f = 3", "must name a callable, got './f.py:f', a int", id="no-callable"),
    ],
)
def test_code_that_cannot_be_had(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^input.filters: .*{message}"):
        import_object("./f.py:f", key="input.filters", code=package(text))


@pytest.mark.parametrize(
    ("signature", "options", "is_taken"),
    [
        ("x", {}, True),
        ("x, *, y", {"y": 1}, True),
        ("x, y=1", {}, True),
        ("x, **more", {"z": 1}, True),
        ("", {}, False),
        ("x, y", {}, False),
        ("x", {"z": 1}, False),
        ("x", {"x": 1}, False),
    ],
    ids=str,
)
def test_options_are_checked_before_any_image(signature: str, options: dict[str, Any], is_taken: bool) -> None:
    hook = function("./f.py:f", code=package(f"def f({signature}):\n    return 'called'\n"), **options)
    if is_taken:
        assert hook(0) == "called"
    else:
        with pytest.raises(ConfigError, match=r"input.filters: ./f.py:f must take one argument and the options"):
            hook(0)
