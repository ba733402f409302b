"""A service that answers tells of it: over HTTP, v2 and gRPC, good images, bad ones and refusals."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve.config import ServeConfig
from serve.listener import Addresses
from serve.metrics.names import METRICS
from serve.replay.command import build_asker
from tests.drawn_images import draw_folder
from tests.integration.documented import documented_blocks
from tests.serve.listening_service import listening_service
from tests.tiny_models import tiny_classifier

ROOT = Path(__file__).resolve().parents[3]
NAME = "tiny"
Found = dict[str, dict[tuple[str, ...], float]]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = draw_folder(tmp_path_factory.mktemp("images"), 1, with_bad=False)
    return next(path for path in folder.rglob("*") if path.is_file()).read_bytes()


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from serve.key_file import KeyEntry, KeyFile, hash_key, write_key_file

    path = tmp_path_factory.mktemp("keys") / "keys.yaml"
    write_key_file(path, KeyFile(keys=(KeyEntry(name="me", sha256=hash_key("right")),)))
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, keys_file: Path) -> Iterator[Addresses]:
    package = tiny_classifier(tmp_path_factory.mktemp("model"))
    model = {"package": str(package), "name": NAME, "concurrent_batches": 1, "num_threads": 1}
    settings = {"models": [model], "http": {"port": 0}, "grpc": {"port": 0}, "limits": {"max_image_bytes": 10_000}}
    settings["security"] = {"keys_file": str(keys_file)}
    with listening_service(ServeConfig.model_validate(settings)) as addresses:
        yield addresses


def scrape(service: Addresses) -> Found:
    """The metrics once no other request is under way: gRPC's clients have an error before the call has ended here."""
    deadline_s = time.monotonic() + 30
    while sum((found := read_metrics(service))["millrace_serve_requests_in_flight"].values()) > 1:
        assert time.monotonic() < deadline_s
    return found


def read_metrics(service: Addresses) -> Found:
    """Values by series and by labels in the order of their names, without the process."""
    request = urllib.request.Request(f"{service.url}/metrics", headers={"Authorization": "Bearer right"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    found: Found = {}
    for family in text_string_to_metric_families(text):
        found.setdefault(family.name, {})
        for sample in family.samples:
            labels = {name: value for name, value in sample.labels.items() if name != "replica"}
            found.setdefault(sample.name, {})[tuple(labels[name] for name in sorted(labels))] = sample.value
    return found


def ask(service: Addresses, protocol: str, image: bytes) -> Any:
    asker = build_asker(
        protocol, str(service.grpc_address) if protocol == "grpc" else service.url, model=NAME, key="right"
    )
    try:
        return asker.ask(image, with_mask=False)
    finally:
        asker.close()


def growth(before: Found, after: Found, series: str) -> dict[tuple[str, ...], float]:
    """What was added to a series."""
    rows = {labels: value - before.get(series, {}).get(labels, 0.0) for labels, value in after.get(series, {}).items()}
    return {labels: value for labels, value in rows.items() if value}


ROUTES = {
    "http": ("http", "/v1/predict", "200"),
    "v2": ("http", "/v2/models/{model}/infer", "200"),
    "grpc": ("grpc", "ModelInfer", "OK"),
}


@pytest.mark.parametrize("protocol", ROUTES)
def test_an_answer_is_counted_by_protocol_route_and_status(service: Addresses, protocol: str, image: bytes) -> None:
    own = image + protocol.encode()  # other bytes, so that no cache knows the answer
    before = scrape(service)
    assert ask(service, protocol, own).values["status"] == "ok"
    after = scrape(service)
    assert growth(before, after, "millrace_serve_requests_total")[ROUTES[protocol]] == 1
    assert growth(before, after, "millrace_serve_request_seconds_count")[ROUTES[protocol]] == 1
    assert growth(before, after, "millrace_serve_received_bytes_total")[ROUTES[protocol][:1]] >= len(own)
    assert growth(before, after, "millrace_serve_sent_bytes_total")[ROUTES[protocol][:1]] > 100
    assert growth(before, after, "millrace_serve_images_total") == {(NAME, "ok"): 1}
    assert growth(before, after, "millrace_serve_stage_seconds_count") == {
        (NAME, stage): 1 for stage in ("queue", "prepare", "infer", "finish")
    }
    assert growth(before, after, "millrace_serve_batches_total") == {(NAME,): 1}
    assert growth(before, after, "millrace_serve_batch_images_count") == {(NAME,): 1}
    assert growth(before, after, "millrace_serve_cache_hits_total") == {}


def test_a_known_answer_is_a_hit_and_takes_no_time_of_the_model(service: Addresses, image: bytes) -> None:
    ask(service, "http", image)
    before = scrape(service)
    ask(service, "http", image)
    after = scrape(service)
    assert growth(before, after, "millrace_serve_cache_hits_total") == {(NAME,): 1}
    assert growth(before, after, "millrace_serve_images_total") == {(NAME, "ok"): 1}
    assert growth(before, after, "millrace_serve_batches_total") == {}


@pytest.mark.parametrize("protocol", ROUTES)
def test_what_is_no_image_is_counted_and_no_forward(service: Addresses, protocol: str) -> None:
    before = scrape(service)
    assert ask(service, protocol, b"no image " + protocol.encode()).values["status"] == "unsupported"
    after = scrape(service)
    assert growth(before, after, "millrace_serve_images_total") == {(NAME, "unsupported"): 1}
    assert growth(before, after, "millrace_serve_rejected_total") == {(ROUTES[protocol][0], "bad-image"): 1}
    assert growth(before, after, "millrace_serve_batches_total") == {}


def test_a_refusal_is_counted_by_its_reason(service: Addresses) -> None:
    before = scrape(service)
    request = urllib.request.Request(f"{service.url}/v1/models", headers={"Authorization": "Bearer wrong"})
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=30)
    after = scrape(service)
    assert growth(before, after, "millrace_serve_rejected_total") == {("http", "unauthorized"): 1}
    assert growth(before, after, "millrace_serve_images_total") == {}


def test_metrics_are_told_to_who_has_a_key(service: Addresses) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{service.url}/metrics", timeout=30)


def test_an_unknown_model_makes_no_new_series(service: Addresses, image: bytes) -> None:
    asker = build_asker("http", service.url, model="made-up", key="right")
    assert "404" in asker.ask(image, with_mask=False).refusal
    asker.close()
    assert "made-up" not in json.dumps([list(labels) for rows in scrape(service).values() for labels in rows])


def test_the_documented_command_shows_them(service: Addresses) -> None:
    ((_, command),) = documented_blocks("Metrics")
    arguments = command.replace("http://127.0.0.1:8000", service.url).split()
    ended = subprocess.run([*arguments, "-H", "X-API-Key: right"], capture_output=True, text=True, check=True)
    assert "\nmillrace_serve_model_loaded{" in ended.stdout


def test_models_and_the_process_are_looked_up(service: Addresses) -> None:
    found = scrape(service)
    assert [(labels[1], value) for labels, value in found["millrace_serve_model_loaded"].items()] == [(NAME, 1.0)]
    assert found["millrace_serve_queued_images"] == {(NAME,): 0.0}
    assert found["millrace_serve_resident_memory_bytes"][()] > 50_000_000
    assert found["millrace_serve_cpu_seconds_total"][()] > 0
    assert found["millrace_serve_requests_in_flight"]["http",] == 1  # the one that asks


def test_all_that_the_dashboard_shows_is_told(service: Addresses) -> None:
    dashboard = (ROOT / "serve" / "grafana.json").read_text(encoding="utf-8")
    told = {name.removesuffix("_total") for name in scrape(service)}
    for series in set(re.findall(r"millrace_\w+", dashboard)):
        assert series.removesuffix("_total") in told or re.sub(r"_(bucket|sum|count)$", "", series) in told
    assert {metric.name.removesuffix("_total") for metric in METRICS} <= told
