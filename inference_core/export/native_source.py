"""What Arrow reads from, without anything of Python's in it.

Arrow reads with threads that outlive the reading. Where one of them is the last to drop a file or bytes of Python's
while the interpreter ends, the process is aborted: a command that ended behind its reading, by an error, did so.
"""

from __future__ import annotations

from io import BufferedReader
from typing import BinaryIO

import pyarrow as pa


def native_source(file: BinaryIO) -> pa.NativeFile:
    """The content of an open file. Of remote ones, their bytes are read and copied."""
    return pa.OSFile(file.name) if isinstance(file, BufferedReader) else native_bytes(file.read())


def native_bytes(data: bytes) -> pa.NativeFile:
    """A copy of bytes."""
    copy = pa.BufferOutputStream()
    copy.write(data)
    return pa.BufferReader(copy.getvalue())
