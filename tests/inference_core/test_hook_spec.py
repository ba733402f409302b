from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from inference_core.hook_spec import HookSpec, ImportPath, package_file, read_hook
from inference_core.output_spec import OutputSpec
from inference_core.spec import ModelSpec
from inference_core.validation import build_settings
from tests.specs import PLAIN_INPUT, model_spec, spec_data

PATHS = TypeAdapter(ImportPath)


@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("a:b", None),
        ("a.b_1.c:d.e", None),
        ("./a.py:b", "a.py"),
        ("./a/b.py:c.d", "a/b.py"),
    ],
)
def test_import_paths(path: str, file: str | None) -> None:
    assert PATHS.validate_python(path) == path
    assert package_file(path) == file


@pytest.mark.parametrize(
    "path",
    [
        *("", "a", "a:", ":b", "a.b", "a:b:c", "a..b:c", ".a:b", "a-b:c", "a b:c"),
        *("a.py/b:c", "a/b.py:c", "/a.py:b", "../a.py:b", "./../a.py:b", "./a/../b.py:c", ".//a.py:b", "././a.py:b"),
        *("./a.py", "./a.pyc:b", "./a:b", "file:///a.py:b", "s3://bucket/a.py:b", "./a.py:b\n", "a:b\n", ".\\a.py:b"),
    ],
)
def test_what_is_no_import_path(path: str) -> None:
    with pytest.raises(ValidationError, match=r"must be package\.module:function, or \./file\.py:function for a file"):
        PATHS.validate_python(path)
    assert package_file(path) is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("gray", "gray"),
        ({"gamma": 1.2}, {"gamma": 1.2}),
        ({"import": "a:b"}, {"name": "hook", "import": "a:b"}),
        ({"name": "hook", "import": "a:b"}, {"name": "hook", "import": "a:b"}),
        ({"name": "gray", "import": "a:b"}, {"name": "gray", "import": "a:b"}),
    ],
    ids=str,
)
def test_hooks_are_told_by_their_key(entry: Any, expected: Any) -> None:
    assert read_hook(entry) == expected


def test_hooks_in_every_place() -> None:
    hook = {"import": "./a.py:b", "options": {"c": [1, 2]}}
    spec = model_spec(
        {
            "task": "segmentation",
            "input": PLAIN_INPUT | {"filters": [hook, "gray", hook]},
            "output": {"decoder": hook},
            "postprocess": [hook, {"open_px": 3}],
        }
    )
    expected = HookSpec(import_path="./a.py:b", options={"c": [1, 2]})
    assert spec.input.filters[0] == spec.input.filters[2] == spec.output.decoder == spec.postprocess[0] == expected
    again = build_settings(ModelSpec, spec.model_dump(mode="json", by_alias=True), origin="test")
    assert again == spec


@pytest.mark.parametrize("task", ["classification", "multilabel", "segmentation", "embedding", "detection"])
def test_every_task_takes_a_decoder_and_steps(task: str) -> None:
    hook = {"import": "a:b"}
    facts = {"task": task, "output": {"decoder": hook, "activation": "sigmoid"}, "postprocess": [hook]}
    if task in ("detection", "embedding"):
        facts["output"] = {"decoder": hook}
    if task == "embedding":
        facts["classes"] = None
    if task == "segmentation":
        facts["classes"] = ["background", "cell"]
    assert isinstance(model_spec(facts).output.decoder, HookSpec)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"input": PLAIN_INPUT | {"filters": [{"import": "a"}]}}, "input.filters.0.import: must be", id="f"
        ),
        pytest.param(
            {"input": PLAIN_INPUT | {"filters": [{"name": "gray", "import": "a:b"}]}},
            "input.filters.0.import: is not a known key",
            id="two-kinds",
        ),
        pytest.param({"output": {"decoder": {"import": "a:b", "option": {}}}}, "did you mean 'options'", id="near"),
        pytest.param({"output": {"decoder": {"options": {}}}}, "output.decoder", id="no-import"),
        pytest.param(
            {"output": {"decoder": {"import": "a:b"}, "name": "logits"}}, "output.name and output.names must be", id="n"
        ),
        pytest.param(
            {"output": {"decoder": {"name": "yolox"}}}, "output.decoder must go with task detection, or be a h", id="t"
        ),
        pytest.param(
            {"postprocess": [{"import": "a:b", "vlaue": 1}]}, "postprocess.0.vlaue: is not a known", id="step"
        ),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    from inference_core.errors import ConfigError

    with pytest.raises(ConfigError, match=message):
        build_settings(ModelSpec, spec_data(options), origin="test")


def test_the_schema_knows_both_kinds_of_path() -> None:
    (pattern,) = {HookSpec.model_json_schema(by_alias=True)["properties"]["import"]["pattern"]}
    assert r"\.py" in pattern
    assert "hook" in str(OutputSpec.model_json_schema())
