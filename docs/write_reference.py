"""Write the generated parts of the documentation: the tables of keys, and the JSON schemas for editors.

python docs/write_reference.py
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from inference_core.postprocess_spec import DISCS, MAX_DISC_PX
from inference_core.quality_fields import GROUPS
from inference_core.spec import ModelSpec
from inference_core.validation import Frozen, all_settings_classes
from jobs.config import JobConfig
from serve.config import ServeConfig

DOCS = Path(__file__).resolve().parent
TABLE = re.compile(r"(<!-- keys: (\w+) (\S*?) ?-->\n).*?(<!-- end -->)", re.DOTALL)
"""A place for a table: the settings class, and what its keys are prefixed with."""

MEANINGS = {
    "ModelSpec.name": "What reports call the model; letters, digits, `_`, `.` and `-`. Not part of the model digest.",
    "ModelSpec.task": "What the model answers.",
    "ModelSpec.format": "How the weights are stored.",
    "ModelSpec.weights_sha256": "Digest of the weights, checked when the package is read.",
    "ModelSpec.architecture": "With `state_dict`, `lightning` and `timm`, and only there: the module of the weights.",
    "ModelSpec.input": "How pixels become the model's input.",
    "ModelSpec.output": "How the model's raw output is read.",
    "ModelSpec.calibration": "Adjusts scores to how often they are right.",
    "ModelSpec.postprocess": "Steps on the answer in the image's own pixels, in order: on masks, or hooks.",
    "ArchitectureSpec.options": "Keyword arguments of the factory.",
    "InputSpec.fit": "How an image of any size gets the input's size.",
    "InputSpec.interpolation": "Of the resize.",
    "InputSpec.color": "Order of the channels; `gray` is one channel of luminance.",
    "InputSpec.layout": "Order of the input's axes.",
    "InputSpec.filters": "Steps on the decoded pixels before the fit, in order.",
    "InputSpec.decode": "How a file becomes 8-bit RGB pixels.",
    "LimitsConfig.max_bytes": "Largest file.",
    "LimitsConfig.max_pixels": "Largest width times height of one page or frame.",
    "LimitsConfig.max_side_px": "Largest width or height.",
    "LimitsConfig.max_frames": "Most pages or frames in one file.",
    "JobConfig.source": "How inputs are read.",
    "JobConfig.limits": "Images over one of these become rows with status `too_large`.",
    "JobConfig.results": "What is written beside the rows.",
    "JobConfig.execution": "How the run uses the machine.",
    "ExecutionConfig.precision": "Of the forward; `auto`: fp16 on CUDA, fp32 on the CPU. An ONNX graph has its own.",
}
"""Of fields whose class does not say it in a docstring."""

SHORT_FILTERS = {
    "anyOf": [
        {"enum": ["gray", "stretch_minmax", "clahe"]},
        {
            "type": "object",
            "properties": {
                "gamma": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"$ref": "#/$defs/GammaFilter"}]},
                "clahe": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"$ref": "#/$defs/ClaheFilter"}]},
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}
SHORT_EXPLAIN = {"enum": ["off", "review", False]}
SHORT_TTA = {"type": "array", "items": {"type": "string"}, "minItems": 1}
SHORT_STATISTICS = {"anyOf": [{"enum": ["basic", "full", *GROUPS]}, {"type": "array", "items": {"enum": list(GROUPS)}}]}
STEP_VALUES: dict[str, dict[str, Any]] = {
    "fill_holes": {"anyOf": [{"type": "boolean"}, {"type": "integer", "minimum": 1}]},
    "clear_border": {"type": "boolean"},
    **{name: {"type": "integer", "minimum": 1} for name in ("min_area_px", "max_area_px", "keep_largest")},
    **{name: {"type": "integer", "minimum": 1, "maximum": MAX_DISC_PX} for name in DISCS},
}
SHORT_STEPS = {
    "type": "object",
    "properties": {**STEP_VALUES, "classes": {"type": "array", "items": {"type": "string"}}},
    "oneOf": [{"required": [name]} for name in STEP_VALUES],
    "additionalProperties": False,
}


def main() -> None:
    """Write every file that differs."""
    for path, text in build_files().items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(DOCS.parent)}")


def build_files() -> dict[Path, str]:
    """Generated files by path: the schemas whole, the pages with their tables filled in."""
    schemas = {
        "model.schema.json": model_schema(),
        "job.schema.json": job_schema(),
        "serve.schema.json": with_meanings(ServeConfig),
    }
    files = {DOCS / "schema" / name: json.dumps(schema, indent=2) + "\n" for name, schema in schemas.items()}
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text(encoding="utf-8")
        files[page] = TABLE.sub(lambda found: found[1] + key_table(found[2], prefix=found[3]) + found[4], text)
    return files


def model_schema() -> dict[str, Any]:
    """The schema of ``model.yaml``, short forms of lists included."""
    schema = with_meanings(ModelSpec)
    properties = schema["properties"]
    properties["classes"] = allow(properties["classes"], {"type": "string"})
    properties["tta"] = allow(properties["tta"], SHORT_TTA)
    properties["statistics"] = allow(properties["statistics"], SHORT_STATISTICS)
    properties["postprocess"]["items"] = allow(properties["postprocess"]["items"], SHORT_STEPS)
    filters = schema["$defs"]["InputSpec"]["properties"]["filters"]
    filters["items"] = allow(filters["items"], SHORT_FILTERS)
    return schema


def job_schema() -> dict[str, Any]:
    """The schema of a job's file, in which a list of one text may be the text."""
    schema = with_meanings(JobConfig)
    schema["properties"]["tta"] = allow(schema["properties"]["tta"], SHORT_TTA)
    schema["properties"]["statistics"] = allow(schema["properties"]["statistics"], SHORT_STATISTICS)
    schema["properties"]["explain"] = allow(schema["properties"]["explain"], SHORT_EXPLAIN)
    for name in ("input", "include", "exclude", "reuse"):
        schema["properties"][name] = allow(schema["properties"][name], {"type": "string", "minLength": 1})
    results = schema["$defs"]["ResultsConfig"]["properties"]
    results["annotations"] = allow(results["annotations"], results["annotations"]["items"])
    return schema


def allow(schema: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """A schema that accepts what either accepts and keeps the first one's description and default."""
    kept = {key: value for key, value in schema.items() if key in ("title", "description", "default")}
    return {"anyOf": [{key: value for key, value in schema.items() if key not in kept}, dict(other)], **kept}


def with_meanings(cls: type[BaseModel]) -> dict[str, Any]:
    """A class's JSON schema with what each key means, which editors show."""
    schema = cls.model_json_schema(by_alias=True)
    for name, definition in {cls.__name__: schema, **schema.get("$defs", {})}.items():
        meanings = meanings_of(settings_class(name))
        for key, entry in definition["properties"].items():
            entry.setdefault("description", meanings.get(key, "").replace("`", ""))
    return schema


def key_table(class_name: str, *, prefix: str) -> str:
    """The keys of one settings class as a Markdown table."""
    cls = settings_class(class_name)
    schema = cls.model_json_schema(by_alias=True)
    meanings = meanings_of(cls)
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, entry in schema["properties"].items():
        default = default_text(entry, is_required=key in schema.get("required", ()))
        lines.append(f"| `{prefix}{key}` | {value_text(entry)} | {default} | {meanings.get(key, '')} |")
    return "\n".join(lines) + "\n"


def settings_class(name: str) -> type[BaseModel]:
    """A settings class by its name."""
    classes = (cls for top in (ModelSpec, JobConfig, ServeConfig) for cls in all_settings_classes(top))
    return next(cls for cls in classes if cls.__name__ == name)


def meanings_of(cls: type[BaseModel]) -> dict[str, str]:
    """What each key of a class means, from the docstrings under its fields, else from MEANINGS."""
    written: dict[str, str] = {}
    for base in reversed(cls.__mro__[: cls.__mro__.index(Frozen)]):  # keys may be inherited
        written |= docstrings_of(base)
    return {
        field.alias or name: written.get(name) or MEANINGS.get(f"{cls.__name__}.{name}", "")
        for name, field in cls.model_fields.items()
    }


def docstrings_of(cls: type) -> dict[str, str]:
    """The docstrings under a class's own fields."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef), "the source of a class is a class"
    written = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            assert isinstance(below.value, ast.Constant), "an expression under a field is its docstring"
            written[field.target.id] = " ".join(str(below.value.value).replace("``", "`").split())
    return written


def value_text(entry: Mapping[str, Any]) -> str:
    """What a key takes, in a few words."""
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if "const" in entry:
        return f"`{entry['const']}`"
    if "oneOf" in entry:
        are_classes = all("$ref" in option for option in entry["oneOf"])
        return "one of those below" if are_classes else " or ".join(map(value_text, entry["oneOf"]))
    if "anyOf" in entry:
        return " or ".join(value_text(option) for option in entry["anyOf"])
    if "$ref" in entry:
        return "keys below"
    kind = str(entry.get("type", "any"))
    if kind == "array":
        return f"[{', '.join(map(value_text, entry['prefixItems']))}]" if "prefixItems" in entry else "list"
    return kind + bounds_text(entry)


def bounds_text(entry: Mapping[str, Any]) -> str:
    """The range of a number."""
    signs = {"exclusiveMinimum": "> ", "minimum": "≥ ", "exclusiveMaximum": "< ", "maximum": "≤ "}
    bounds = [f"{sign}{entry[name]:g}" for name, sign in signs.items() if name in entry]
    return f" {', '.join(bounds)}" if bounds else ""


def default_text(entry: Mapping[str, Any], *, is_required: bool) -> str:
    """A default as it would stand in YAML."""
    if is_required:
        return "required"
    value = entry.get("default")
    if isinstance(value, dict) or "default" not in entry:
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`".replace('"', "")


if __name__ == "__main__":
    main()
