from __future__ import annotations

import pytest

from serve.answers import Options
from serve.errors import (
    BodyTooLargeError,
    ForbiddenError,
    InternalError,
    InvalidRequestError,
    MalformedBodyError,
    OverloadedError,
    ServeError,
    SlowSenderError,
    UnknownModelError,
)
from serve.stream_messages import MAX_TEXT_CHARS, check_end, close_code, read_hello


def test_an_empty_hello_is_the_defaults() -> None:
    hello = read_hello("{}", max_in_flight=8)
    assert (hello.model, hello.max_in_flight, hello.drop, hello.options.as_options()) == ("", 2, "stale", Options())


def test_each_key_of_a_hello_is_taken() -> None:
    text = """{"type": "hello", "model": "m", "max_in_flight": 3, "drop": "never", "image_id": "clip",
               "options": {"top_k": 2, "threshold": 0.25, "probabilities": true, "mask": true}}"""
    hello = read_hello(text, max_in_flight=8)
    assert (hello.model, hello.max_in_flight, hello.drop, hello.image_id) == ("m", 3, "never", "clip")
    assert hello.options.as_options() == Options(top_k=2, threshold=0.25, with_probabilities=True, with_mask=True)


def test_more_in_flight_than_the_service_allows_is_what_it_allows() -> None:
    assert read_hello('{"max_in_flight": 1000}', max_in_flight=4).max_in_flight == 4


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        pytest.param("", MalformedBodyError, "hello must be a JSON object", id="empty"),
        pytest.param("[]", MalformedBodyError, "hello must be a JSON object", id="list"),
        pytest.param("nan", MalformedBodyError, "hello must be a JSON object", id="no json"),
        pytest.param("[" * 9000, MalformedBodyError, "hello must be a JSON object", id="deep"),
        pytest.param(" " * (MAX_TEXT_CHARS + 1), MalformedBodyError, "at most 16384 characters", id="long"),
        pytest.param('{"modell": ""}', InvalidRequestError, "a mistake in modell", id="unknown key"),
        pytest.param('{"drop": "all"}', InvalidRequestError, "a mistake in drop", id="unknown rule"),
        pytest.param('{"max_in_flight": 0}', InvalidRequestError, "a mistake in max_in_flight", id="none in flight"),
        pytest.param('{"max_in_flight": "2"}', InvalidRequestError, "a mistake in max_in_flight", id="text for number"),
        pytest.param('{"options": {"threshold": 2}}', InvalidRequestError, "options.threshold", id="threshold"),
        pytest.param('{"type": "end"}', InvalidRequestError, "a mistake in type", id="another message"),
    ],
)
def test_a_hello_that_is_none_says_what_is_wrong(text: str, error: type[ServeError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_hello(text, max_in_flight=8)
    assert type(caught.value) is error


def test_a_text_among_frames_must_be_the_end() -> None:
    check_end('{"type": "end"}')
    with pytest.raises(InvalidRequestError, match="message must be one that docs"):
        check_end('{"type": "hello"}')


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MalformedBodyError("x"), 4400),
        (ForbiddenError("x"), 4403),
        (UnknownModelError("x"), 4404),
        (SlowSenderError("x"), 4408),
        (InvalidRequestError("x"), 4422),
        (OverloadedError("x"), 4429),
        (BodyTooLargeError("x"), 1009),
        (InternalError("x"), 1011),
    ],
)
def test_the_close_code_says_the_same_as_the_http_status(error: ServeError, code: int) -> None:
    assert close_code(error) == code
