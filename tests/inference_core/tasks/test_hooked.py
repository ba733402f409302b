from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference_core.errors import DeviceMemoryError, EngineError
from inference_core.hooks.package_code import PackageCode
from inference_core.tasks.build import build_task
from inference_core.tasks.classification import ClassificationTask
from tests.specs import model_spec

SCORES = np.array([[1, 2, 3], [3, 2, 1]], np.float32)


def task_of(body: str, **facts: Any) -> Any:
    text = f"import numpy as np\n\ndef f(given):\n    {body}\n"
    code = PackageCode(files={"f.py": text.encode()}, origin="file:///tests", is_trusted=True)
    return build_task(model_spec({"output": {"decoder": {"import": "./f.py:f"}}, **facts}), code=code)


def test_a_task_without_hooks_stands_alone() -> None:
    assert type(build_task(model_spec())) is ClassificationTask


def test_the_decoder_gets_all_outputs_by_name() -> None:
    task = task_of("return given['b'] - given['a']")
    reduced = task.reduce({"a": SCORES, "b": 2 * SCORES}, tile_hw=(8, 8))
    assert reduced["class_ids"][:, 0].tolist() == [2, 0]


def test_numbers_of_any_width_are_read(recwarn: Any) -> None:
    reduced = task_of("return given['a'].astype(np.float64)").reduce({"a": SCORES}, tile_hw=(8, 8))
    assert reduced["scores"].dtype == np.float32


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param("raise ValueError('no')", "decoder ./f.py:f raised ValueError: no", id="raises"),
        pytest.param("return None", "decoder ./f.py:f must give an array of numpy", id="none"),
        pytest.param("return given['a'][:, :2]", "classes must have one name for each of the model's 2", id="classes"),
        pytest.param("return given['a'][0]", r"must give \(B, K\) scores, got \[3\]", id="axes"),
    ],
)
def test_what_a_decoder_does_wrong_is_the_batchs_error(body: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        task_of(body).reduce({"a": SCORES}, tile_hw=(8, 8))


@pytest.mark.parametrize("error", ["MemoryError()", "RuntimeError('CUDA out of memory. Tried to allocate')"])
def test_a_decoder_without_memory_gets_smaller_batches(error: str) -> None:
    with pytest.raises(DeviceMemoryError):
        task_of(f"raise {error}").reduce({"a": SCORES}, tile_hw=(8, 8))


def test_the_answer_passes_through_all_steps_in_order() -> None:
    code = """
from dataclasses import replace

def first(result):
    return replace(result, entropy=result.entropy + 1)

def second(result):
    return replace(result, entropy=result.entropy * 10)
"""
    spec = model_spec({"postprocess": [{"import": f"./s.py:{name}"} for name in ("first", "second")]})
    package = PackageCode(files={"s.py": code.encode()}, origin="file:///tests", is_trusted=True)
    plain, hooked = ClassificationTask(spec), build_task(spec, code=package)
    reduced = plain.reduce({"a": SCORES}, tile_hw=(8, 8))
    raw = {name: array[:1] for name, array in reduced.items()}
    before, after = (task.finish(raw, None) for task in (plain, hooked))  # type: ignore[arg-type]
    assert after.entropy == pytest.approx(10 * (before.entropy + 1))  # type: ignore[union-attr]
    assert hooked.to_row(after)["entropy"] == after.entropy  # type: ignore[union-attr]
    assert hooked.result_fields == plain.result_fields
