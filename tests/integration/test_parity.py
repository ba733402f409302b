"""A service, and Python, answer as a run did: the same records, bit for bit, or the same error; by HTTP, v2, gRPC."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc
import tritonclient.http
import typer
from PIL import Image
from typer.testing import CliRunner

from inference_core.models.package import load_package
from jobs.results import read_results
from jobs.settings import read_settings
from serve.cli import register
from serve.config import ServeConfig
from serve.listener import Addresses
from serve.replay.command import build_asker
from serve.replay.given import Asker
from serve.replay.replay import Comparison, compare_row, replay
from serve.replay.rows_of_run import RunRow, iterate_run
from serve.told_columns import told_columns
from tests.asset_packages import camvid_package, mobilenet_package
from tests.drawn_objects import RED_SHARES, disc, draw
from tests.integration.documented import documented_blocks
from tests.integration.parity_askers import PredictorAsker, TensorAsker
from tests.jobs.local_run import finish_job
from tests.serve.listening_service import listening_service
from tests.telling_packages import telling_packages

pytestmark = [pytest.mark.integration, pytest.mark.assets]

MAX_PIXELS = 100_000_000
"""The limit of a job by default; both must have the same."""


def run_job(package: Path, inputs: list[Path], output: Path, *assignments: str) -> Path:
    """A finished run, done in this process."""
    flags = {"model": str(package), "input": [str(uri) for uri in inputs], "output": str(output)}
    fixed = ("execution.batch_size=1", "execution.threads_per_actor=1", f"limits.max_pixels={MAX_PIXELS}")
    finish_job(read_settings(None, flags=flags, assignments=[*fixed, *assignments]), load_package(str(package)))
    return output


@pytest.fixture(scope="module")
def packages(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("packages")
    return mobilenet_package(folder / "mobilenet", assets), camvid_package(folder / "camvid", assets)


@pytest.fixture(scope="module")
def classified(assets: Path, packages: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All photographs and all hostile files."""
    inputs = [assets / "classification" / "imagenet", assets / "hostile"]
    return run_job(packages[0], inputs, tmp_path_factory.mktemp("run") / "classified")


@pytest.fixture(scope="module")
def segmented(assets: Path, packages: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Streets, with masks."""
    output = tmp_path_factory.mktemp("run") / "segmented"
    return run_job(packages[1], [assets / "camvid" / "images"], output, "results.masks=png")


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """For each task a package that declares all that it can."""
    return telling_packages(tmp_path_factory.mktemp("telling"))


@pytest.fixture(scope="module")
def told(assets: Path, telling: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A run of each of them over some photographs, drawn objects and all hostile files."""
    folder = tmp_path_factory.mktemp("told")
    inputs = folder / "inputs"
    inputs.mkdir()
    for path in sorted((assets / "classification" / "imagenet").rglob("*.*"))[::6]:
        (inputs / path.name).symlink_to(path)
    for count in range(1, len(RED_SHARES)):
        pixels, _ = draw((64, 96), [disc(14 + 9 * index, 10 + 18 * index, 8) for index in range(count)])
        Image.fromarray(pixels).save(inputs / f"drawn{count}.png")
    return {name: run_job(package, [inputs, assets / "hostile"], folder / name) for name, package in telling.items()}


@pytest.fixture(scope="module")
def service(packages: tuple[Path, Path], telling: Mapping[str, Path]) -> Iterator[Addresses]:
    """All models, one forward at a time; nothing is answered from memory."""
    served = (*packages, *telling.values())
    models = [{"package": str(package), "concurrent_batches": 1, "num_threads": 1} for package in served]
    limits = {"max_pixels": MAX_PIXELS}
    settings = {"models": models, "http": {"port": 0}, "grpc": {"port": 0}, "cache_bytes": 0, "limits": limits}
    with listening_service(ServeConfig.model_validate(settings)) as addresses:
        yield addresses


def commands() -> typer.Typer:
    """The service's own commands."""
    app = typer.Typer()
    register(app)
    return app


def compare(output: Path, service: Addresses, *, protocol: str, model: str = "") -> Comparison:
    url = str(service.grpc_address) if protocol == "grpc" else service.url
    asker = build_asker(protocol, url, model=model, key="")
    try:
        return replay(iterate_run(str(output)), asker, concurrency=4)
    finally:
        asker.close()


def compare_in_turn(output: Path, asker: Asker, *, is_compared: Callable[[RunRow], bool]) -> Comparison:
    """Likewise, row by row on this thread, which the stock client does not leave."""
    comparison = Comparison()
    for row in filter(is_compared, iterate_run(str(output))):
        comparison.add(row, compare_row(row, asker, tolerance=0.0))
    asker.close()
    return comparison


@pytest.mark.parametrize("protocol", ["http", "v2", "grpc"])
def test_photographs_and_hostile_files_have_the_records_of_the_run(
    classified: Path, service: Addresses, protocol: str
) -> None:
    rows = read_results(str(classified))
    assert rows.num_rows > 130
    comparison = compare(classified, service, protocol=protocol)
    assert comparison.is_equal, comparison.to_json()
    assert comparison.counts == {"equal": rows.num_rows}
    assert comparison.statuses == {
        entry["values"]: entry["counts"] for entry in rows["status"].value_counts().to_pylist()
    }
    assert comparison.statuses["ok"] > 100
    assert {"decode_error", "too_large", "unsupported"} < set(comparison.statuses)


@pytest.mark.parametrize("protocol", ["http", "v2", "grpc"])
def test_masks_are_those_of_the_run(segmented: Path, service: Addresses, protocol: str) -> None:
    comparison = compare(segmented, service, protocol=protocol, model="espnet-camvid")
    assert comparison.is_equal, comparison.to_json()
    assert comparison.counts == {"equal": read_results(str(segmented)).num_rows}


def test_a_run_of_packages_that_declare_everything_tells_it(
    telling: Mapping[str, Path], told: Mapping[str, Path]
) -> None:
    verdicts = set()
    for name, output in told.items():
        rows = read_results(str(output)).to_pylist()
        answered = [row for row in rows if row["status"] == "ok"]
        assert len(answered) > 20 < len(rows) - len(answered)
        columns = [column.name for column in told_columns(load_package(str(telling[name])).spec)]
        assert {"brightness", "verdict", "reasons", "priority"} < set(columns)
        assert all(any(row[column] not in (None, []) for row in answered) for column in columns), name
        assert len({row["verdict"] for row in answered}) > 1, name
        verdicts |= {row["verdict"] for row in answered}
    assert verdicts == {"accept", "review", "reject"}


@pytest.mark.parametrize("way", ["predictor", "http", "v2", "grpc"])
def test_all_that_a_package_declares_is_that_of_the_run(
    telling: Mapping[str, Path], told: Mapping[str, Path], service: Addresses, way: str
) -> None:
    for name, output in told.items():
        if way == "predictor":
            asker = PredictorAsker(telling[name], max_pixels=MAX_PIXELS)
            comparison = compare_in_turn(output, asker, is_compared=lambda row: True)
        else:
            comparison = compare(output, service, protocol=way, model=name)
        assert comparison.is_equal, (name, comparison.to_json())
        assert comparison.counts == {"equal": read_results(str(output)).num_rows}


@pytest.mark.parametrize("kind", ["http", "grpc"])
def test_what_is_asked_for_by_name_is_that_of_the_run(
    telling: Mapping[str, Path], told: Mapping[str, Path], service: Addresses, kind: str
) -> None:
    client: Any = tritonclient.grpc if kind == "grpc" else tritonclient.http
    address = str(service.grpc_address) if kind == "grpc" else service.url.removeprefix("http://")
    for name, output in told.items():
        asker = TensorAsker(client, address, telling[name])
        comparison = compare_in_turn(output, asker, is_compared=lambda row: row.values["status"] == "ok")
        assert comparison.is_equal, (name, comparison.to_json())
        assert comparison.statuses["ok"] > 20


def test_a_mask_of_another_run_differs(segmented: Path, service: Addresses) -> None:
    path = sorted((segmented / "masks").iterdir())[0]
    own = path.read_bytes()
    try:
        path.write_bytes(sorted((segmented / "masks").iterdir())[1].read_bytes())
        comparison = compare(segmented, service, protocol="http", model="espnet-camvid")
    finally:
        path.write_bytes(own)
    assert (comparison.counts["differing"], comparison.columns) == (1, {"mask": 1})


def test_another_model_is_told_apart_and_named(classified: Path, service: Addresses) -> None:
    arguments = ["--url", service.url, "--model", "espnet-camvid", "--limit", "2", "--json"]
    ended = CliRunner().invoke(commands(), ["replay", str(classified), *arguments])
    found = json.loads(ended.stdout)
    assert ended.exit_code == 1
    assert not found["is_equal"]
    (digests,) = found["other_models"]
    assert digests["run"] != digests["service"]


def test_the_documented_command_ends_with_0_where_all_is_equal(classified: Path, service: Addresses) -> None:
    (_, command), (_, shown) = documented_blocks("Replay")
    name, *arguments = command.replace("OUT", str(classified)).replace("http://127.0.0.1:8000", service.url).split()
    assert name == "millrace"
    ended = CliRunner().invoke(commands(), arguments)
    assert ended.exit_code == 0, ended.output
    assert [line.rstrip() for line in ended.stdout.splitlines()] == shown.splitlines()
