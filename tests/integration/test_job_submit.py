from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from inference_core.models.package import load_package
from jobs.settings import read_settings
from tests.drawn_images import draw_folder
from tests.integration.commands import PATIENCE_S, commits
from tests.integration.ray_clusters import cluster_of
from tests.jobs.local_run import plan_job, read_rows, run_shards
from tests.tiny_models import tiny_classifier

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
]

NUM_IMAGES = 45
NUM_ROWS = NUM_IMAGES + 3
ROWS_PER_SHARD = 3
NUM_SHARDS = 16
ENTRYPOINT = "python -m jobs run --config job.yaml"


@pytest.fixture(scope="module")
def dashboard() -> Iterator[str]:
    """URL of the dashboard of a cluster of two nodes."""
    with cluster_of({"num_cpus": 3}, include_dashboard=True) as cluster:
        url = f"http://{cluster.webui_url}"
        wait_for_agent(JobSubmissionClient(url))
        yield url


def wait_for_agent(client: JobSubmissionClient) -> None:
    """Until jobs can be submitted: Ray waits 10 s for its own agent, which a busy machine starts later."""
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            client.submit_job(entrypoint="true")
            return
        except RuntimeError as exc:
            if "No available agent" not in str(exc) or time.monotonic() > deadline_s:
                raise


@pytest.fixture(scope="module")
def client(dashboard: str) -> JobSubmissionClient:
    return JobSubmissionClient(dashboard)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Settings of a run that takes some seconds: 100 ms for an image."""
    folder = tmp_path_factory.mktemp("job")
    return {
        "model": str(tiny_classifier(folder / "model", side_px=96, depth=24, mixes_batch=True)),
        "input": str(draw_folder(folder / "images", NUM_IMAGES, with_bad=True)),
        "max_error_frac": 1.0,
        "execution": {"rows_per_shard": ROWS_PER_SHARD, "stop_grace_s": 8},
    }


@pytest.fixture(scope="module")
def expected(job: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """The rows that one process without Ray gives."""
    flags = job | {"input": [job["input"]], "output": str(tmp_path_factory.mktemp("expected"))}
    config = read_settings(None, flags=flags, assignments=[])
    package = load_package(config.model)
    run_shards(config, package, plan_job(config, package))
    return read_rows(config.output)


def working_dir(folder: Path, job: dict[str, Any], **changes: Any) -> Path:
    """A folder with the job's settings, as a user submits it."""
    folder.mkdir()
    (folder / "job.yaml").write_text(yaml.safe_dump(job | changes))
    return folder


def submit(
    client: JobSubmissionClient, folder: Path, *, entrypoint: str = ENTRYPOINT, env_vars: dict[str, str] | None = None
) -> str:
    runtime_env = {"working_dir": str(folder), "env_vars": env_vars or {}}
    return client.submit_job(entrypoint=entrypoint, runtime_env=runtime_env)


def wait_ended(client: JobSubmissionClient, job_id: str) -> JobDetails:
    deadline_s = time.monotonic() + PATIENCE_S
    while not (info := client.get_job_info(job_id)).status.is_terminal():
        assert time.monotonic() < deadline_s, client.get_job_logs(job_id)
        time.sleep(0.2)
    return info


def test_a_job_is_submitted_watched_and_done(
    dashboard: str, client: JobSubmissionClient, job: dict[str, Any], tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    folder = working_dir(tmp_path / "work", job, output=str(tmp_path / "out"))
    arguments = ["--address", dashboard, "--submission-id", "first", "--working-dir", str(folder), "--"]
    ended = subprocess.run(
        [str(Path(sys.executable).with_name("ray")), "job", "submit", *arguments, *ENTRYPOINT.split()],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert client.get_job_info("first").driver_exit_code == 0
    log = client.get_job_logs("first")
    assert f"planned {NUM_ROWS} images" in log
    assert f"images {NUM_ROWS}/{NUM_ROWS}, " in log
    assert f"{NUM_ROWS} planned = {NUM_IMAGES} ok + 3 failed + 0 skipped" in log
    assert f"{NUM_ROWS} planned" in ended.stdout, "the submitter is shown the log"
    assert read_rows(tmp_path / "out") == expected
    with pytest.raises(RuntimeError, match="first"):
        client.submit_job(entrypoint="true", submission_id="first")


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        pytest.param({"max_error_frac": 0.0}, 3, "3 of 48 images have no result", id="too-many-bad-images"),
        pytest.param({"execution": {"actors": 0}}, 2, "execution.actors: must be greater than 0", id="wrong-setting"),
    ],
)
def test_the_exit_code_is_the_commands(
    client: JobSubmissionClient, job: dict[str, Any], tmp_path: Path, changes: dict[str, Any], code: int, message: str
) -> None:
    fast = str(tiny_classifier(tmp_path / "fast"))
    folder = working_dir(tmp_path / "work", job | {"model": fast}, output=str(tmp_path / "out"), **changes)
    job_id = submit(client, folder)
    info = wait_ended(client, job_id)
    assert (info.status, info.driver_exit_code) == (JobStatus.FAILED, code)
    assert message in client.get_job_logs(job_id)


def test_a_stopped_job_commits_what_is_under_way_and_goes_on_when_submitted_again(
    client: JobSubmissionClient, job: dict[str, Any], tmp_path: Path, expected: list[dict[str, Any]]
) -> None:
    output = tmp_path / "out"
    folder = working_dir(tmp_path / "work", job, output=str(output))
    # Ray keeps no exit code of a stopped job; the shell outlives its child and says it.
    shell = f"trap : TERM; {ENTRYPOINT}; echo ended with $?"
    job_id = submit(client, folder, entrypoint=shell, env_vars={"RAY_JOB_STOP_WAIT_TIME_S": "20"})
    deadline_s = time.monotonic() + PATIENCE_S
    while not (before := commits(output)):
        is_running = not client.get_job_status(job_id).is_terminal()
        assert is_running, client.get_job_logs(job_id)
        assert time.monotonic() < deadline_s, client.get_job_logs(job_id)
        time.sleep(0.05)
    asked_s = time.monotonic()
    assert client.stop_job(job_id)
    assert wait_ended(client, job_id).status == JobStatus.STOPPED
    assert time.monotonic() - asked_s < 20, "Ray had to kill it"
    log = client.get_job_logs(job_id)
    assert "ended with 143" in log
    after = commits(output)
    assert before < after < NUM_SHARDS, "shards under way are committed, and no more"

    again = submit(client, folder)
    assert wait_ended(client, again).status == JobStatus.SUCCEEDED, client.get_job_logs(again)
    assert f"resuming, {after * ROWS_PER_SHARD} images done" in client.get_job_logs(again)
    assert read_rows(output) == expected
