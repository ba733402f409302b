"""Metrics of processes that share a port: each writes its own now and then, and whoever is asked tells all."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import time
from pathlib import Path

from serve.metrics.tally import Snapshot

WRITE_INTERVAL_S = 2.0
STALE_S = 15.0
"""A process that has written nothing for so long is gone."""
ENDING = ".metrics.json"


def shared_folder(port: int) -> Path | None:
    """The folder of all processes of this user that answer at a port of this machine; None where it is not ours."""
    folder = Path(tempfile.gettempdir()) / f"millrace-{os.getuid()}-{port}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        facts = folder.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid() and not facts.st_mode & 0o077
    return folder if is_ours else None


class ReplicaFiles:
    """The files of all processes of a service on one machine.

    Args:
        folder: of the service alone.
        replica: name of this process, distinct.
    """

    def __init__(self, folder: Path, replica: str) -> None:
        self._folder = folder
        self._path = folder / f"{replica}{ENDING}"

    def write(self, snapshot: Snapshot) -> None:
        """Tell the others; they see the old or the new numbers, never a part."""
        unfinished = self._path.with_suffix(".tmp")
        unfinished.write_text(json.dumps(snapshot.to_json()))
        os.replace(unfinished, self._path)  # noqa: PTH105

    def read_others(self) -> list[Snapshot]:
        """What the others told lately, by name."""
        found = []
        for path in sorted(self._folder.glob(f"*{ENDING}")):
            try:
                if path != self._path and time.time() - path.stat().st_mtime < STALE_S:
                    found.append(Snapshot.from_json(json.loads(path.read_text())))
            except (OSError, ValueError, LookupError, TypeError):  # it has just ended, or is of another version
                continue
        return found

    def remove(self) -> None:
        """This process ends."""
        self._path.unlink(missing_ok=True)
