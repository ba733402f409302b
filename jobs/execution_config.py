"""What ``execution`` of a job says: how the run uses the machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from inference_core.validation import Frozen, PositiveInt


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
