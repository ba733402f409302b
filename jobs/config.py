"""A job's settings: what to run, on what, where to, and how hard."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from inference_core.images import Limits
from inference_core.preparer import MAX_FIT_PIXELS
from inference_core.validation import Frozen

PositiveInt = Annotated[int, Field(gt=0)]
Frac = Annotated[float, Field(ge=0, le=1)]

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

    masks: Literal["png", "none"] = "png"
    """Segmentation masks as palette PNG files, or not at all."""


class ExecutionConfig(Frozen):
    """How the run uses the machine. Only ``engine``, ``precision`` and ``batch_size`` can change results, in the last
    bits.
    """

    layout: Literal["auto", "split", "whole"] = "auto"
    """``split``: CPU tasks prepare, GPU actors infer. ``whole``: one actor per core does everything."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|cuda)$")] = "auto"
    """Where actors infer; ``auto``: CUDA where the cluster has GPUs."""
    engine: Literal["default", "auto", "torch", "onnxruntime", "tensorrt", "openvino", "litert"] = "default"
    """What runs the model. ``default``: the format's own; ``auto``: the fastest, measured once on images of the input,
    that answers as the default does. The choice is kept in the plan."""
    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    batch_size: PositiveInt | None = None
    """Images per forward; by default 16 on a CPU and 64 on CUDA."""
    rows_per_shard: PositiveInt | None = None
    """Images per commit; by default from their number. Fixed by the first run."""
    actors: PositiveInt | None = None
    """Actors that infer; by default one per GPU, or per CPU core in the whole layout."""
    prepare_tasks: PositiveInt | None = None
    """Split layout: tasks that prepare at a time; by default from the CPUs that are left."""
    threads_per_actor: PositiveInt | None = None
    """CPU threads of one forward; by default 1 in the whole layout."""
    address: str | None = None
    """Ray cluster; by default RAY_ADDRESS, else a cluster of this machine alone."""
    num_cpus: PositiveInt | None = None
    """CPUs of a cluster that is started for this run; by default all."""
    head_start: bool = True
    """Let child processes of the driver commit shards while a Ray of this machine alone starts."""
    no_progress_timeout_s: Annotated[float, Field(gt=0)] = 1800.0
    """Without a commit for this long while work is left, the run ends with an error; it can be resumed."""


class JobConfig(Frozen):
    """A whole job. Precedence: defaults, file, command line."""

    model: Annotated[str, Field(min_length=1)]
    """Folder or URI of a model package."""
    input: tuple[Annotated[str, Field(min_length=1)], ...]
    """Folders, prefixes or files; one or a list."""
    output: Annotated[str, Field(min_length=1)]
    """Folder or prefix of this run alone."""
    include: tuple[str, ...] = ("*",)
    """Globs on the path below the input; a file must match one."""
    exclude: tuple[str, ...] = (".*", "*/.*")
    """Globs on the path below the input; a file must match none. By default hidden files."""
    limits: LimitsConfig = LimitsConfig()
    results: ResultsConfig = ResultsConfig()
    max_error_frac: Frac = 0.01
    """More bad images than this share, and the command ends with exit code 3."""
    execution: ExecutionConfig = ExecutionConfig()

    @field_validator("input", mode="before")
    @classmethod
    def _read_input(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("input")
    @classmethod
    def _check_input(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must name at least one folder, got none")
        return value


RESULT_KEYS = ("input", "include", "exclude", "limits", "results")
"""Settings that change what a finished run holds; a resumed run must have the same."""


def identity_of(config: JobConfig, *, model_digest: str) -> dict[str, Any]:
    """What makes two commands the same run: settings that change results, and the model."""
    dumped = config.model_dump(mode="json")
    execution = {key: dumped["execution"][key] for key in ("engine", "precision", "batch_size")}
    return {"model_digest": model_digest, **{key: dumped[key] for key in RESULT_KEYS}, "execution": execution}
