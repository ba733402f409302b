from __future__ import annotations

import socket

import pytest

from jobs.head_watch import HeadWatch, head_patience_s


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_a_head_that_answers_is_no_reason() -> None:
    with listening() as head:
        watch = HeadWatch(f"127.0.0.1:{head.getsockname()[1]}", patience_s=0)
        assert watch.find_reason() is None


def test_a_head_that_is_gone_is_a_reason_after_some_time() -> None:
    with listening() as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
    assert HeadWatch(address, patience_s=1e6).find_reason() is None
    found = HeadWatch(address, patience_s=0).find_reason()
    assert found is not None
    assert found.startswith(f"the run stopped: the cluster's head at {address} must answer, got nothing for 0 s")


def test_a_head_that_is_back_has_all_its_time_again() -> None:
    with listening() as head:
        port = head.getsockname()[1]
    watch = HeadWatch(f"127.0.0.1:{port}", patience_s=0)
    assert watch.find_reason() is not None
    with socket.create_server(("127.0.0.1", port)):
        assert watch.find_reason() is None
    watch._patience_s = 1e6
    assert watch.find_reason() is None, "it counts anew"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, 45.0, id="Ray's default"),
        pytest.param({"RAY_gcs_rpc_server_reconnect_timeout_s": "600"}, 450.0, id="set"),
        pytest.param({"RAY_gcs_rpc_server_reconnect_timeout_s": "long"}, 45.0, id="no number"),
    ],
)
def test_it_speaks_before_ray_ends_the_process(environment: dict[str, str], expected: float) -> None:
    assert head_patience_s(environment) == expected
