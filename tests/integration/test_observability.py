"""A run as those see it who watch it: its log, its metrics, its status, its bar."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import termios
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from jobs.metrics.names import METRICS
from jobs.state_of_run import Phase, read_status
from tests.drawn_images import draw_folder
from tests.integration.commands import PATIENCE_S, ROOT, command, commits, run_arguments
from tests.tiny_models import tiny_classifier

pytestmark = [pytest.mark.integration]

NUM_IMAGES, ROWS_PER_SHARD = 120, 3
URL = re.compile(r"metrics at (http://[^\"\s]+)")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SETTINGS = ("max_error_frac=1", "execution.num_cpus=2", f"execution.rows_per_shard={ROWS_PER_SHARD}")


@dataclass(kw_only=True)
class Watched:
    """What was seen of a run."""

    model: Path
    images: Path
    output: Path
    code: int = -1
    out: str = ""
    err: str = ""
    scrapes: list[dict[str, dict[tuple[str, ...], float]]] = field(default_factory=list)
    """Of each: by metric, the value by its own labels."""
    phases: list[Phase] = field(default_factory=list)
    """That ``millrace status`` told on the way."""

    @property
    def summary(self) -> dict[str, Any]:
        """The report's figures."""
        read: dict[str, Any] = json.loads((self.output / "report" / "summary.json").read_text())
        return read


def scrape(url: str) -> dict[str, dict[tuple[str, ...], float]] | None:
    """The metrics of a run; None where nobody answers any more."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            text = answer.read().decode()
    except OSError:
        return None
    own: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        own.setdefault(family.name, {})
        for sample in family.samples:
            labels = tuple(value for name, value in sorted(sample.labels.items()) if name not in ("run_id", "model"))
            own[family.name][labels] = sample.value
    return own


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    """A run in the split layout, scraped and asked for its status while it works."""
    folder = tmp_path_factory.mktemp("observed")
    seen = Watched(
        model=tiny_classifier(folder / "model"),
        images=draw_folder(folder / "images", NUM_IMAGES, with_bad=True),
        output=folder / "out",
    )
    arguments = run_arguments(seen.model, [seen.images], seen.output, *SETTINGS, "execution.layout=split")
    with (folder / "out.txt").open("w") as out, (folder / "err.txt").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "jobs", *arguments, "--log-format", "json", "--metrics-port", "0"],
            cwd=ROOT,
            stdout=out,
            stderr=err,
        )
        deadline_s = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline_s:
            look(seen, (folder / "err.txt").read_text())
            time.sleep(0.1)
        process.kill()  # nothing happens to one that has ended
        seen.code = process.wait()
    seen.out, seen.err = ((folder / name).read_text() for name in ("out.txt", "err.txt"))
    return seen


def look(seen: Watched, err: str) -> None:
    """Scrape a run, and ask how it stands, at first and when something is committed."""
    url = URL.search(err)
    found = scrape(url[1]) if url else None
    if found is not None:
        seen.scrapes.append(found)
        has_news = not seen.phases or (len(seen.phases) == 1 and commits(seen.output) > 1)
        if has_news:
            seen.phases.append(read_status(str(seen.output)).phase)


def test_every_line_of_the_log_is_an_object(watched: Watched) -> None:
    assert watched.code == 0, watched.err
    events = [json.loads(line) for line in watched.err.splitlines()]
    names = [event["event"] for event in events]
    assert names[:3] == ["settings", "notice", "plan"]
    assert set(names[3:]) == {"progress"}
    assert (events[-1]["done"], events[-1]["total"]) == (NUM_IMAGES + 3, NUM_IMAGES + 3)
    (done,) = [json.loads(line) for line in watched.out.splitlines()]
    assert (done["event"], done["ok"], done["failed"]) == ("done", NUM_IMAGES, 3)
    assert sorted(done["peaks"]["bytes_by_pool"]) == ["commit", "infer", "prepare"]


def test_the_status_is_told_while_the_run_works(watched: Watched) -> None:
    assert watched.phases == ["starting", "working"]
    assert read_status(str(watched.output)).phase == "finished"


def test_the_metrics_grow_to_what_the_report_says(watched: Watched) -> None:
    assert len(watched.scrapes) > 5
    done = [sum(scraped["millrace_images"].values()) for scraped in watched.scrapes]
    assert done == sorted(done)
    assert done[0] == 0
    last, status = watched.scrapes[-1], watched.summary["status"]
    for (name,), count in last["millrace_images"].items():
        assert count <= status[name]
    assert 0 < done[-1] <= watched.summary["num_rows"]
    assert last["millrace_images_listed"] == {(): NUM_IMAGES + 3}
    assert last["millrace_shards_listed"][()] >= last["millrace_shards_committed"][()] > 0
    assert set(last["millrace_stage_seconds"]) == {(name,) for name in ("fetch", "prepare", "infer", "finish", "write")}


def test_the_queues_of_the_pipeline_are_seen(watched: Watched) -> None:
    pools = {pool for scraped in watched.scrapes for pool in scraped["millrace_waiting_shards"]}
    assert pools == {("prepare",), ("infer",), ("commit",)}
    assert max(scraped["millrace_waiting_shards"].get(("prepare",), 0) for scraped in watched.scrapes) > 0
    actors = {key for scraped in watched.scrapes for key, count in scraped["millrace_actors"].items() if count}
    assert ("infer", "running") in actors
    assert not any(sum(scraped["millrace_failed_calls"].values()) for scraped in watched.scrapes)


def test_all_that_the_dashboard_shows_is_told(watched: Watched) -> None:
    shown = set(re.findall(r"millrace_\w+", (ROOT / "jobs" / "grafana-batch.json").read_text(encoding="utf-8")))
    told = {name for scraped in watched.scrapes for name in scraped if name.startswith("millrace_")}
    assert {name.removesuffix("_total") for name in shown} == told
    assert told == {metric.name.removesuffix("_total") for metric in METRICS}


def test_the_report_tells_the_largest_processes(watched: Watched) -> None:
    peaks, last = watched.summary["run"]["peaks"], watched.scrapes[-1]["millrace_memory_peak_bytes"]
    assert peaks["driver_bytes"] == pytest.approx(last["driver",], rel=0.1)  # the report's own making comes behind it
    for pool in ("prepare", "infer", "commit"):
        assert peaks["bytes_by_pool"][pool] >= last[pool,] > 50_000_000
    assert (peaks["gpus"], peaks["num_oom_halvings"]) == ([], 0)


def test_a_resumed_run_has_a_bar_on_a_terminal(watched: Watched) -> None:
    for path in sorted((watched.output / "_commits").iterdir())[:2]:
        path.unlink()
    arguments = run_arguments(watched.model, [watched.images], watched.output, *SETTINGS)
    code, screen = on_terminal([sys.executable, "-m", "jobs", *arguments])
    assert code == 0, screen
    resumed = re.search(r"resuming, (\d+) images done", screen)
    assert resumed is not None
    bars = [line for line in re.split(r"[\r\n]+", screen) if re.match("images +━", line)]
    assert f" {resumed[1]}/{NUM_IMAGES + 3} " in bars[0]
    assert "100%" not in bars[0]
    assert "left" not in bars[0]
    assert f"100% {NUM_IMAGES + 3}/{NUM_IMAGES + 3}" in bars[-1]
    assert "report/report.html" in screen


def on_terminal(arguments: list[str]) -> tuple[int, str]:
    """The exit code of a command on a terminal of its own, and what it wrote there, without the colours."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 160))
    with subprocess.Popen(
        arguments, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        written = bytearray()
        while part := read_terminal(ours):
            written += part
        os.close(ours)
        return process.wait(PATIENCE_S), ESCAPES.sub("", written.decode(errors="replace"))


def read_terminal(descriptor: int) -> bytes:
    """Something that was written, nothing at the end: Linux makes an error of that."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""


def test_a_command_that_is_refused_says_it_in_json(tmp_path: Path) -> None:
    ended = command(*run_arguments("nowhere", ["nowhere"], tmp_path / "out"), "--log-format", "json")
    events = [json.loads(line) for line in ended.err.splitlines()]
    assert (ended.code, [event["event"] for event in events]) == (2, ["settings", "error"])
    assert (events[1]["kind"], events[1]["exit_code"]) == ("ConfigError", 2)
    assert "nowhere" in events[1]["message"]
