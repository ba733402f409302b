"""Reading, writing and listing objects by URI: local files, ``s3://`` and every other fsspec file system.

Importing this loads neither fsspec nor an S3 client; the first URI that needs one does.
"""

from __future__ import annotations

from inference_core.storage.operations import (
    PROBE_PREFIX,
    check_create_only,
    check_reachable,
    create,
    delete_many,
    exists,
    list_objects,
    open_for_read,
    open_for_write,
    read_bytes,
    read_many,
    remove_unfinished,
    replace,
)
from inference_core.storage.store import ObjectInfo, ReadOutcome, Store, open_store
from inference_core.storage.uris import escape_name, is_local, join, local_path, mask_secrets, normalise, scheme_of

__all__ = [
    "PROBE_PREFIX",
    "ObjectInfo",
    "ReadOutcome",
    "Store",
    "check_create_only",
    "check_reachable",
    "create",
    "delete_many",
    "escape_name",
    "exists",
    "is_local",
    "join",
    "list_objects",
    "local_path",
    "mask_secrets",
    "normalise",
    "open_for_read",
    "open_for_write",
    "open_store",
    "read_bytes",
    "read_many",
    "remove_unfinished",
    "replace",
    "scheme_of",
]
