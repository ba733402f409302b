"""Folders to test in, one of each kind of store."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from tests.s3_loopback import S3Server


@pytest.fixture
def s3_prefix(s3_bucket: str, s3_server: S3Server) -> str:
    """An empty prefix on the loopback server, whose request log is empty too."""
    s3_server.forget()
    return f"{s3_bucket}/{uuid4().hex}"


@pytest.fixture(params=["local", "s3"])
def prefix(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty folder in each kind of store that a run can write to."""
    return tmp_path.as_uri() if request.param == "local" else str(request.getfixturevalue("s3_prefix"))
