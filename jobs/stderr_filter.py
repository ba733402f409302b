"""A child process that makes JSON of what comes through its standard input; see ``jobs.json_stderr``.

Run as a file, without the package around it, so that it is there within milliseconds.
"""

import json
import signal
import sys
from datetime import UTC, datetime


def main() -> None:
    """Pass lines on until the last writer is gone, whatever is sent to the process group meanwhile."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(as_json(line))
        sys.stdout.buffer.flush()


def as_json(line: bytes) -> bytes:
    """The line if it is a JSON object, else an event that quotes it; nothing of an empty one."""
    text = line.decode(errors="replace").strip()
    if not text:
        return b""
    try:
        if isinstance(json.loads(text), dict):
            return line if line.endswith(b"\n") else line + b"\n"
    except ValueError:
        pass
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    return (json.dumps({"time": time, "event": "output", "message": text}) + "\n").encode()


if __name__ == "__main__":
    main()
