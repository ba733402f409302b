"""What requests and answers look like in JSON, for the check of bodies and for ``/openapi.json``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inference_core.status import Status
from inference_core.verdict import Verdict

# The smallest PNG: one white pixel. Examples are requests that work.
TINY_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="


class Body(BaseModel):
    """Base of what is read: unknown keys are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ImageInput(Body):
    """One image: its bytes, or a URI below a prefix that the service allows."""

    data: Annotated[str, Field(description="The file's bytes as base64; a data: URL is read, too.")] | None = None
    uri: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    image_id: Annotated[str, Field(max_length=1024, description="Comes back with the answer.")] = ""

    @model_validator(mode="after")
    def _check_source(self) -> Self:
        if (self.data is None) == (self.uri is None):
            raise ValueError("give either data or uri")
        return self


class PredictBody(Body):
    """Several images in one call; the answers come in the same order."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"images": [{"image_id": "white", "data": TINY_PNG}], "top_k": 1}]}
    )

    images: Annotated[list[ImageInput], Field(min_length=1)]
    model: Annotated[str, Field(max_length=63)] = ""
    top_k: Annotated[int, Field(ge=1, le=100_000)] | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    views: Annotated[int, Field(ge=1, le=1000)] | None = None
    probabilities: bool = False
    mask: bool = False
    uncertainty: bool = False


class Answered(BaseModel):
    """Base of what is written."""

    model_config = ConfigDict(frozen=True)


class Timings(Answered):
    """Milliseconds."""

    fetch_ms: float
    prepare_ms: float
    queue_ms: float
    """Waiting between prepare and infer."""
    infer_ms: float
    finish_ms: float
    total_ms: float
    """From the headers of the request to its answer."""


class Row(Answered):
    """One image's row, as a job writes it; the columns of the task come on top (docs/output-schema.md)."""

    model_config = ConfigDict(extra="allow")

    image_id: str
    uri: str
    status: Status
    error: str
    size_bytes: int
    sha256: str
    format: str
    decoder: str
    orientation: int
    page: int
    num_pages: int
    height: int
    width: int
    frame_index: int | None
    time_s: float | None
    reused_from: str | None
    verdict: Verdict | None = None
    """Where the model's package declares ``quality``, as the next two."""
    reasons: list[str] | None = None
    """Of the rules that hold."""
    priority: float | None = None
    """How soon a person should look at it, 0 to 1."""
    fetch_ms: float
    prepare_ms: float
    infer_ms: float
    finish_ms: float


class Encoded(Answered):
    """Bytes of a stated type."""

    media_type: Literal["image/png", "application/x-npy"]
    data: str
    """Base64."""


class OneAnswer(Answered):
    """What became of one image."""

    prediction: Row
    timings: Timings
    batch_size: int
    """Images that shared the forward; 0 where there was none."""
    was_cached: bool
    mask: Encoded | None = None
    """With ``mask``: class ids as a palette PNG."""
    uncertainty: Encoded | None = None
    """With ``uncertainty``: that of each pixel times 255, as a PNG of 8-bit gray."""
    probabilities: dict[str, list[float] | Encoded] | None = None
    """With ``probabilities``: scores by name; planes as PNG of 8-bit gray or as NPY."""


class PredictAnswer(OneAnswer):
    """The answer to one image."""

    model: str
    model_digest: str
    request_id: str


class PredictAnswers(Answered):
    """The answer to several images, in their order. A bad image is a row with another status, not an error."""

    model: str
    model_digest: str
    request_id: str
    predictions: list[OneAnswer]
    total_ms: float


class FieldMistake(Answered):
    """One mistake in a body."""

    field: str
    message: str


class Problem(Answered):
    """What was refused, and what to do (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:millrace:problem:unknown-model",
                    "title": "Unknown model",
                    "status": 404,
                    "detail": "model must be one of mobilenet, got 'resnet'; GET /v1/models lists them",
                    "request_id": "9f0c2a7be1d34c55",
                }
            ]
        }
    )

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    image_status: Status | None = None
    """Of an image that cannot be used."""
    record: Row | None = None
    """Its row, as a job would write it."""
    errors: list[FieldMistake] | None = None
    retry_after_s: int | None = None
    error: str | None = None
    """Below ``/v2`` the detail once more, where clients of that protocol look for it."""


class ModelAnswer(Answered):
    """One served model."""

    name: str
    digest: str
    version: str
    task: Literal["classification", "multilabel", "detection", "segmentation", "embedding"]
    classes: list[str]
    engine: str
    input_hw: tuple[int, int] | None
    num_channels: int
    is_ready: bool
    is_default: bool
    options: dict[str, Any]
    accepts: list[str]
    """What ``Accept`` may ask for."""
    spec: dict[str, Any]
    """The package's ``model.yaml`` with its defaults."""


class ModelsAnswer(Answered):
    """All served models, the default one first."""

    models: list[ModelAnswer]


class Health(Answered):
    """Whether the service lives, or can answer."""

    status: Literal["live", "ready", "not ready"]
    models: dict[str, bool] | None = None
    """Readiness by model."""
