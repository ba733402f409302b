from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from typer import Typer
from typer.testing import CliRunner

from inference_core.errors import ConfigError
from serve.config import SecurityConfig
from serve.errors import RateLimitError, UnauthorizedError
from serve.key_command import register
from serve.key_file import add_key, read_key_file, remove_key
from serve.keys import KeyRing, authorizer, key_in_headers, open_keys
from serve.rate_limit import TokenBucket
from tests.clocks import Clock
from tests.serve.http_service import RED, HttpService, http_service, png
from tests.serve.tiny_service import tiny_config


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.yaml"


def test_a_file_holds_hashes_and_is_for_its_owner_alone(path: Path) -> None:
    key = add_key(path, "alice")
    assert len(key) >= 43
    assert key not in path.read_text()
    assert read_key_file(path).keys[0].sha256 == hashlib.sha256(key.encode()).hexdigest()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_two_keys_are_alike(path: Path) -> None:
    assert len({add_key(path, f"n{index}") for index in range(5)}) == 5


@pytest.mark.parametrize(
    ("name", "told"),
    [("alice", "must be a name without a key, got alice"), ("two words", "name: .*must match"), ("", "name")],
)
def test_names_of_keys(path: Path, name: str, told: str) -> None:
    add_key(path, "alice")
    with pytest.raises(ConfigError, match=told):
        add_key(path, name)


def test_a_key_that_is_removed_is_gone(path: Path) -> None:
    add_key(path, "alice")
    add_key(path, "bob")
    remove_key(path, "alice")
    assert [entry.name for entry in read_key_file(path).keys] == ["bob"]
    with pytest.raises(ConfigError, match="must be the name of a key, got alice; there are: bob"):
        remove_key(path, "alice")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("keys: [{name: a, sha256: abc}]", "sha256"),
        ("keys: [{name: a, key: secret}]", "key"),
        ("keys: []", "must hold at least one key"),
        ("[", "must be YAML"),
    ],
    ids=["short-hash", "plain-key", "empty", "no-yaml"],
)
def test_files_that_are_refused(path: Path, text: str, told: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        KeyRing(path)


def test_an_absent_file_is_refused_and_none_asks_for_no_key(path: Path) -> None:
    with pytest.raises(ConfigError, match="millrace serve-key add"):
        open_keys(SecurityConfig(keys_file=str(path)))
    assert open_keys(SecurityConfig()) is None


def test_whose_key_it_is(path: Path) -> None:
    keys = {name: add_key(path, name) for name in ("alice", "bob")}
    ring = KeyRing(path)
    assert {name: ring.use(key).name for name, key in keys.items()} == {"alice": "alice", "bob": "bob"}


@pytest.mark.parametrize("wrong", [None, "", "mr-", "é", "x" * 10_000], ids=["none", "empty", "prefix", "é", "long"])
def test_other_keys_are_refused(path: Path, wrong: str | None) -> None:
    add_key(path, "alice")
    with pytest.raises(UnauthorizedError):
        KeyRing(path).use(wrong)


def test_a_key_with_something_after_it_is_another(path: Path) -> None:
    key = add_key(path, "alice")
    with pytest.raises(UnauthorizedError):
        KeyRing(path).use(key + "x")


def test_a_file_that_changes_counts_soon(path: Path, clock: Clock) -> None:
    first = add_key(path, "alice")
    ring = KeyRing(path, clock=clock)
    second = add_key(path, "bob")
    remove_key(path, "alice")
    assert ring.use(first).name == "alice"  # not looked at again yet
    clock.now_s += 2
    assert ring.use(second).name == "bob"
    with pytest.raises(UnauthorizedError):
        ring.use(first)


def test_a_file_that_breaks_leaves_the_keys_as_they_were(path: Path, clock: Clock) -> None:
    key = add_key(path, "alice")
    ring = KeyRing(path, clock=clock)
    path.write_text("keys: [")
    clock.now_s += 2
    assert ring.use(key).name == "alice"


def test_a_limit_is_per_key_and_comes_back(path: Path, clock: Clock) -> None:
    limited, free = add_key(path, "alice", per_minute=60, burst=2), add_key(path, "bob")
    ring = KeyRing(path, clock=clock)
    ring.use(limited).charge(1)
    with pytest.raises(RateLimitError, match="key alice must ask less often") as caught:
        ring.use(limited)
    assert caught.value.retry_after_s == 1
    for _ in range(100):
        ring.use(free)
    clock.now_s += 1
    ring.use(limited)


def test_a_bucket_lets_a_large_call_through_when_it_is_full_and_is_paid_afterwards(clock: Clock) -> None:
    bucket = TokenBucket(per_minute=60, burst=4, clock=clock)
    assert bucket.take(10) == 0
    assert bucket.take(1) == pytest.approx(7)  # six owed, and one more
    clock.now_s += 7
    assert bucket.take(1) == 0


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ([], None),
        ([(b"authorization", b"Bearer abc")], "abc"),
        ([(b"authorization", b"bearer  abc ")], "abc"),
        ([(b"authorization", b"Basic abc")], ""),
        ([(b"x-api-key", b"abc")], "abc"),
    ],
    ids=["none", "bearer", "lower-case", "basic", "x-api-key"],
)
def test_where_a_key_stands(headers: list[tuple[bytes, bytes]], key: str | None) -> None:
    assert key_in_headers(headers) == key


def test_metadata_of_grpc_holds_keys_in_the_same_places(path: Path) -> None:
    key = add_key(path, "alice")
    authorize = authorizer(KeyRing(path))
    assert authorize is not None
    assert authorize([("authorization", f"Bearer {key}")]).name == "alice"
    with pytest.raises(UnauthorizedError):
        authorize([("x-api-key", b"other")])
    assert authorizer(None) is None


def test_the_command_prints_the_key_once(path: Path) -> None:
    app = Typer()
    register(app)
    runner = CliRunner()
    added = runner.invoke(app, ["serve-key", "add", "alice", "--file", str(path), "--per-minute", "600"])
    key = added.stdout.strip()
    assert KeyRing(path).use(key).name == "alice"
    listed = runner.invoke(app, ["serve-key", "list", "--file", str(path)]).stdout
    assert listed.startswith("alice  600 a minute  sha256 ")
    assert key not in listed
    assert runner.invoke(app, ["serve-key", "remove", "alice", "--file", str(path)]).exit_code == 0
    assert yaml.safe_load(path.read_text()) == {"keys": []}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HttpService, str, str]]:
    folder = tmp_path_factory.mktemp("keyed")
    path = folder / "keys.yaml"
    free, limited = add_key(path, "free"), add_key(path, "limited", per_minute=1, burst=3)
    config = tiny_config(
        folder, security={"keys_file": str(path), "cors_origins": ["https://page.example"]}, limits={"max_images": 4}
    )
    with http_service(config) as service:
        yield service, free, limited


@pytest.mark.parametrize(
    "path", ["/v1/predict", "/v1/models", "/v2/models/tiny-classification", "/v1/nothing", "/metrics"]
)
def test_nothing_is_told_without_a_key(keyed: tuple[HttpService, str, str], path: str) -> None:
    answer = httpx.get(keyed[0].url + path)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="millrace"')
    assert answer.json()["type"] == "urn:millrace:problem:unauthorized"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/v2/health/live", "/openapi.json", "/"])
def test_health_and_the_page_need_none(keyed: tuple[HttpService, str, str], path: str) -> None:
    assert httpx.get(keyed[0].url + path).status_code == 200


def test_a_key_is_checked_before_a_body_is_read(keyed: tuple[HttpService, str, str]) -> None:
    sent = b"POST /v1/predict HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\nX-API-Key: mr-wrong\r\n\r\n"
    answer = keyed[0].talk(sent)
    assert (answer.status, answer.headers["connection"]) == (401, "close")


def test_every_image_counts(keyed: tuple[HttpService, str, str]) -> None:
    service, free, limited = keyed
    url, files = f"{service.url}/v1/predict", [("file", ("a.png", png(RED)))] * 2
    assert httpx.post(url, files=files, headers={"x-api-key": limited}).status_code == 200
    assert httpx.post(url, content=png(RED), headers={"x-api-key": limited}).status_code == 200
    refused = httpx.post(url, content=png(RED), headers={"authorization": f"Bearer {limited}"})
    assert refused.status_code == 429
    assert 50 < int(refused.headers["retry-after"]) <= 60
    assert httpx.post(url, content=png(RED), headers={"x-api-key": free}).status_code == 200


def test_pages_of_a_named_origin_may_ask(keyed: tuple[HttpService, str, str]) -> None:
    service, free, _ = keyed
    origin = {"origin": "https://page.example"}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    assert httpx.options(f"{service.url}/v1/predict", headers={**origin, **asked}).status_code == 200
    answer = httpx.post(f"{service.url}/v1/predict", content=png(RED), headers={**origin, "x-api-key": free})
    assert answer.headers["access-control-allow-origin"] == "https://page.example"
    other = httpx.get(f"{service.url}/healthz", headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_limit_is_one_for_all_processes_of_a_service(path: Path, tmp_path: Path, clock: Clock) -> None:
    key = add_key(path, "alice", per_minute=60, burst=2)
    rings = [KeyRing(path, folder=tmp_path, clock=clock) for _ in "12"]
    for ring in rings:
        ring.use(key)
    for ring in rings:
        with pytest.raises(RateLimitError):
            ring.use(key)
    clock.now_s += 1
    rings[0].use(key)
    with pytest.raises(RateLimitError):
        rings[1].use(key)


def test_a_limit_outlives_a_restart_of_the_machine(path: Path, tmp_path: Path, clock: Clock) -> None:
    key = add_key(path, "alice", per_minute=60, burst=1)
    KeyRing(path, folder=tmp_path, clock=clock).use(key)
    clock.now_s = 1.0  # the clock begins anew with the machine
    KeyRing(path, folder=tmp_path, clock=clock).use(key)


def test_keys_of_one_file_do_not_share_a_limit(path: Path, tmp_path: Path, clock: Clock) -> None:
    keys = [add_key(path, name, per_minute=60, burst=1) for name in ("alice", "bob")]
    ring = KeyRing(path, folder=tmp_path, clock=clock)
    for key in keys:
        ring.use(key)
    with pytest.raises(RateLimitError, match="key bob"):
        ring.use(keys[1])
