"""What is said on ``/v1/stream`` besides frames: JSON texts, and the codes that it closes with.

    client → {"type": "hello", "model": "...", "options": {...}, "max_in_flight": 2, "drop": "stale", "mask": false}
    server → {"type": "ready", "model": "...", "model_digest": "...", ...}
    client → an encoded image as a binary message, again and again
    server → {"type": "result", "frame": 0, "prediction": {...}, "timings": {...}, "dropped": 0}
             {"type": "error", "frame": 1, "problem": {...}, "dropped": 0}
    client → {"type": "end"}
    server → {"type": "end", "frames": 2, "answered": 2, "dropped": 0}, and closes with 1000

What ends a stream early is told as an error without ``frame``, and then by the code.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError

from serve.answer_json import head_of, one_answer
from serve.answers import Answer, Options, ServedModel
from serve.errors import BodyTooLargeError, InternalError, InvalidRequestError, MalformedBodyError, ServeError
from serve.problems import problem_of
from serve.schemas import Body

DONE = 1000
TOO_BIG = 1009
INTERNAL = 1011
CODE_OFFSET = 4000
"""Other errors close with this plus the HTTP status that says the same."""
MAX_TEXT_CHARS = 16_384
SHOWN_MISTAKES = 4
NO_OBJECT = ("json_invalid", "model_type")
"""Mistakes of a text that is no JSON object at all."""


Said = TypeVar("Said", bound=Body)


class StreamOptions(Body):
    """As the query of ``/v1/predict`` has them."""

    top_k: Annotated[int, Field(ge=1, le=100_000)] | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    probabilities: bool = False
    mask: bool = False
    uncertainty: bool = False
    views: Annotated[int, Field(ge=1, le=1000)] | None = None

    def as_options(self) -> Options:
        """The same as the backend takes them."""
        return Options(
            top_k=self.top_k,
            threshold=self.threshold,
            with_probabilities=self.probabilities,
            with_mask=self.mask,
            with_uncertainty=self.uncertainty,
            views=self.views,
        )


class Hello(Body):
    """The first message of a client."""

    type: Literal["hello"] = "hello"
    model: Annotated[str, Field(max_length=63)] = ""
    options: StreamOptions = StreamOptions()
    max_in_flight: Annotated[int, Field(ge=1)] = 2
    """Frames that are being predicted at once; one more waits."""
    drop: Literal["stale", "never"] = "stale"
    """stale: a frame that comes takes the place of the one that waits; never: its sender waits instead."""
    image_id: Annotated[str, Field(max_length=512)] = ""
    """What the ids of the frames begin with."""


class End(Body):
    """The last message of a client: answer what there is, then close."""

    type: Literal["end"]


def read_hello(text: str, *, max_in_flight: int) -> Hello:
    """The first message.

    Args:
        text: as sent.
        max_in_flight: the most that the service allows; who asks for more gets this.

    Raises:
        MalformedBodyError: it is no JSON object.
        InvalidRequestError: a key is unknown or a value out of range.
    """
    hello = _read(Hello, text, name="hello")
    return hello.model_copy(update={"max_in_flight": min(hello.max_in_flight, max_in_flight)})


def check_end(text: str) -> None:
    """Raise like ``read_hello`` unless a text after the first is the end."""
    _read(End, text, name="message")


def _read(kind: type[Said], text: str, *, name: str) -> Said:
    if len(text) > MAX_TEXT_CHARS:
        raise MalformedBodyError(f"{name} must be at most {MAX_TEXT_CHARS} characters, got {len(text)}; shorten it")
    try:
        return kind.model_validate_json(text)
    except ValidationError as exc:
        found = exc.errors(include_url=False, include_context=False)[:SHOWN_MISTAKES]
        first = found[0]
        if first["type"] in NO_OBJECT:
            raise MalformedBodyError(
                f"{name} must be a JSON object, got a mistake: {first['msg']}; correct it"
            ) from exc
        errors = [{"field": ".".join(map(str, item["loc"]))[:80], "message": item["msg"]} for item in found]
        raise InvalidRequestError(
            f"{name} must be one that docs/serving.md shows, got a mistake in {errors[0]['field'] or name}: "
            f"{first['msg']}; correct it",
            errors=errors,
        ) from exc


def ready_message(
    facts: ServedModel, hello: Hello, *, max_frame_bytes: int, idle_timeout_s: float, request_id: str
) -> dict[str, Any]:
    """The answer to the hello: what holds for this stream."""
    return {
        "type": "ready",
        "model": facts.name,
        "model_digest": facts.digest,
        "task": facts.task,
        "classes": facts.classes,
        "max_in_flight": hello.max_in_flight,
        "drop": hello.drop,
        "max_frame_bytes": max_frame_bytes,
        "idle_timeout_s": idle_timeout_s,
        "request_id": request_id,
    }


def result_message(answer: Answer, *, frame: int, total_ms: float, num_dropped: int) -> dict[str, Any]:
    """What became of one frame: the same as ``/v1/predict`` tells; a frame that is no image is a row, too."""
    told = one_answer(answer, total_ms=total_ms)
    digest = head_of([answer], model=answer.model, request_id="")["model_digest"]
    return {"type": "result", "frame": frame, **told, "model_digest": digest, "dropped": num_dropped}


def error_message(error: ServeError, *, request_id: str, frame: int | None = None, num_dropped: int) -> dict[str, Any]:
    """Why a frame has no answer, or, without ``frame``, why the stream ends."""
    told: dict[str, Any] = {"type": "error"}
    if frame is not None:
        told["frame"] = frame
    return {**told, "problem": problem_of(error, request_id=request_id), "dropped": num_dropped}


def end_message(*, num_frames: int, num_answered: int, num_dropped: int) -> dict[str, Any]:
    """The sums: frames = answered + dropped."""
    return {"type": "end", "frames": num_frames, "answered": num_answered, "dropped": num_dropped}


def close_code(error: ServeError) -> int:
    """The code that a stream closes with."""
    if isinstance(error, BodyTooLargeError):
        return TOO_BIG
    return INTERNAL if isinstance(error, InternalError) else CODE_OFFSET + error.http_status
