"""Settings of a service: one file, checked before anything starts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from inference_core.validation import Frozen, PositiveFloat, PositiveInt

MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ServedModelConfig(Frozen):
    """One model of a service."""

    name: Annotated[str, Field(pattern=MODEL_NAME)] | None = None
    """How requests name it; by default the package's own name."""
    package: str
    """Folder or URI of a model package, or a short name as in ``millrace run --model``."""
    device: str = "auto"
    """auto, cpu or cuda:N; auto takes a GPU that the replica sees."""
    engine: str = "default"
    """default (the format's own), torch, onnxruntime, tensorrt, openvino or litert."""
    precision: str = "auto"
    """Of the forward: auto (fp16 on CUDA, fp32 on the CPU), fp32, fp16 or bf16."""
    batch_size: PositiveInt | None = None
    """Images per forward at most; None: 1 for each of as many forwards as there are cores on a CPU, 32 on CUDA."""
    concurrent_batches: PositiveInt | None = None
    """Forwards under way at once in one replica; None: one per core on a CPU, in all replicas of the whole layout
    together two; 2 on CUDA."""
    batch_wait_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """How long a forward that could begin waits for more images. 0 takes what waits already, which under load is a
    batch all the same."""
    max_queue: PositiveInt | None = None
    """Images that wait in one replica before others are refused; None: 4 times what is under way at most, shared out
    among the replicas of the whole layout, and enough for one call with several images. More keeps a burst of clients
    from being refused and lets them wait longer."""
    replicas: PositiveInt | None = None
    """Processes that infer with this model; with the whole layout the largest number of any model counts for all. None:
    with the whole layout one for each core, as far as memory goes, since Python does one thing at a time in a process;
    else 1."""
    max_replicas: PositiveInt | None = None
    """Autoscaling up to so many; None keeps ``replicas``."""
    gpus: Annotated[float, Field(ge=0)] | None = None
    """GPUs of one replica, fractions for a share of one; None: 1 where the cluster has GPUs, else 0."""
    num_threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads of one forward; 0: the cores, divided by the forwards that may be under way at once."""
    is_lazy: bool = False
    """Load the model with its first request, and let it go when ``max_loaded`` others are wanted."""

    @model_validator(mode="after")
    def _check_replicas(self) -> Self:
        if self.max_replicas is not None and self.max_replicas < self.num_replicas:
            raise ValueError(
                f"max_replicas must be at least replicas ({self.num_replicas}), got {self.max_replicas}; raise it"
            )
        return self

    @property
    def num_replicas(self) -> int:
        """Processes, 1 where nobody said or found out."""
        return self.replicas or 1


class HttpConfig(Frozen):
    """Where HTTP is answered, and how patiently."""

    host: str = "127.0.0.1"
    """Address to listen at; wider than loopback only with keys or ``security.allow_open``."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """0 takes a free one."""
    header_timeout_s: PositiveFloat = 5.0
    """A connection that has not sent its headers by then is closed."""
    body_timeout_s: PositiveFloat = 30.0
    """The whole body must be there by then."""
    body_idle_timeout_s: PositiveFloat = 3.0
    """So long may nothing of a body come."""
    has_page: bool = True
    """Whether a page for people stands at ``/``."""


class GrpcConfig(Frozen):
    """Where gRPC is answered."""

    is_on: bool = True
    """Whether gRPC is answered at all."""
    host: str = "127.0.0.1"
    """As for HTTP."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8001
    """0 takes a free one."""


class RequestLimits(Frozen):
    """What one request may hold; checked before anything is decoded."""

    max_body_bytes: PositiveInt = 64 * 1024 * 1024
    """Largest body, or gRPC message."""
    max_image_bytes: PositiveInt = 32 * 1024 * 1024
    """Largest encoded image."""
    max_images: PositiveInt = 32
    """Most images in one request."""
    max_pixels: PositiveInt = 50_000_000
    """Largest width times height of an image; a job's default is 100,000,000."""
    timeout_s: PositiveFloat = 30.0
    """Time for an answer; a request may ask for less with ``X-Request-Timeout-Seconds``."""
    max_connections: PositiveInt = 1024
    """Most connections of HTTP, and calls of gRPC, at once in one process."""
    max_explaining: Annotated[int, Field(ge=0)] = 4
    """Explanations that wait or are under way at once in one process; 0 gives none."""
    max_held_bytes: PositiveInt = 1024 * 1024 * 1024
    """Bodies of all requests of a process together, counted as they come; what is over it is told to come again."""


class StreamConfig(Frozen):
    """WebSocket ``/v1/stream``."""

    is_on: bool = True
    """Whether streams are answered at all."""
    max_streams: PositiveInt = 32
    """Open at once, in one process."""
    max_in_flight: PositiveInt = 8
    """Frames of one stream that may be predicted at once; a stream asks for so many or fewer."""
    idle_timeout_s: PositiveFloat = 30.0
    """A stream in which nothing comes for so long is closed."""


class SecurityConfig(Frozen):
    """Who may ask."""

    keys_file: str | None = None
    """YAML that ``millrace serve-key`` writes: names, hashes of keys, limits per minute. None asks for no key."""
    storage_allow: tuple[str, ...] = ()
    """Prefixes of URIs that requests may name instead of sending bytes; empty refuses all."""
    allow_open: bool = False
    """Bind wider than loopback without keys; else that is refused."""
    cors_origins: tuple[str, ...] = ()
    """Origins of other pages whose scripts may ask."""


class ServeConfig(Frozen):
    """A service."""

    models: Annotated[tuple[ServedModelConfig, ...], Field(min_length=1)]
    """What is served; the first one answers requests that name none."""
    layout: Literal["auto", "whole", "split"] = "auto"
    """auto: split where the cluster has GPUs, else whole. whole: one process answers and infers (CPU machines); split:
    processes that answer and prepare, and others for each model that infer (GPUs, several machines)."""
    edges: PositiveInt = 1
    """Processes that answer, with the split layout."""
    listener: Literal["direct", "serve", "haproxy"] = "direct"
    """direct: the service's own listener, without a proxy between; serve: Ray Serve's proxies on every node; haproxy:
    HAProxy in their place, which listens at every address of a machine and must be on before Ray starts there."""
    max_loaded: PositiveInt | None = None
    """Lazy models loaded at once in a process; None is all."""
    trust_package_code: bool = False
    """Whether Python files that lie in the packages themselves may be run."""
    cache_bytes: Annotated[int, Field(ge=0)] = 64 * 1024 * 1024
    """Memory for answers of equal bytes, of all replicas of the whole layout together; 0 keeps none."""
    http: HttpConfig = HttpConfig()
    """Where HTTP is answered, and how patiently."""
    grpc: GrpcConfig = GrpcConfig()
    """Where gRPC is answered."""
    stream: StreamConfig = StreamConfig()
    """The WebSocket."""
    limits: RequestLimits = RequestLimits()
    """What one request may hold."""
    security: SecurityConfig = SecurityConfig()
    """Who may ask."""
    address: str | None = None
    """Of a running Ray cluster; None starts one of this machine alone."""
    num_cpus: PositiveInt | None = None
    """CPUs of a cluster that is started."""
    access_log: Literal["none", "text", "json"] = "none"
    """A line for each request on standard output: who asked for what is not in it, only route, status and times."""
    graceful_timeout_s: PositiveFloat = 20.0
    """Time for what was accepted when the service stops or a replica is replaced."""

    @property
    def num_edges(self) -> int:
        """Processes that answer, with the whole layout."""
        return max(model.num_replicas for model in self.models)

    @model_validator(mode="after")
    def _check_open(self) -> Self:
        hosts = ("0.0.0.0" if self.listener == "haproxy" else self.http.host, self.grpc.host)
        wide = [host for host in hosts if host not in LOOPBACK]
        if wide and self.security.keys_file is None and not self.security.allow_open:
            raise ValueError(
                f"host must be loopback where no keys are asked for, got {wide[0]}; give security.keys_file, or "
                "security.allow_open: true to let everybody who reaches the port use the model"
            )
        return self
