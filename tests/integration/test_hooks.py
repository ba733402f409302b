"""Functions of the user's in whole commands: with a real Ray, and from a bucket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from inference_core import storage
from inference_core.models.package import load_package
from inference_core.predictor import Predictor
from jobs.driver import run
from jobs.progress import Counter, LineProgress
from jobs.settings import read_settings
from tests.drawn_images import draw_folder
from tests.hooked_packages import hook, hooked_classifier
from tests.integration.commands import ROOT, command, run_arguments
from tests.jobs.local_run import read_rows
from tests.s3_loopback import S3Server

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),  # Ray warns of its own settings
]

FILES = {
    "f.py": "from .numbers import SHIFT\nimport numpy as np\n\n\ndef shift(pixels):\n"
    "    return np.roll(pixels, SHIFT, axis=2)\n",
    "numbers.py": "SHIFT = 1\n",
}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return draw_folder(tmp_path / "images", 12, with_bad=True)


def put(folder: Path, uri: str) -> str:
    """Copy a package to a bucket."""
    for path in folder.iterdir():
        storage.replace(storage.join(uri, path.name), path.read_bytes())
    return uri


@pytest.mark.parametrize("layout", ["whole", "split"])
def test_workers_run_the_functions_of_a_package(local_ray: None, images: Path, tmp_path: Path, layout: str) -> None:
    folder = hooked_classifier(
        tmp_path / "m",
        input__filters=[hook("./f.py:shift")],
        output__decoder=hook("swap_classes", gain=0.5),
        files=FILES,
    )
    config = read_settings(
        None,
        flags={"model": str(folder), "input": str(images), "output": str(tmp_path / "out")},
        assignments=[f"execution.layout={layout}", "execution.rows_per_shard=4", "trust_package_code=true"],
    )
    run(config, show=lambda state: LineProgress(Counter(total=state.listing.num_rows, done=0), log_format="json"))
    rows = read_rows(tmp_path / "out")
    package = load_package(str(folder), trusts_code=True)
    found = list(Predictor.load(package, device="cpu", num_threads=1).predict_directory(images))
    assert [row["status"] for row in rows] == [one.status for one in found]
    assert sum(row["status"] == "ok" for row in rows) == 12
    for row, one in zip(rows, found, strict=True):
        if one.result is not None:
            assert row["label"] == one.result.labels[0]  # type: ignore[union-attr]
            assert row["score"] == pytest.approx(float(one.result.scores[0]), abs=1e-6)  # type: ignore[union-attr]


def test_a_package_in_a_bucket_runs_no_code_unasked(
    images: Path, tmp_path: Path, s3_server: S3Server, s3_bucket: str
) -> None:
    folder = hooked_classifier(tmp_path / "m", input__filters=[hook("./f.py:shift")], files=FILES)
    uri = put(folder, f"{s3_bucket}/command")
    digests = load_package(uri).code.digests()
    asked = run_arguments(uri, [images], tmp_path / "out", "max_error_frac=1", "execution.num_cpus=2")
    refused = command(*asked)
    assert refused.code == 2
    assert f"f.py (sha256 {digests['f.py']}), numbers.py (sha256 {digests['numbers.py']})" in refused.err
    assert "--trust-package-code" in refused.err
    assert not (tmp_path / "out").exists()

    ended = command(*asked, "--trust-package-code", "--log-format", "json")
    assert ended.code == 0, ended.err
    events = [json.loads(line) for line in ended.err.splitlines()]
    assert [event["event"] for event in events][:3] == ["settings", "package_code", "plan"]
    said = f"{uri}: f.py (sha256 {digests['f.py']}), numbers.py (sha256 {digests['numbers.py']})"
    assert [event["message"] for event in events if event["event"] == "package_code"] == [
        f"running code of the model package {said}"
    ]
    by_id = {row["image_id"]: row["label"] for row in read_rows(tmp_path / "out")}
    assert by_id["0000.png"] == "green"  # it is red; the function shifts the channels

    told = subprocess.run(
        [
            *(sys.executable, "-c", "from inference_core.cli import main; main()", "predict", str(images / "0000.png")),
            *("--model", uri, "--trust-package-code"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert told.stderr == f"running code of the model package {said}\n"
    assert json.loads(told.stdout)["label"] == "green"
