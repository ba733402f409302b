"""What the documentation says is what the code does."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
import yaml
from pydantic import BaseModel

from inference_core.export.mask_runs import RUNS_FIELD
from inference_core.export.rows import COMMON_FIELDS, MAP_FIELD, TIME_FIELDS
from inference_core.input_spec import FIRST_OPTION
from inference_core.quality.columns import VERDICT_FIELDS, statistic_fields
from inference_core.spec import ModelSpec
from inference_core.status import STATUSES
from inference_core.tasks.build import TASKS
from inference_core.tasks.classification import SET_FIELD, ClassificationTask
from inference_core.tasks.detection import MASK_FIELDS, fields_of
from inference_core.tasks.embedding import EmbeddingTask
from inference_core.tasks.enhanced import GAIN_FIELD, PIXEL_FIELDS, SPREAD_FIELDS
from inference_core.tasks.mask_columns import COMPONENT_FIELDS, EFFECT_FIELD
from inference_core.tasks.multilabel import MultiLabelTask
from inference_core.tasks.segmentation import SegmentationTask
from inference_core.validation import all_settings_classes
from jobs.config import JobConfig
from jobs.listing import StoredListing
from jobs.manifest import MANIFEST_SCHEMA
from jobs.metrics.names import METRICS
from jobs.plan import Plan
from serve.config import ServeConfig
from tests.specs import model_spec

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PACKAGE = ROOT / "examples" / "cells" / "package" / "model.yaml"
FULL: dict[str, dict[str, Any]] = {
    "classification": {},
    "multilabel": {"task": "multilabel", "output": {"activation": "sigmoid"}},
    "detection": {"task": "detection", "output": {"decoder": {"name": "yolov8"}}},
    "segmentation": {"task": "segmentation"},
}
"""Facts of a package of each task that has statistics of its own."""
COLUMN = re.compile(r"^\| `(\w+)` \| ([^|]+?) \|", re.MULTILINE)


def statistics_of(facts: dict[str, Any], groups: Any) -> tuple[pa.Field, ...]:
    """The columns of statistics."""
    return statistic_fields(model_spec({**facts, "statistics": groups}))


IMAGE_FIELDS = statistics_of({}, ["image"])


def own_statistics(facts: dict[str, Any]) -> tuple[pa.Field, ...]:
    """All of a task but those of the image."""
    return tuple(field for field in statistics_of(facts, "full") if field not in IMAGE_FIELDS)


@pytest.fixture(scope="module")
def reference() -> ModuleType:
    """The script that writes the generated parts."""
    found = importlib.util.spec_from_file_location("write_reference", DOCS / "write_reference.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def part_of(page: str, *, after: str) -> str:
    """The text of a page between a marker and the next one."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return text.partition(after)[2].partition("<!--")[0]


def test_generated_parts_are_current(reference: ModuleType) -> None:
    stale = [path.name for path, text in reference.build_files().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run: make docs"


def test_every_key_has_a_meaning(reference: ModuleType) -> None:
    classes = [reference.settings_class(name) for name in keyed_classes()]
    blank = [f"{cls.__name__}.{key}" for cls in classes for key, text in reference.meanings_of(cls).items() if not text]
    assert not blank


def test_every_settings_class_has_its_table() -> None:
    nested = {cls.__name__ for top in (ModelSpec, JobConfig, ServeConfig) for cls in all_settings_classes(top)}
    shown_as_short_forms = {"PostprocessSpec", "GrayFilter", "StretchMinmaxFilter", "ClaheFilter", "GammaFilter"}
    assert set(keyed_classes()) == nested - shown_as_short_forms


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_no_generated_table_is_empty(page: str) -> None:
    places = re.findall(r"<!-- keys: (.*)-->\n(.*)", (DOCS / page).read_text(encoding="utf-8"))
    assert [place for place, first_line in places if first_line != "| key | value | default | meaning |"] == []


def keyed_classes() -> list[str]:
    """Classes with a generated table."""
    pages = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    return re.findall(r"<!-- keys: (\w+)", pages)


def test_every_metric_is_explained() -> None:
    table = part_of("operations.md", after="<!-- metrics -->")
    shown = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| (.*) \|$", table, re.MULTILINE)
    assert shown == [
        (metric.name, metric.kind, ", ".join(f"`{label}`" for label in metric.labels), metric.meaning)
        for metric in METRICS
    ]


@pytest.mark.parametrize("name", FIRST_OPTION)
def test_every_filter_is_explained(name: str) -> None:
    assert f"| `{name}` |" in (DOCS / "model-package.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("marker", "fields"),
    [
        pytest.param("<!-- columns: common -->", COMMON_FIELDS, id="common"),
        pytest.param("<!-- columns: classification -->", ClassificationTask.result_fields, id="classification"),
        pytest.param("<!-- columns: multilabel -->", MultiLabelTask.result_fields, id="multilabel"),
        pytest.param("<!-- columns: detection -->", fields_of(has_masks=False), id="detection"),
        pytest.param("<!-- columns: detection with masks -->", MASK_FIELDS, id="detection with masks"),
        pytest.param("<!-- columns: segmentation -->", SegmentationTask.result_fields, id="segmentation"),
        pytest.param("<!-- columns: embedding -->", EmbeddingTask.result_fields, id="embedding"),
        pytest.param("<!-- columns: effects -->", (EFFECT_FIELD,), id="effects"),
        pytest.param("<!-- columns: components -->", COMPONENT_FIELDS, id="components"),
        pytest.param("<!-- columns: spread -->", SPREAD_FIELDS, id="spread"),
        pytest.param("<!-- columns: uncertainty -->", PIXEL_FIELDS, id="uncertainty"),
        pytest.param("<!-- columns: gains -->", (GAIN_FIELD,), id="gains"),
        pytest.param("<!-- columns: conformal -->", (SET_FIELD,), id="conformal"),
        *(
            pytest.param(f"<!-- columns: statistics of {task} -->", own_statistics(facts), id=f"statistics of {task}")
            for task, facts in FULL.items()
        ),
        pytest.param("<!-- columns: statistics of the image -->", IMAGE_FIELDS, id="statistics of the image"),
        pytest.param("<!-- columns: verdict -->", VERDICT_FIELDS, id="verdict"),
        pytest.param("<!-- columns: kept planes -->", (RUNS_FIELD, MAP_FIELD), id="kept planes"),
        pytest.param("<!-- columns: times -->", TIME_FIELDS, id="times"),
        pytest.param("<!-- columns: manifest -->", tuple(MANIFEST_SCHEMA), id="manifest"),
    ],
)
def test_columns_are_those_of_the_rows(marker: str, fields: tuple[pa.Field, ...]) -> None:
    shown = COLUMN.findall(part_of("output-schema.md", after=marker))
    assert shown == [(field.name, type_text(field.type)) for field in fields]


def type_text(kind: pa.DataType) -> str:
    """An Arrow type without the name that lists give to their elements."""
    return str(kind).replace("<element: ", "<").replace("<item: ", "<")


FIELDS_OF_TASK: dict[str, tuple[pa.Field, ...]] = {
    "": (*COMMON_FIELDS, *TIME_FIELDS),
    "classification": ClassificationTask.result_fields,
    "multilabel": MultiLabelTask.result_fields,
    "detection": fields_of(has_masks=False),
    "segmentation": SegmentationTask.result_fields,
    "embedding": EmbeddingTask.result_fields,
}
"""Columns of all tasks, and those of each."""


def test_readme_tells_of_every_task() -> None:
    assert set(FIELDS_OF_TASK) - {""} == set(TASKS)


@pytest.mark.parametrize("task", FIELDS_OF_TASK)
def test_readme_names_every_column(task: str) -> None:
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| column |")[2].partition("\n\n")[0]
    rows = [line.strip("|").partition("|")[0].strip() for line in table.splitlines()[2:]]
    own = [row.partition(": ")[2] if task else row for row in rows if row.startswith(f"{task}: " if task else "`")]
    assert sorted(re.findall(r"`(\w+)`", " ".join(own))) == sorted(field.name for field in FIELDS_OF_TASK[task])


def test_statuses_are_all_explained() -> None:
    text = (DOCS / "output-schema.md").read_text(encoding="utf-8").partition("### Status")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \| ", text, re.MULTILINE))[1:] == STATUSES


@pytest.mark.parametrize(
    ("title", "record"),
    [pytest.param("## plan.json", Plan, id="plan"), pytest.param("<!-- listing -->", StoredListing, id="listing")],
)
def test_keys_of_stored_files_are_those_of_their_records(title: str, record: type[BaseModel]) -> None:
    text = (DOCS / "output-schema.md").read_text(encoding="utf-8").partition(title)[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text.partition("| key | meaning |")[2], re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(record.model_fields)


def test_schema_takes_the_package_of_the_example() -> None:
    jsonschema.validate(read_yaml(PACKAGE.read_text(encoding="utf-8")), schema("model"))


@pytest.mark.parametrize(
    ("change", "is_valid"),
    [
        pytest.param({}, True, id="as it is"),
        pytest.param({"classes": "names.txt"}, True, id="classes in a file"),
        pytest.param({"postprocess": [{"open_px": 3}]}, True, id="short step"),
        pytest.param({"postprocess": [{"name": "open_px", "value": 3}]}, True, id="long step"),
        pytest.param({"postprocess": [{"opn_px": 3}]}, False, id="unknown step"),
        pytest.param({"postprocess": [{"fill_holes": 9}, {"clear_border": True}]}, True, id="switch or number"),
        pytest.param({"postprocess": [{"open_px": 3, "close_px": 3}]}, False, id="two steps in one"),
        pytest.param({"postprocess": [{"open_px": 3, "classes": ["cell"]}]}, True, id="step of a class"),
        pytest.param({"postprocess": [{"classes": ["cell"]}]}, False, id="classes without a step"),
        pytest.param({"components": {"max_count": 5}}, True, id="components"),
        pytest.param({"components": {"max_rows": 5}}, False, id="components with a typo"),
        pytest.param({"filters": ["gray", {"gamma": 1.2}, {"clahe": {"clip_limit": 3.0}}]}, True, id="short filters"),
        pytest.param({"filters": ["grey"]}, False, id="unknown filter"),
        pytest.param({"filters": ["gray", {"import": "a.b:c", "options": {"d": 1}}]}, True, id="filter of the user's"),
        pytest.param({"filters": [{"import": "../a.py:c"}]}, False, id="filter outside the package"),
        pytest.param({"output": {"decoder": {"import": "./a.py:b"}}}, True, id="decoder of the user's"),
        pytest.param({"output": {"decoder": {"import": "a:b", "option": {}}}}, False, id="decoder with a typo"),
        pytest.param({"postprocess": [{"import": "a:b"}, {"open_px": 3}]}, True, id="step of the user's"),
        pytest.param({"postprocess": [{"name": "hook", "import": "a:b"}]}, True, id="long step of the user's"),
        pytest.param({"postprocess": [{"import": "a"}]}, False, id="step without a function"),
        pytest.param({"architecture": {"import": "./net.py:Net"}}, True, id="architecture in the package"),
        pytest.param({"fit": "squeeze"}, False, id="unknown fit"),
        pytest.param({"sclae": 1.0}, False, id="unknown key"),
    ],
)
def test_schema_and_spec_agree(change: dict[str, Any], is_valid: bool) -> None:
    data = read_yaml(PACKAGE.read_text(encoding="utf-8"))
    top = {key: value for key, value in change.items() if key in ModelSpec.model_fields}
    data = {**data, **top, "input": {**data["input"], **{k: v for k, v in change.items() if k not in top}}}
    assert jsonschema.Draft202012Validator(schema("model")).is_valid(data) is is_valid
    if change.get("classes") != "names.txt":  # which load_package reads before the spec sees it
        assert is_accepted(ModelSpec, data) is is_valid


@pytest.mark.parametrize(
    ("data", "is_valid"),
    [
        pytest.param({"model": "m", "input": "i", "output": "o"}, True, id="least"),
        pytest.param({"model": "m", "input": ["i", "j"], "output": "o"}, True, id="two inputs"),
        pytest.param({"model": "m", "input": "i"}, False, id="no output"),
        pytest.param({"model": "m", "input": "i", "output": "o", "max_error_frac": 2}, False, id="out of range"),
        pytest.param({"model": "m", "input": "i", "output": "o", "limits": {"max_px": 1}}, False, id="unknown key"),
    ],
)
def test_schema_and_job_settings_agree(data: dict[str, Any], is_valid: bool) -> None:
    assert jsonschema.Draft202012Validator(schema("job")).is_valid(data) is is_valid
    assert is_accepted(JobConfig, data) is is_valid


def test_the_file_in_the_job_page_is_valid() -> None:
    text = (DOCS / "job-config.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    assert is_accepted(JobConfig, read_yaml(text))


def is_accepted(cls: type[BaseModel], data: dict[str, Any]) -> bool:
    """Whether a settings class takes some data."""
    try:
        cls.model_validate(data)
    except ValueError:
        return False
    return True


def schema(name: str) -> dict[str, Any]:
    """A published schema."""
    found: dict[str, Any] = json.loads((DOCS / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


def read_yaml(text: str) -> dict[str, Any]:
    """A mapping."""
    data: dict[str, Any] = yaml.safe_load(text)
    return data
