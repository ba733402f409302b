"""A ``multipart/form-data`` body: files are images, other fields are options.

Source: RFC 7578, Returning Values from Forms: multipart/form-data.
"""

from __future__ import annotations

from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from serve.asked import MAX_FIELDS, MAX_TEXT_CHARS, read_fields
from serve.config import RequestLimits
from serve.errors import InvalidRequestError, MalformedBodyError, UnsupportedTypeError
from serve.sent import Sent, SentImage, check_image_bytes, check_num_images

MAX_PART_HEADERS = 8
MAX_PART_HEADER_BYTES = 4096
MAX_NAME_CHARS = 255


def read_multipart(body: bytes, *, boundary: str, limits: RequestLimits) -> Sent:
    """The images and options of a form.

    Args:
        body: the whole.
        boundary: of the content type.
        limits: on images.

    Raises:
        MalformedBodyError: the body is no such form, or ends early.
        InvalidRequestError: it holds no file, or an unknown field.
        BodyTooLargeError: too many images, or one too large.
        UnsupportedTypeError: a part is encoded for mail.
    """
    form = _Form(limits)
    try:
        parser = MultipartParser(
            boundary.encode("latin-1"),
            callbacks={
                "on_part_begin": form.begin_part,
                "on_part_data": form.add_data,
                "on_part_end": form.end_part,
                "on_header_begin": form.begin_header,
                "on_header_field": form.add_header_name,
                "on_header_value": form.add_header_value,
                "on_header_end": form.end_header,
                "on_headers_finished": form.end_headers,
                "on_end": form.end,
            },
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_PART_HEADER_BYTES,
        )
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError) as exc:
        raise MalformedBodyError(
            "body must be multipart/form-data with the boundary of its content type, got another; let a library write "
            "it"
        ) from exc
    return form.sent()


class _Form:
    """Collects parts as the parser finds them.

    Args:
        limits: on images.
    """

    def __init__(self, limits: RequestLimits) -> None:
        self._limits = limits
        self._files: list[SentImage] = []
        self._fields: list[tuple[str, str]] = []
        self._is_whole = False

    def begin_part(self) -> None:
        self._headers: dict[str, str] = {}
        self._data: list[bytes] = []
        self._num_bytes = 0

    def begin_header(self) -> None:
        self._name = self._value = b""

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def end_header(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("utf-8", "replace")

    def end_headers(self) -> None:
        kind, options = parse_options_header(self._headers.get("content-disposition", ""))
        if kind != b"form-data" or b"name" not in options:
            raise MalformedBodyError(
                "part must say Content-Disposition: form-data with a name, got another; let a library write the body"
            )
        if self._headers.get("content-transfer-encoding", "binary").lower() not in ("binary", "8bit", "7bit"):
            raise UnsupportedTypeError("part must be sent as it is, got one encoded for mail; leave the encoding out")
        self._field = _text(options[b"name"])
        file_name = options.get(b"filename")
        self._file_name = None if file_name is None else _text(file_name)[:MAX_NAME_CHARS]
        if self._file_name is None:
            self._check_num_fields()
        else:
            check_num_images(len(self._files) + 1, self._limits)

    def add_data(self, data: bytes, start: int, end: int) -> None:
        self._num_bytes += end - start
        if self._file_name is not None:
            check_image_bytes(self._num_bytes, self._limits)
        elif self._num_bytes > MAX_TEXT_CHARS:
            raise InvalidRequestError(
                f"{self._field[:80]} must be at most {MAX_TEXT_CHARS} bytes, got more; send images with a filename"
            )
        self._data.append(data[start:end])

    def end_part(self) -> None:
        data = b"".join(self._data)
        if self._file_name is None:
            self._fields.append((self._field, _text(data)))
        else:
            self._files.append(SentImage(image_id=self._file_name or str(len(self._files)), data=data))

    def end(self) -> None:
        self._is_whole = True

    def sent(self) -> Sent:
        """All parts.

        Raises:
            MalformedBodyError: the last boundary did not come.
            InvalidRequestError: there is no file.
        """
        if not self._is_whole:
            raise MalformedBodyError("body must end with its boundary, got none; send the whole body")
        if not self._files:
            raise InvalidRequestError("form must hold at least one file, got none; send images with a filename")
        return Sent(images=tuple(self._files), asked=read_fields(self._fields), is_several=len(self._files) > 1)

    def _check_num_fields(self) -> None:
        if len(self._fields) == MAX_FIELDS:
            raise InvalidRequestError(f"form must hold at most {MAX_FIELDS} fields, got more; leave some out")


def _text(data: Any) -> str:
    """Text of a part, without characters that end lines in a log."""
    text = bytes(data).decode("utf-8", "replace")
    return text if text.isprintable() else "".join(char for char in text if char.isprintable())
