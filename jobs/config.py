"""A job's settings: what to run, on what, where to, and how hard."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from inference_core import storage
from inference_core.enhance_spec import DropoutSpec, ShortTta, TtaSpec
from inference_core.export.annotation_format import AnnotationFormat
from inference_core.export.mask_files import MapFormat, MapKind, MaskChoice
from inference_core.images import Limits
from inference_core.preparer import MAX_FIT_PIXELS
from inference_core.quality_spec import QualitySpec, ShortStatistics, StatisticsSpec
from inference_core.validation import Frac, Frozen, PositiveInt
from inference_core.video.smooth import Smoothing
from jobs.sources.inputs import SourceKind, SourceOptions

NonNegativeInt = Annotated[int, Field(ge=0)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]

DEFAULT_LIMITS = Limits()
MAX_EXPLAINED = 500
"""Images of a run: explanations are for people, and one process makes them."""


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
    budget_gb: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
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
    frames_per_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["all"] = 1.0
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


class ExecutionConfig(Frozen):
    """How the run uses the machine. Only ``engine``, ``precision``, ``precision_guard``, ``batch_size``,
    ``duplicates``, ``compile`` and ``cuda_graphs`` can change results, in the last bits.
    """

    layout: Literal["auto", "split", "whole"] = "auto"
    """``split``: CPU tasks prepare, GPU actors infer. ``whole``: one actor per core does everything."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda)$")] = "auto"
    """Where actors infer. ``auto``: on CUDA where the actor itself sees a device, else on its CPU; GPUs are reserved
    where the cluster has them. ``cuda``: an actor without a device is an error. ``cpu``: no GPU is reserved."""
    engine: Literal["default", "auto", "torch", "onnxruntime", "tensorrt", "openvino", "litert"] = "default"
    """What runs the model. ``default``: the format's own; ``auto``: the fastest, measured once on images of the input,
    that answers as the default does. The choice is kept in the plan."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    precision_guard: Literal["fall_back", "warn", "off"] = "fall_back"
    """A precision lower than fp32 is compared with fp32 on images of the input before the run. Where answers differ:
    ``fall_back`` to fp32, ``warn`` and go on, or ``off``, no comparison. What was found is kept in the plan."""
    batch_size: PositiveInt | Literal["auto"] | None = None
    """Images per forward; by default 16 on a CPU and 64 on CUDA. ``auto``: powers of two are timed on images of the
    input; the choice is kept in the plan."""
    reuse_by: Literal["sha256", "etag"] = "sha256"
    """What tells that ``reuse`` knows an image: its bytes, which are read, or ``etag``: that it lies where it lay, with
    the etag and the size that the listings of both runs have; then it is not read."""
    duplicates: Literal["once", "each"] = "once"
    """Images of a shard whose bytes are equal: inferred ``once``, or ``each``."""
    compile: bool = False
    """Engine torch: let torch compile the model, in each actor; seconds to minutes at the start, faster afterwards."""
    cuda_graphs: bool = False
    """Engine torch on CUDA: record forwards and replay them; for small models, whose many kernels take long to launch.
    """
    rows_per_shard: PositiveInt | None = None
    """Images per commit; by default from their number. Fixed by the first run."""
    actors: PositiveInt | None = None
    """Actors that infer; by default as many as the GPUs hold, or one per CPU core in the whole layout."""
    max_actors: PositiveInt | None = None
    """The pool begins with ``actors`` (by default 1) and grows up to this many while shards wait, and with it a cluster
    that can; by default it is fixed."""
    gpus_per_actor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """GPU that Ray reserves for an actor: at 0.5 two share one, each with its own copy of the model."""
    prepare_tasks: PositiveInt | None = None
    """Split layout: tasks that prepare at a time; by default from the CPUs that are left."""
    threads_per_actor: PositiveInt | None = None
    """CPU threads of one forward; by default 1 in the whole layout."""
    address: str | None = None
    """Ray cluster; by default RAY_ADDRESS, else a cluster of this machine alone."""
    num_cpus: PositiveInt | None = None
    """CPUs for this run: of a cluster that is started for it, or at most so many of one that is there; by default all.
    """
    num_gpus: Annotated[float, Field(ge=0)] | None = None
    """GPUs for this run, at most; by default all."""
    head_start: bool = True
    """Let child processes of the driver commit shards while a Ray of this machine alone starts."""
    when_running: Literal["wait", "refuse"] = "wait"
    """Where another command works on the same output: ``wait`` for its end and go on where it stopped, or ``refuse``.
    """
    image_timeout_s: Annotated[float, Field(gt=0)] = 120.0
    """In quarantine, where images are worked on that a worker died or hung on: longest step of the work on an image,
    before it becomes a row with status ``crashed``."""
    image_memory_bytes: PositiveInt = 4 * 1024**3
    """In quarantine: most memory of an image, beyond what the loaded model takes."""
    no_progress_timeout_s: Annotated[float, Field(gt=0)] = 1800.0
    """Without a commit for this long while work is left, the run ends with an error; it can be resumed."""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """Port at which the command serves Prometheus metrics while it works; 0 takes any that is free. By default none."""
    metrics_address: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """Address to serve them at: this machine alone by default, ``0.0.0.0`` for a scraper elsewhere."""
    stop_grace_s: Annotated[float, Field(ge=0)] = 2.0
    """After SIGTERM no shard is begun; those under way have this long to be committed."""

    @field_validator("max_actors")
    @classmethod
    def _check_max_actors(cls, value: int | None, info: ValidationInfo) -> int | None:
        actors = info.data.get("actors")
        if value is not None and actors is not None and value < actors:
            raise ValueError(f"must be at least execution.actors, got {value} with {actors}; raise it, or unset one")
        return value

    @property
    def fixed_batch_size(self) -> int | None:
        """The batch size that is set; None where the device's default or a measurement decides."""
        return None if self.batch_size == "auto" else self.batch_size

    @field_validator("precision_guard", mode="before")
    @classmethod
    def _read_guard(cls, value: Any) -> Any:
        return "off" if value is False else value  # as YAML reads an unquoted off

    @field_validator("batch_size", mode="before")
    @classmethod
    def _check_batch_size(cls, value: Any) -> Any:
        is_number = isinstance(value, int) and not isinstance(value, bool) and value > 0
        if value not in (None, "auto") and not is_number:
            raise ValueError(f"must be auto or a number of at least 1, got {value!r}; correct it")
        return value

    @model_validator(mode="after")
    def _check_torch_options(self) -> Self:
        asked = [name for name in ("compile", "cuda_graphs") if getattr(self, name)]
        if asked and self.engine not in ("default", "torch"):
            raise ValueError(f"engine must be default or torch with {asked[0]}, got {self.engine}; correct one")
        if self.cuda_graphs and self.device == "cpu":
            raise ValueError("device must be auto or cuda with cuda_graphs, got cpu; correct one")
        return self


class PricesConfig(Frozen):
    """What the machine costs, for ``millrace plan`` and the report; nothing is assumed of what is not given."""

    cpu_core_hour: Price | None = None
    """Of one CPU core for one hour, in any currency."""
    gpu_hour: Price | None = None
    """Of one GPU for one hour."""


class VisualsConfig(Frozen):
    """Which images of a finished run are drawn, into ``visuals/`` of the output. The policies take turns until ``max``;
    ``millrace finalize`` draws anew, also with other policies.
    """

    worst: NonNegativeInt = 0
    """So many with the lowest scores."""
    random: NonNegativeInt = 0
    """So many by chance of those that have an answer; the same ones whenever ``seed`` is the same."""
    per_class: NonNegativeInt = 0
    """So many by chance of each class that is found; of masks, of each class but the background."""
    per_error: NonNegativeInt = 0
    """So many by chance of each kind of failure; they are drawn where they can be decoded."""
    review: NonNegativeInt = 0
    """So many of the review queue, from its beginning."""
    max: NonNegativeInt = 500
    """Most images that are drawn, whatever the policies say."""
    all: bool = False
    """Draw every image besides, into ``visuals/all/``, by the driver alone: of a million images that takes hours."""
    seed: int = 0
    """Another number is another sample."""
    picture_px: PositiveInt = 800
    """Longest side of a picture, without what stands beside it."""
    thumbnail_px: PositiveInt = 256
    """Longest side of a thumbnail."""
    alpha: Frac = 0.5
    """Share of a class's colour in a pixel."""
    palette: tuple[str, ...] = ()
    """A colour for each class, as ``#rrggbb`` or a name of CSS; by default colours that the colour-blind tell apart."""

    @property
    def is_wanted(self) -> bool:
        """Whether anything is drawn."""
        policies = self.worst + self.random + self.per_class + self.per_error + self.review
        return self.all or (policies > 0 and self.max > 0)


class ExplainConfig(Frozen):
    """Whose answers are explained when the run is done, as pictures in ``explanations/`` of the output; see
    docs/explain.md. ``off`` or ``review`` for short.
    """

    images: Literal["off", "review"] = "off"
    """``review``: those of the review queue, from its beginning."""
    method: Literal["auto", "gradcam", "saliency", "integrated_gradients", "occlusion"] = "auto"
    """``auto``: Grad-CAM where the model's format has layers, else occlusion."""
    layer: str = ""
    """Of Grad-CAM: the layer's name; by default it is found."""
    max_images: Annotated[int, Field(ge=1, le=MAX_EXPLAINED)] = 20
    """Most images, one after the other in the process of the command: each takes from some hundredths of a second
    (Grad-CAM) to that of 170 forwards (occlusion)."""

    @property
    def is_wanted(self) -> bool:
        """Whether anything is explained."""
        return self.images != "off"

    @field_validator("images", mode="before")
    @classmethod
    def _read_off(cls, value: Any) -> Any:
        return "off" if value is False else value  # as YAML reads an unquoted off


class VideosConfig(Frozen):
    """How the frames of a video are summed up, in ``report/videos.csv`` and ``report/video_events.csv``, where the
    input are videos. Rows stay as they are; ``millrace finalize`` sums up anew.
    """

    smooth: Smoothing = "none"
    """Of scores over time: ``exponential``, where what was seen ``window_s`` ago counts half, or the ``median`` of the
    last ``window_s``."""
    window_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.5
    """Half-life, or length, of the smoothing in seconds."""
    event_threshold: Frac | None = None
    """From this score on, of masks from this share of the pixels on, a class shows in a frame. By default 0.5, for
    boxes 0.25, for masks 0.01."""
    min_event_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Events that are shorter are left out."""


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


RESULT_KEYS = ("input", "source", "include", "exclude", "limits", "results")
"""Settings that change what a finished run holds; a resumed run must have the same."""
AFTERWARDS = ("budget_gb", "annotations")
"""Of ``results``, what does not change the rows and the files that they name."""
EXECUTION_KEYS = ("engine", "precision", "precision_guard", "batch_size", "duplicates", "compile", "cuda_graphs")
"""Likewise of ``execution``: they change the last bits."""


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


def identity_of(config: JobConfig, *, model_digest: str) -> dict[str, Any]:
    """What makes two commands the same run: settings that change results, and the model."""
    dumped = dump_settings(config)
    execution = {key: dumped["execution"][key] for key in EXECUTION_KEYS}
    parts = {**{key: dumped[key] for key in RESULT_KEYS}, "results": results_identity(config.results)}
    return {"model_digest": model_digest, **parts, "execution": execution}


def results_identity(results: ResultsConfig) -> dict[str, Any]:
    """``masks``, and what else differs from the defaults: so new settings leave the identity of older runs alone."""
    changed = results.model_dump(mode="json", exclude_defaults=True, exclude=set(AFTERWARDS))
    return {"masks": results.masks, **changed}
