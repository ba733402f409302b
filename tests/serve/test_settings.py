from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.errors import ConfigError
from serve.settings import read_settings


def test_flags_win_over_the_file_and_assignments_over_flags(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("models: [{package: a, batch_size: 2}]\nhttp: {port: 1}\ncache_bytes: 7\n")
    config = read_settings(
        [], str(file), flags={"http.port": 2, "grpc.port": None}, assignments=["http.port=3", "models.0.max_queue=5"]
    )
    assert (config.http.port, config.grpc.port, config.cache_bytes) == (3, 8001, 7)
    assert (config.models[0].package, config.models[0].batch_size, config.models[0].max_queue) == ("a", 2, 5)


def test_packages_replace_those_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("models: [{package: a}]\n")
    assert [model.package for model in read_settings(["b", "c"], str(file)).models] == ["b", "c"]


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("http.port", "KEY=VALUE, got 'http.port'"),
        ("http..port=1", "KEY=VALUE"),
        ("http.prot=1", "did you mean 'port'"),
        ("http.port.x=1", "below a group"),
        ("models.3.batch_size=1", "must number one of 1 from 0, got '3'"),
        ("models.x.batch_size=1", "must number one of 1 from 0, got 'x'"),
        ("http.port={", "must have a YAML value"),
        ("http.port=70000", "less than or equal to 65535"),
        ("http.host=0.0.0.0", "must be loopback where no keys are asked for"),
        ("listener=haproxy", "must be loopback where no keys are asked for, got 0.0.0.0"),
    ],
)
def test_tells_what_is_wrong_with_an_assignment(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(["a"], assignments=["http.port=1", assignment])


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "existing file"), ("- a", "must hold a mapping"), ("{}", "models: is required")],
)
def test_tells_what_is_wrong_with_a_file(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "serve.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_settings([], str(file))
