"""What S3 and the way to it say, as a StorageError with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import ClientError as HttpError
from botocore import exceptions as boto

from inference_core.errors import MissingObjectError, StorageError
from inference_core.storage.uris import mask_secrets

S3_ERRORS: tuple[type[Exception], ...] = (boto.BotoCoreError, boto.ClientError, HttpError, OSError, UnicodeError)
"""All that a request can raise. OSError: time-outs and what s3fs makes of botocore's errors; UnicodeError: bad keys."""

BROKEN_BODY_ERRORS: tuple[type[Exception], ...] = (
    boto.ResponseStreamingError,
    boto.ReadTimeoutError,
    boto.IncompleteReadError,
    boto.FlexibleChecksumError,
    HttpError,
)
"""A body that broke off or does not match its checksum: botocore repeats requests but not the reading of bodies."""

_CREDENTIALS = "the store does not accept the credentials; check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and the clock"
_EXPIRED = "the credentials have expired; fetch new ones and start again"
_REGION = "the bucket is in another region; set AWS_REGION to the bucket's"
_BUSY = "the store was too busy after all retries; lower the concurrency or try again later"
_BUCKET = "there is no such bucket; check its name and AWS_ENDPOINT_URL"
_DENIED = "permission was denied; allow it in the bucket's policy (without s3:ListBucket a missing object looks so too)"
_CODE_REMEDIES = {
    "NoSuchBucket": _BUCKET,
    "InvalidBucketName": "the bucket's name is not valid; check it",
    "AccessDenied": _DENIED,
    "AllAccessDisabled": _DENIED,
    "Forbidden": _DENIED,
    "403": _DENIED,
    "InvalidAccessKeyId": _CREDENTIALS,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "RequestTimeTooSkewed": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "ExpiredToken": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "PermanentRedirect": _REGION,
    "301": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "SlowDown": _BUSY,
    "Throttling": _BUSY,
    "TooManyRequests": _BUSY,
    "429": _BUSY,
    "ServiceUnavailable": _BUSY,
    "503": _BUSY,
    "InternalError": _BUSY,
    "500": _BUSY,
    "RequestTimeout": _BUSY,
    "ConditionalRequestConflict": _BUSY,
    "OperationAborted": _BUSY,
    "InvalidObjectState": "the object is archived; restore it first",
    "KeyTooLongError": "the key is longer than 1024 bytes; shorten it",
    "EntityTooLarge": "the object is too large for one request; write it through open_for_write",
    "NotImplemented": "the store does not implement it; create-only writes need `If-None-Match: *`",
}
NO_ANSWER_ERRORS: tuple[type[Exception], ...] = (
    boto.ConnectionError,
    boto.ConnectionClosedError,
    boto.HTTPClientError,
    HttpError,
    TimeoutError,
)
"""What a request that nobody answers raises; a certificate that is not accepted is among them."""
_MISSING_CODES = ("NoSuchKey", "404", "NotFound")
_CLASS_REMEDIES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    (
        (boto.NoCredentialsError, boto.PartialCredentialsError),
        "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role, "
        "or FSSPEC_S3_ANON=true for a public bucket",
    ),
    (
        (boto.ProfileNotFound, boto.CredentialRetrievalError, boto.TokenRetrievalError, boto.SSOError),
        "the credentials could not be fetched; check AWS_PROFILE and the log-in",
    ),
    ((boto.SSLError,), "the endpoint's certificate is not accepted; check AWS_ENDPOINT_URL and AWS_CA_BUNDLE"),
    (
        NO_ANSWER_ERRORS,
        "the endpoint did not answer after all retries; check AWS_ENDPOINT_URL, the network and the proxy",
    ),
    ((boto.ParamValidationError, UnicodeError), "the bucket or the key is not a valid name; check both"),
)


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Raise what S3, botocore, aiohttp and s3fs raise as StorageError and MissingObjectError of ``uri``."""
    try:
        yield
    except S3_ERRORS as error:
        raise translate_s3_error(error, uri=uri) from error


def translate_s3_error(error: Exception, *, uri: str) -> StorageError:
    """The error with its cause and remedy in one sentence."""
    shown = mask_secrets(uri)
    # s3fs turns a ClientError into an OSError that no longer tells a bucket from an object: the cause does.
    source = error.__cause__ if isinstance(error.__cause__, boto.ClientError) else error
    if _is_missing(source):
        return MissingObjectError(f"nothing is stored at {shown!r}; check the bucket and the key", uri=shown)
    return StorageError(f"cannot access {shown!r}: {_remedy(source)}", uri=shown)


def refusal(code: str, *, uri: str) -> StorageError:
    """The error of one object in a request for many, from the store's word for it."""
    shown = mask_secrets(uri)
    return StorageError(f"cannot access {shown!r}: {_CODE_REMEDIES.get(code, f'the store answered {code}')}", uri=shown)


def error_code(error: boto.ClientError) -> str:
    """The store's word for the error, or the HTTP status as text where the answer had no body."""
    return str(error.response.get("Error", {}).get("Code", ""))


def http_status(error: boto.ClientError) -> int:
    """The HTTP status of the answer, 0 where there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_missing(error: Exception) -> bool:
    if isinstance(error, boto.ClientError):
        return error_code(error) in _MISSING_CODES
    return isinstance(error, FileNotFoundError)


def _remedy(error: Exception) -> str:
    if isinstance(error, boto.ClientError):
        code = error_code(error)
        status = str(http_status(error))
        return _CODE_REMEDIES.get(code) or _CODE_REMEDIES.get(status) or f"the store answered {code} ({status})"
    for classes, remedy in _CLASS_REMEDIES:
        if isinstance(error, classes):
            return remedy
    return mask_secrets(f"{type(error).__name__}: {error}")
