"""The model package's ``model.yaml``: every fact that a prediction depends on, checked as a whole."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from inference_core.architecture_spec import (
    ARCHITECTURE_FORMATS,
    LAYERED_FORMATS,
    ArchitectureSpec,
    Format,
)
from inference_core.calibration_spec import CalibrationSpec
from inference_core.detection_spec import gives_masks, roles_of
from inference_core.enhance_spec import (
    ConformalSpec,
    DropoutSpec,
    EnsembleSpec,
    ShortTta,
    TtaSpec,
    UncertaintySpec,
    check_merge,
    check_views_fit,
)
from inference_core.hook_spec import HookSpec
from inference_core.input_spec import InputSpec
from inference_core.output_spec import TASKS_OF_OPTION, OutputSpec, TaskName
from inference_core.postprocess_spec import ComponentsSpec, PostprocessSpec, StepSpec, check_steps, read_postprocess
from inference_core.quality_fields import Group, Need
from inference_core.quality_spec import (
    QualitySpec,
    ShortStatistics,
    StatisticsSpec,
    Tellable,
    asked_groups,
    check_rules,
    check_statistics,
)
from inference_core.validation import Frozen

FEATURE_OUTPUTS = ("pooler_output", "mean_token", "cls_token", "image_features")
"""What an embedding of format huggingface may be: the model's own pooling, the mean of its last layer's tokens or
positions, its first token, or the projection into a space shared with text."""
MAX_CLASSES = 256
"""Class maps are uint8."""


class ModelSpec(Frozen):
    """A whole ``model.yaml``."""

    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.\-]+$")]
    task: TaskName
    format: Format
    weights: str
    """Path relative to the package, or any URI; an ensemble has none."""
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    architecture: ArchitectureSpec | None = None
    classes: tuple[str, ...] = ()
    """Names in the order of the model's output; in the file, a list or the name of a text file with one a line.
    Required but for embeddings, which have none."""
    input: InputSpec
    output: OutputSpec = OutputSpec()
    calibration: CalibrationSpec = CalibrationSpec()
    postprocess: tuple[StepSpec, ...] = ()
    components: ComponentsSpec | None = None
    """Segmentation: connected components of the finished mask, measured, and how many of them a row holds."""
    tta: Annotated[TtaSpec | None, ShortTta] = None
    """Test-time augmentation: views of the image, each seen by the model; a list of views for short."""
    dropout: DropoutSpec | None = None
    """Monte Carlo dropout: several forwards with units left out."""
    ensemble: EnsembleSpec | None = None
    """With format ``ensemble``, and only there: the models whose answers are merged."""
    uncertainty: UncertaintySpec | None = None
    """Segmentation: an uncertainty for every pixel, and what of it the rows tell."""
    conformal: ConformalSpec | None = None
    """Classification: sets of classes with a stated coverage."""
    statistics: Annotated[StatisticsSpec, ShortStatistics] = StatisticsSpec()
    """Numbers that describe each answer: ``basic``, ``full`` or a list of them for short."""
    quality: QualitySpec | None = None
    """Rules for a verdict on each answer: accept, review or reject."""

    @model_validator(mode="before")
    @classmethod
    def _read_weights(cls, data: Any) -> Any:
        is_ensemble = isinstance(data, dict) and data.get("format") == "ensemble"
        return {"weights": "", **data} if is_ensemble else data

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
        self._check_architecture()
        if self.task not in ("segmentation", "detection") and self.input.fit == "tile":
            raise ValueError("input.fit tile must go with task segmentation or detection; choose another fit")
        if self.task != "segmentation" and any(isinstance(step, PostprocessSpec) for step in self.postprocess):
            raise ValueError(
                "postprocess must go with task segmentation, whose masks it changes, or name hooks; remove it"
            )
        if self.task != "segmentation" and self.components is not None:
            raise ValueError(f"components must go with task segmentation, got {self.task}; remove it")
        self._check_output()
        if self.task == "segmentation":
            self._check_segmentation()
        self._check_forwards()
        self._check_told()
        check_statistics(self.statistics, self.tellable)
        if self.quality is not None:
            check_rules(self.quality, self.tellable)
        return self

    def _check_architecture(self) -> None:
        architecture = self.architecture
        if self.format in ARCHITECTURE_FORMATS and architecture is None:
            raise ValueError(f"architecture must be given with format {self.format}, which holds no code; name one")
        if self.format not in ARCHITECTURE_FORMATS and architecture is not None:
            raise ValueError(f"architecture must be absent with format {self.format}, which holds it; remove it")
        if architecture is not None and self.format != "lightning" and architecture.hyper_parameters is not False:
            raise ValueError("architecture.hyper_parameters must go with format lightning; remove it")
        if architecture is not None and self.format == "timm" and architecture.name is None:
            raise ValueError("architecture.name must be given with format timm; for your own, use format state_dict")
        if self.format == "huggingface" and self.task == "embedding" and self.output.name not in FEATURE_OUTPUTS:
            raise ValueError(
                f"output.name must be one of {', '.join(FEATURE_OUTPUTS)} with task embedding and format huggingface, "
                f"got {self.output.name}; set the one that is meant"
            )

    def _check_output(self) -> None:
        for name, tasks in TASKS_OF_OPTION.items():
            field = OutputSpec.model_fields[name]
            if self.task not in tasks and getattr(self.output, name) != field.get_default(call_default_factory=True):
                raise ValueError(f"output.{name} must go with task {' or '.join(tasks)}, got {self.task}; remove it")
        self._check_calibration()
        if self.task == "multilabel" and self.output.activation == "softmax":
            raise ValueError("output.activation must be sigmoid or none with task multilabel, got softmax; set it")
        if self.task == "detection" and self.output.decoder is None:
            raise ValueError("output.decoder must be given with task detection; set output.decoder: {name: ...}")
        self._check_decoder()
        self._check_masks()
        roles = roles_of(self.output.decoder) if self.output.decoder else ()
        if unknown := sorted(set(self.output.names) - set(roles)):
            known = ", ".join(roles) or "absent with this decoder, which reads one output"
            raise ValueError(f"output.names must be {known}, got {', '.join(unknown[:5])}; correct the names")
        if roles and self.output.name is not None:
            raise ValueError(f"output.name must be absent with a decoder of {len(roles)} outputs; use output.names")
        if unknown := sorted(set(self.output.thresholds) - set(self.classes)):
            raise ValueError(f"output.thresholds must name classes, got {', '.join(unknown[:5])}; correct the names")

    def _check_calibration(self) -> None:
        kind, named = self.calibration.kind, self.calibration.named_classes
        if kind is None:
            return
        if self.task in ("detection", "embedding"):
            raise ValueError(f"calibration.{kind} must be absent with task {self.task}; remove it")
        if unknown := sorted(set(named) - set(self.classes)):
            raise ValueError(f"calibration.{kind} must name classes, got {', '.join(unknown[:5])}; correct the names")
        if kind == "temperature":
            return
        if self.scores_compete:
            raise ValueError(
                f"calibration.{kind} must go with scores that do not compete (task multilabel, segmentation of two "
                "classes, or classification with output.activation sigmoid); use calibration.temperature"
            )
        if named and self.task != "multilabel":
            raise ValueError(f"calibration.{kind} must be one for all classes with task {self.task}; give one")

    def _check_decoder(self) -> None:
        output = self.output
        is_hook = isinstance(output.decoder, HookSpec)
        if output.decoder is not None and self.task != "detection" and not is_hook:
            raise ValueError(
                f"output.decoder must go with task detection, or be a hook, got {self.task}; remove it or set "
                "output.decoder: {import: ...}"
            )
        # With format huggingface the name says what the model itself gives.
        if is_hook and (output.names or (output.name is not None and self.format != "huggingface")):
            raise ValueError("output.name and output.names must be absent with a hook, which gets all outputs; remove")

    def _check_masks(self) -> None:
        for name in ("mask_px", "mask_threshold"):
            is_default = getattr(self.output, name) == OutputSpec.model_fields[name].default
            if not is_default and not gives_masks(self.output.decoder):
                raise ValueError(f"output.{name} must go with a decoder that gives masks; remove it, or set masks")

    def _check_segmentation(self) -> None:
        if not 2 <= len(self.classes) <= MAX_CLASSES:
            raise ValueError(
                f"classes must be 2 to {MAX_CLASSES} for segmentation, background included, got {len(self.classes)}; "
                "name the background too, or join classes in the model: a pixel is one byte"
            )
        check_steps(self.postprocess, self.components, classes=self.classes)
        if self.output.activation == "sigmoid" and len(self.classes) != 2:
            raise ValueError("output.activation sigmoid must go with two classes in segmentation; use softmax")

    def _check_forwards(self) -> None:
        """Views, dropout samples and members."""
        if (self.format == "ensemble") != (self.ensemble is not None):
            raise ValueError("ensemble must go with format ensemble; set both or none")
        if self.ensemble is not None and self.weights:
            raise ValueError(f"weights must be absent with format ensemble, got {self.weights}; remove it")
        if self.ensemble is not None and (self.tta is not None or self.dropout is not None):
            raise ValueError("tta and dropout must be absent with format ensemble; declare them in its members")
        if self.dropout is not None and self.format not in LAYERED_FORMATS:
            raise ValueError(
                f"dropout must go with a model whose layers can be switched (format {', '.join(LAYERED_FORMATS)}), got "
                f"format {self.format}; remove it, or use tta or an ensemble"
            )
        if self.tta is not None:
            has_square = self.input.size_hw is None or self.input.size_hw[0] == self.input.size_hw[1]
            check_views_fit(
                self.tta, is_free=self.input.fit == "native", is_square=has_square, size_hw=self.input.size_hw
            )
        for name in ("tta", "ensemble"):
            check_merge(name, getattr(self, name), task=self.task)

    def _check_told(self) -> None:
        """What is told of the answer beside it."""
        if self.uncertainty is not None and self.task != "segmentation":
            raise ValueError(f"uncertainty must go with task segmentation, got {self.task}; remove it")
        if self.uncertainty is not None and self.uncertainty.measure != "entropy" and not self.has_several_forwards:
            raise ValueError(
                f"uncertainty.measure must be entropy with a single forward, got {self.uncertainty.measure}; add tta, "
                "dropout or members, or change it"
            )
        if self.conformal is not None and not (self.task == "classification" and self.scores_compete):
            raise ValueError("conformal must go with task classification and scores that sum to 1; remove it")
        if self.conformal is not None and self.conformal.method == "lac" and self.conformal.quantile > 1:
            raise ValueError(
                f"conformal.quantile must be at most 1 with method lac, got {self.conformal.quantile}; fit it anew"
            )

    @property
    def tellable(self) -> Tellable:
        """What answers can tell of themselves in numbers."""
        has_steps = self.ensemble is not None or (self.tta is not None and len(self.tta.views) > 1)
        declared: dict[Need, bool] = {
            "forwards": self.has_several_forwards,
            "steps": has_steps,
            "conformal": self.conformal is not None,
        }
        return Tellable(
            task=self.task,
            needs=tuple(need for need, is_there in declared.items() if is_there),
            has_second=min(self.output.top_k, len(self.classes)) > 1,
        )

    @property
    def statistic_groups(self) -> tuple[Group, ...]:
        """The statistics of each answer: those declared, and those that rules ask for."""
        return asked_groups(self.statistics, self.quality, self.tellable)

    @property
    def has_several_forwards(self) -> bool:
        """Whether an answer is merged of several forwards."""
        has_views = self.tta is not None and len(self.tta.views) > 1
        return has_views or self.dropout is not None or self.ensemble is not None

    @property
    def is_enhanced(self) -> bool:
        """Whether something stands between the forward and the task."""
        return self.has_several_forwards or self.uncertainty is not None

    @property
    def scores_compete(self) -> bool:
        """Whether the scores of an image or a pixel share 1 among the classes, two-class segmentation left out, whose
        foreground has the only score.
        """
        if self.task in ("multilabel", "detection") or self.is_binary:
            return False
        return not (self.task == "classification" and self.output.activation == "sigmoid")

    @property
    def is_binary(self) -> bool:
        """Whether the task is segmentation of one foreground class."""
        return self.task == "segmentation" and len(self.classes) == 2
