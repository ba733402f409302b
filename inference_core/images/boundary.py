"""The one door around third-party decoders: whatever they raise leaves as an InputError.

Decoders raise far more than OSError (TypeError, SyntaxError, ZeroDivisionError, ... were all seen), so this
is one of the few doors of the project where ``except Exception`` stands; the others are those to the user's functions
(``hooks``) and to exporters (``convert``). Messages hold no object
addresses, so that the same bad file gives the same row in every run.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL.Image import DecompressionBombError

from inference_core.errors import DecodeError, InputError, TooLargeError, UnsupportedError

_MAX_MESSAGE_CHARS = 200
_NOISY_MODULES = re.compile(r"PIL\.|numpy\.lib\._format_impl")
_LOGGERS = ("tifffile", "PIL")
_FILTER = ("ignore", None, Warning, _NOISY_MODULES, 0)
_OBJECT = re.compile(r"<[^<>]* at 0x[0-9a-fA-F]+>")
_NOT_READ = re.compile(r"unsupported|not supported|unimplemented|cannot handle|unknown pixel mode|imagecodecs", re.I)


@contextmanager
def decoder_boundary(what: str) -> Iterator[None]:
    """Translate every error inside; ``what`` names the format in the message.

    Raises:
        TooLargeError: the decoder's own bomb check, or no memory.
        UnsupportedError: the decoder says that it does not read this variant.
        DecodeError: anything else.
    """
    silence_decoders()
    try:
        yield
    except InputError:
        raise
    except (DecompressionBombError, MemoryError) as error:
        raise TooLargeError(f"{what} must fit in memory, got {describe_error(error)}; make it smaller") from error
    except Exception as error:
        message = describe_error(error)
        if isinstance(error, NotImplementedError) or _NOT_READ.search(message):
            raise UnsupportedError(f"{what} must be of a variant that is read, got {message}; convert it") from error
        raise DecodeError(f"{what} must be a whole, valid image, got {message}; replace the file") from error


def describe_error(error: Exception) -> str:
    """Type and message of an error on one short line, the same in every run."""
    text = " ".join(_OBJECT.sub("object", str(error)).split())[:_MAX_MESSAGE_CHARS]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def silence_decoders() -> None:
    """Keep the decoders' warnings and logs out: what matters becomes an error with a message.

    A filter and a level that stay, put first again when something has changed them: ``warnings.catch_warnings`` is not
    thread-safe, and images are decoded in threads.
    """
    if not warnings.filters or warnings.filters[0] != _FILTER:
        warnings.filterwarnings("ignore", module=_NOISY_MODULES.pattern)
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not logger.level:
            logger.setLevel(logging.CRITICAL)
