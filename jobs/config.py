"""A job's settings: what to run, on what, where to, and how hard."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from inference_core import storage
from inference_core.enhance_spec import DropoutSpec, ShortTta, TtaSpec
from inference_core.export.annotation_format import AnnotationFormat
from inference_core.export.mask_files import MapFormat, MapKind, MaskChoice
from inference_core.images import Limits
from inference_core.preparer import MAX_FIT_PIXELS
from inference_core.quality_spec import QualitySpec, ShortStatistics, StatisticsSpec
from inference_core.validation import Frac, Frozen, PositiveFloat, PositiveInt
from jobs.afterwards_config import ExplainConfig, PricesConfig, VideosConfig, VisualsConfig
from jobs.execution_config import ExecutionConfig
from jobs.sources.inputs import SourceKind, SourceOptions

DEFAULT_LIMITS = Limits()


class LimitsConfig(Frozen):
    """Images over one of these become rows with status ``too_large``."""

    max_bytes: PositiveInt = DEFAULT_LIMITS.max_bytes
    max_pixels: PositiveInt = DEFAULT_LIMITS.max_pixels
    max_side_px: PositiveInt = DEFAULT_LIMITS.max_side_px
    max_frames: PositiveInt = DEFAULT_LIMITS.max_frames
    max_fit_pixels: PositiveInt = MAX_FIT_PIXELS
    """Pixels after the fit, all tiles of an image together."""

    def to_limits(self) -> Limits:
        """The decoder's limits."""
        return Limits(
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
            max_side_px=self.max_side_px,
            max_frames=self.max_frames,
        )


class ResultsConfig(Frozen):
    """What is written beside the rows."""

    masks: MaskChoice = "png"
    """Segmentation masks as palette PNG files, PNG files of 16 bits, NumPy arrays, tiled TIFF files with the geotags of
    their image, run lengths in the rows, or not at all. Masks of instances stand in the rows unless ``none``. ``auto``:
    ``png``, or ``rle`` where that alone fits ``budget_gb``."""
    maps: MapKind = "none"
    """Segmentation: the score of each pixel's class (of two classes, of the foreground), times 255 or from 0 to 1."""
    map_format: MapFormat = "npy"
    """Of the files of these scores."""
    budget_gb: PositiveFloat | None = None
    """Most that masks and maps of the whole run may take: forecast on a sample before the work, which begins only if
    they fit. The input is listed to its end first."""
    annotations: tuple[AnnotationFormat, ...] = ()
    """Formats that a finished run is also written in, below ``annotations/``; see docs/annotations.md."""

    @field_validator("annotations", mode="before")
    @classmethod
    def _read_formats(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_budget(self) -> Self:
        if self.masks == "auto" and self.budget_gb is None:
            raise ValueError("budget_gb must be given with masks auto, got none; set it, or name a format")
        return self


class SourceConfig(Frozen):
    """How inputs are read."""

    kind: SourceKind = "auto"
    """``auto``: a file by its ending, and every file of a folder as an image. Else only files of the kind count:
    ``images`` as they are, ``tables`` that name or hold images (Parquet, CSV, JSON lines), ``tar``, ``videos``."""
    uri_column: str | None = None
    """Of tables: which column names the images; by default the first of ``uri``, ``url``, ``path``, ``file``, ..."""
    bytes_column: str | None = None
    """Of Parquet: which column holds encoded images; by default the first of ``image``, ``bytes``, ... that does."""
    frames_per_s: PositiveFloat | Literal["all"] = 1.0
    """Of videos: most frames for each second."""
    pages: Literal["first", "all"] = "first"
    """Of TIFF files: the page that the package names, or every page as an image of its own."""

    def to_options(self) -> SourceOptions:
        """The listing's options."""
        return SourceOptions(
            kind=self.kind,
            uri_column=self.uri_column,
            bytes_column=self.bytes_column,
            frames_per_s=None if self.frames_per_s == "all" else self.frames_per_s,
            all_pages=self.pages == "all",
        )


class JobConfig(Frozen):
    """A whole job. Precedence: defaults, file, command line."""

    model: Annotated[str, Field(min_length=1)]
    """Folder or URI of a model package; or what can be imported: a file, a folder, ``timm:NAME`` or ``hf:NAME``. The
    package made of it is kept in the output, below ``model/``."""
    model_facts: dict[str, Any] = Field(default_factory=dict)
    """Of a model that is no package yet: keys of ``model.yaml``, dotted or nested, and ``preset``; what the model does
    not tell itself."""
    input: tuple[Annotated[str, Field(min_length=1)], ...]
    """Folders, prefixes, files, or globs on the last part of a path; one or a list."""
    source: SourceConfig = SourceConfig()
    output: Annotated[str, Field(min_length=1)]
    """Folder or prefix of this run alone."""
    include: tuple[str, ...] = ("*",)
    """Globs on the path below the input; a file must match one."""
    exclude: tuple[str, ...] = (".*", "*/.*")
    """Globs on the path below the input; a file must match none. By default hidden files."""
    limits: LimitsConfig = LimitsConfig()
    results: ResultsConfig = ResultsConfig()
    reuse: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Outputs of earlier runs, finished or not: their answers for the same bytes by the same model are taken over, and
    not inferred again."""
    max_error_frac: Frac = 0.01
    """More bad images than this share, and the command ends with exit code 3."""
    golden: Literal["check", "record", "skip"] = "check"
    """Of a sealed package: ``check`` its golden images before the run and refuse it where they fail, ``record`` a
    failure and go on, or ``skip`` them."""
    trust_package_code: bool = False
    """Whether Python files that lie in the model package itself may be run, here and by workers."""
    tta: Annotated[TtaSpec | None, ShortTta] = None
    """Views in the place of those that the package declares; ``[identity]`` takes them away. That makes another model,
    with a digest of its own; it is kept in the output, below ``model/``."""
    dropout: DropoutSpec | None = None
    """Monte Carlo dropout in the place of what the package declares; likewise."""
    statistics: Annotated[StatisticsSpec | None, ShortStatistics] = None
    """Numbers that describe each answer, in the place of those that the package declares; likewise."""
    quality: QualitySpec | None = None
    """Rules for a verdict on each answer in the place of those that the package declares; likewise."""
    visuals: VisualsConfig = VisualsConfig()
    """Pictures of some images, drawn when the run is done."""
    explain: ExplainConfig = ExplainConfig()
    """Heatmaps of what some answers come from, made when the run is done."""
    videos: VideosConfig = VideosConfig()
    """How videos are summed up."""
    drift_reference: str | None = None
    """Output of an earlier, finished run, or its ``report/summary.json``: the report tells how far this run's scores,
    entropies, coverage and classes lie from it."""
    execution: ExecutionConfig = ExecutionConfig()
    prices: PricesConfig = PricesConfig()
    """What the machine costs, for the estimate of ``millrace plan`` and the cost in the report."""

    @field_validator("explain", mode="before")
    @classmethod
    def _read_explain(cls, value: Any) -> Any:
        return {"images": value} if isinstance(value, str | bool) else value

    @field_validator("input", "include", "exclude", "reuse", mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("input")
    @classmethod
    def _check_input(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must name at least one folder, got none")
        return value


def dump_settings(config: JobConfig) -> dict[str, Any]:
    """The settings as they are stored and shown: passwords and signatures in URIs are masked."""
    dumped: dict[str, Any] = mask_texts(config.model_dump(mode="json"))
    return dumped


def mask_texts(value: Any) -> Any:
    """JSON with the secrets in its texts masked."""
    if isinstance(value, str):
        return storage.mask_secrets(value)
    if isinstance(value, dict):
        return {key: mask_texts(part) for key, part in value.items()}
    return [mask_texts(part) for part in value] if isinstance(value, list) else value
