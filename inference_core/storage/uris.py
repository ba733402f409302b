"""Names of stored objects: one absolute form, joining that cannot escape, and texts without secrets.

Local names are plain paths or ``file://`` URIs; both become ``file:///absolute/path``. They are never
percent-encoded, as everywhere in fsspec: a ``%`` in a name is a ``%`` in its URI.
"""

from __future__ import annotations

import os
import re

from inference_core.errors import StorageError

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_USER_AND_PASSWORD = re.compile(r"(?<=://)[^/@\s]+@")
_PASSWORD = re.compile(r"^[^/@\s]*:[^/@\s]*@")
_SIGNATURE = re.compile(
    r"(?i)([?&](?:x-(?:amz|goog)-[a-z-]+|sig|signature|(?:access_?|auth_?)?token|awsaccesskeyid|api_?key|passw(?:or)?d"
    r"|secret)=)[^&;\s'\"]+"
)
_ESCAPED = 0x10FF00
"""Bytes of local names that are no UTF-8 are this plus their value in URIs: characters that nobody uses."""
_NEEDS_ESCAPE = re.compile("[\udc80-\udcff\U0010ff80-\U0010ffff]")
_IS_ESCAPE = re.compile("[\U0010ff80-\U0010ffff]+")


def scheme_of(uri: str) -> str:
    """The lower-case scheme; ``file`` for a plain path and ``s3`` for its other spelling ``s3a``."""
    match = _SCHEME.match(uri)
    scheme = match.group(1).lower() if match else "file"
    return {"s3a": "s3", "local": "file"}.get(scheme, scheme)


def is_local(uri: str) -> bool:
    """Whether the URI or path names a file on this machine."""
    return scheme_of(uri) == "file"


def normalise(uri: str) -> str:
    """The absolute form that manifests and records hold.

    A local name becomes ``file:///absolute/path``: relative to the working directory, ``~`` expanded, ``.`` and ``..``
    resolved by text (links are kept), no slash at the end. In other stores the key is opaque, so only the scheme is
    put in lower case.

    Raises:
        StorageError: the name is empty, holds a NUL, or carries credentials.
    """
    if not uri or "\0" in uri:
        raise StorageError(f"uri must be a path or a URI without NUL characters, got {uri!r}")
    scheme = scheme_of(uri)
    if scheme == "file":
        return f"file://{escape_name(local_path(uri))}"
    rest = uri[uri.index("://") + 3 :]
    if scheme == "s3":
        split_bucket_key(uri)
    elif _PASSWORD.match(rest):
        raise StorageError(
            f"uri must not carry credentials, got {mask_secrets(uri)!r}; give them to the file system by its "
            f"FSSPEC_{scheme.upper()}_* variables instead",
            uri=mask_secrets(uri),
        )
    return f"{scheme}://{rest}"


def local_path(uri: str) -> str:
    """The absolute path of a local URI or plain path.

    Raises:
        StorageError: the URI is not local.
    """
    if not is_local(uri):
        raise StorageError(
            f"uri must name a local file, got {mask_secrets(uri)!r}; copy it to this machine first",
            uri=mask_secrets(uri),
        )
    path = unescape_name(_SCHEME.sub("", uri, count=1))
    if path.startswith("/"):
        # A path that is absolute and clean already costs nothing here: this runs once per image.
        return path if _is_clean(path) else os.path.abspath(path)  # noqa: PTH100 - Path.resolve would follow links
    return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - as above, on text


def join(uri: str, *parts: str) -> str:
    """The URI of an object below ``uri``.

    Args:
        uri: a folder, prefix or bucket.
        parts: relative posix paths, each of one or more names.

    Raises:
        StorageError: a part is absolute or empty, or holds an empty name, ``.``, ``..`` or NUL: it could leave ``uri``.
    """
    for part in parts:
        if "\0" in part or any(name in ("", ".", "..") for name in part.split("/")):
            raise StorageError(
                f"part must be a relative path of plain names, got {part!r}; remove empty names, '.', '..' and slashes "
                "at its ends",
                uri=mask_secrets(uri),
            )
    below = uri if uri.endswith("/") or not parts else f"{uri}/"
    return below + "/".join(parts)


def split_bucket_key(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI; the key is everything after the bucket's slash, untouched.

    Raises:
        StorageError: there is no bucket, or credentials stand where it belongs.
    """
    bucket, _, key = uri[uri.index("://") + 3 :].partition("/")
    if "@" in bucket:
        raise StorageError(
            f"uri must not carry credentials, got {mask_secrets(uri)!r}; set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY instead",
            uri=mask_secrets(uri),
        )
    if not bucket:
        raise StorageError(f"uri must name a bucket, got {uri!r}; write s3://bucket/key", uri=uri)
    return bucket, key


def mask_secrets(text: str) -> str:
    """The text with passwords and signatures of the URIs in it replaced by ``***``."""
    return _SIGNATURE.sub(r"\1***", _USER_AND_PASSWORD.sub("***@", text))


def escape_name(name: str) -> str:
    """A local name or path as text that can be stored: bytes that are no UTF-8 become characters that nobody uses."""
    if name.isascii() or not _NEEDS_ESCAPE.search(name):
        return name
    return _NEEDS_ESCAPE.sub(lambda found: "".join(chr(_ESCAPED + byte) for byte in os.fsencode(found[0])), name)


def unescape_name(name: str) -> str:
    """What ``escape_name`` was given, for the operating system."""
    if name.isascii():
        return name
    return _IS_ESCAPE.sub(lambda found: os.fsdecode(bytes(ord(char) - _ESCAPED for char in found[0])), name)


def _is_clean(path: str) -> bool:
    return not ("//" in path or "/./" in path or "/../" in path or path.endswith(("/", "/.", "/..")))
