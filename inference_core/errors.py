"""Every error that Millrace raises on purpose, grouped by who can act on it.

    MillraceError
    ├── ConfigError            the user fixes a file or a flag
    ├── InputError             one image is bad: it becomes a row with a status and never ends a job
    │   ├── FetchError         status "fetch_error"
    │   ├── DecodeError        status "decode_error"
    │   ├── TooLargeError      status "too_large"
    │   ├── UnsupportedError   status "unsupported"
    │   ├── InferError         status "infer_error"
    │   └── OutOfMemoryError   status "oom"
    ├── ModelError             the package, its weights or its outputs break their contract
    │   ├── EngineError        the model refused one batch
    │   └── DeviceMemoryError  a batch does not fit the device; smaller batches may
    ├── ShapeError             an array has the wrong shape or dtype (also a ValueError)
    ├── StorageError           a storage operation failed after its retries
    │   └── MissingObjectError nothing is stored at the URI
    └── JobError               a run cannot go on; the same command resumes it

Wording: ``<name> must be <rule>, got <value>; <what to do>``.
"""

from __future__ import annotations

from typing import ClassVar

from inference_core.status import Status


class MillraceError(Exception):
    """Base of all errors that Millrace raises on purpose.

    ``exit_code`` is what the command line ends with when the error reaches it.
    """

    exit_code: ClassVar[int] = 1


class ConfigError(MillraceError):
    """A setting is wrong; nothing has run yet.

    Args:
        message: what must be, what was got and what to do.
        key: dotted name of the setting, "" when no single one is to blame.
    """

    exit_code = 2

    def __init__(self, message: str, *, key: str = "") -> None:
        super().__init__(f"{key}: {message}" if key else message)
        self.key = key


class InputError(MillraceError):
    """One image cannot be used. Turned into a row, never raised out of a job.

    Args:
        message: what is wrong with this image.
        uri: where it came from, "" for bytes and arrays.
    """

    status: ClassVar[Status] = "decode_error"

    def __init__(self, message: str, *, uri: str = "") -> None:
        super().__init__(message)
        self.uri = uri


class FetchError(InputError):
    """The bytes could not be read."""

    status = "fetch_error"


class DecodeError(InputError):
    """The bytes are not a whole, valid image."""

    status = "decode_error"


class TooLargeError(InputError):
    """The image is over a byte, pixel or frame limit; nothing was allocated for it."""

    status = "too_large"


class UnsupportedError(InputError):
    """The bytes are of a format or variant that is not read."""

    status = "unsupported"


class InferError(InputError):
    """The model refused this image alone, or its output is not finite."""

    status = "infer_error"


class OutOfMemoryError(InputError):
    """This image does not fit the device's memory even alone."""

    status = "oom"


class ModelError(MillraceError):
    """The package, its weights or its outputs break their contract."""

    exit_code = 2


class EngineError(ModelError):
    """The model refused one batch."""

    exit_code = 1


class DeviceMemoryError(ModelError):
    """A batch does not fit the device's memory; a smaller one may."""

    exit_code = 1


class ShapeError(MillraceError, ValueError):
    """An array has the wrong shape or dtype."""


class StorageError(MillraceError):
    """A storage operation failed after its retries.

    Args:
        message: what failed and what to do.
        uri: the object or prefix.
    """

    def __init__(self, message: str, *, uri: str = "") -> None:
        super().__init__(message)
        self.uri = uri


class MissingObjectError(StorageError):
    """Nothing is stored at the URI."""


class JobError(MillraceError):
    """A run cannot go on. What was committed stays; the same command resumes it."""
