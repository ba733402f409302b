"""The model package's ``model.yaml``: every fact that a prediction depends on, checked as a whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from inference_core.detection_spec import ROLES_OF_DECODER
from inference_core.input_spec import InputSpec
from inference_core.output_spec import TASKS_OF_OPTION, OutputSpec, TaskName
from inference_core.validation import Frozen, single_item

Format = Literal["state_dict", "torchscript", "torch_export", "onnx", "openvino", "savedmodel", "tflite", "keras"]
PostprocessName = Literal["min_area_px", "fill_holes", "open_px", "close_px"]

MAX_CLASSES = 256
"""Class maps are uint8."""


class ArchitectureSpec(Frozen):
    """Which module a state dict belongs to: a built-in name or any factory by import path."""

    name: str | None = None
    """Built-in architecture, e.g. ``unet``."""
    import_path: str | None = Field(default=None, alias="import", pattern=r"^\w+(\.\w+)*:\w+(\.\w+)*$")
    """``package.module:callable`` in the user's environment; called with ``options``, returns the module."""
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_one_source(self) -> ArchitectureSpec:
        if (self.name is None) == (self.import_path is None):
            raise ValueError("must have exactly one of 'name' and 'import'; name a built-in or an import path")
        return self


class CalibrationSpec(Frozen):
    """Adjusts confidence without changing the order of classes."""

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0


class PostprocessSpec(Frozen):
    """One step on the mask in the image's own pixels."""

    name: PostprocessName
    value: bool | int
    """Pixels; for ``fill_holes`` true or false."""

    @field_validator("value", mode="before")
    @classmethod
    def _check_value(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.data.get("name")  # absent where the name itself is wrong
        if name == "fill_holes" and not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false, got {value!r}; correct it")
        if name != "fill_holes" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{name or 'value'} must be a whole number of at least 1, got {value!r}; correct it")
        if name in ("open_px", "close_px") and value % 2 == 0:
            raise ValueError(f"{name} must be odd, the diameter of a disc, got {value}; take one more or less")
        return value


class ModelSpec(Frozen):
    """A whole ``model.yaml``."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.\-]+$")]
    task: TaskName
    format: Format
    weights: str
    """Path relative to the package, or any URI."""
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    architecture: ArchitectureSpec | None = None
    classes: tuple[str, ...] = ()
    """Names in the order of the model's output; in the file, a list or the name of a text file with one a line.
    Required but for embeddings, which have none."""
    input: InputSpec
    output: OutputSpec = OutputSpec()
    calibration: CalibrationSpec = CalibrationSpec()
    postprocess: tuple[PostprocessSpec, ...] = ()

    @field_validator("postprocess", mode="before")
    @classmethod
    def _read_postprocess(cls, value: Any) -> Any:
        return tuple(read_postprocess(entry) for entry in value) if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _check(self) -> ModelSpec:
        if bool(self.classes) == (self.task == "embedding"):
            raise ValueError(
                "classes must be absent with task embedding; remove it"
                if self.classes
                else "classes must name at least one class, got none; list them in output order"
            )
        if len(set(self.classes)) != len(self.classes):
            doubles = sorted({c for c in self.classes if self.classes.count(c) > 1})
            raise ValueError(f"classes must be distinct, got {', '.join(doubles[:5])} more than once; rename them")
        if self.format == "state_dict" and self.architecture is None:
            raise ValueError("architecture must be given with format state_dict, which holds no code; name one")
        if self.format != "state_dict" and self.architecture is not None:
            raise ValueError(f"architecture must be absent with format {self.format}, which holds it; remove it")
        if self.calibration.temperature != 1.0 and self.output.activation == "none":
            raise ValueError("calibration.temperature must be 1 with output.activation none, which has no logits")
        if self.task not in ("segmentation", "detection") and self.input.fit == "tile":
            raise ValueError("input.fit tile must go with task segmentation or detection; choose another fit")
        if self.task != "segmentation" and self.postprocess:
            raise ValueError("postprocess must go with task segmentation, whose masks it changes; remove it")
        self._check_output()
        if self.task == "segmentation":
            self._check_segmentation()
        return self

    def _check_output(self) -> None:
        for name, tasks in TASKS_OF_OPTION.items():
            field = OutputSpec.model_fields[name]
            if self.task not in tasks and getattr(self.output, name) != field.get_default(call_default_factory=True):
                raise ValueError(f"output.{name} must go with task {' or '.join(tasks)}, got {self.task}; remove it")
        if self.calibration.temperature != 1.0 and self.task in ("detection", "embedding"):
            raise ValueError(f"calibration.temperature must be 1 with task {self.task}; remove it")
        if self.task == "multilabel" and self.output.activation == "softmax":
            raise ValueError("output.activation must be sigmoid or none with task multilabel, got softmax; set it")
        if self.task == "detection" and self.output.decoder is None:
            raise ValueError("output.decoder must be given with task detection; set output.decoder: {name: ...}")
        roles = ROLES_OF_DECODER.get(self.output.decoder.name, ()) if self.output.decoder else ()
        if unknown := sorted(set(self.output.names) - set(roles)):
            known = ", ".join(roles) or "absent with this decoder, which reads one output"
            raise ValueError(f"output.names must be {known}, got {', '.join(unknown[:5])}; correct the names")
        if roles and self.output.name is not None:
            raise ValueError(f"output.name must be absent with a decoder of {len(roles)} outputs; use output.names")
        if unknown := sorted(set(self.output.thresholds) - set(self.classes)):
            raise ValueError(f"output.thresholds must name classes, got {', '.join(unknown[:5])}; correct the names")

    def _check_segmentation(self) -> None:
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(
                f"classes must be 2 to {MAX_CLASSES} for segmentation, background included, got {len(self.classes)}"
            )
        if self.output.activation == "sigmoid" and len(self.classes) != 2:
            raise ValueError("output.activation sigmoid must go with two classes in segmentation; use softmax")

    @property
    def is_binary(self) -> bool:
        """Whether the task is segmentation of one foreground class."""
        return self.task == "segmentation" and len(self.classes) == 2


def read_postprocess(entry: Any) -> Any:
    """``{min_area_px: 64}`` as the fields of a PostprocessSpec."""
    if isinstance(entry, PostprocessSpec) or (isinstance(entry, dict) and "name" in entry):
        return entry
    name, value = single_item(entry, "a postprocess step must be")
    return {"name": name, "value": value}
