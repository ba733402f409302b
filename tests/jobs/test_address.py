from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from inference_core.errors import ConfigError
from jobs.address import check_address


@pytest.fixture
def port() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dead_port() -> int:
    """A port that nothing listens on any more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "localhost:{}", "ray://127.0.0.1:{}"])
def test_where_something_listens_ray_may_connect(port: int, form: str) -> None:
    check_address(form.format(port))


@pytest.mark.parametrize("address", ["auto", "local"])
def test_what_ray_finds_itself_is_left_to_it(address: str) -> None:
    check_address(address)


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "[::1]:{}"])
def test_where_nothing_listens_is_told_at_once(dead_port: int, form: str) -> None:
    address = form.format(dead_port)
    with pytest.raises(
        ConfigError, match=r"execution.address: must be the address of a running cluster, got '.*start it"
    ):
        check_address(address)


def test_where_nobody_answers_the_time_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        name = server.getsockname()
        waiting = [socket.socket() for _ in range(4)]  # fill the queue, so that the next one gets no answer
        for other in waiting:
            other.setblocking(False)
            other.connect_ex(name)
        try:
            with pytest.raises(ConfigError, match=r"\(no answer in 0.2 s\)"):
                check_address(f"127.0.0.1:{name[1]}", timeout_s=0.2)
        finally:
            for other in waiting:
                other.close()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:8265", "must be HOST:PORT of the cluster, got the dashboard's"),
        ("nonsense", r"must be HOST:PORT, ray://HOST:PORT or auto, got 'nonsense'"),
        ("", "must be HOST:PORT"),
        ("host:", "must be HOST:PORT"),
        ("127.0.0.1:99999", "must be the address of a running cluster"),
    ],
)
def test_what_is_no_address_is_refused(address: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_address(address)
