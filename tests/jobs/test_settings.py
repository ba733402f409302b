from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from inference_core.errors import ConfigError
from jobs.settings import read_settings

FLAGS: dict[str, Any] = {"model": "m", "input": ["in"], "output": "out"}


def write_config(folder: Path, data: Any) -> str:
    path = folder / "job.yaml"
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
    return str(path)


def test_defaults_are_overridden_by_the_file_then_flags_then_assignments(tmp_path: Path) -> None:
    config = write_config(
        tmp_path,
        {"model": "file-model", "input": "file-in", "output": "file-out", "max_error_frac": 0.1}
        | {"execution": {"batch_size": 1, "actors": 2}},
    )
    settings = read_settings(
        config,
        flags={"model": None, "input": ["flag-in"], "output": "flag-out"},
        assignments=["output=/set-out", "execution.batch_size=9"],
    )
    assert settings.model == f"file://{Path.cwd()}/file-model"
    assert settings.input == (f"file://{Path.cwd()}/flag-in",)
    assert settings.output == "file:///set-out"
    assert (settings.max_error_frac, settings.execution.batch_size, settings.execution.actors) == (0.1, 9, 2)
    assert settings.execution.layout == "auto"


def test_the_last_assignment_wins() -> None:
    settings = read_settings(None, flags=FLAGS, assignments=["max_error_frac=0.5", "max_error_frac=0.25"])
    assert settings.max_error_frac == 0.25


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("execution.batchsize=3", "execution.batchsize: is not a known key; did you mean 'batch_size'"),
        ("exectuion.batch_size=3", "exectuion: is not a known key; did you mean 'execution'"),
        ("frobnicate=3", "frobnicate: is not a known key; known here: drift_reference, dropout, exclude"),
        ("execution.batch_size=many", "execution.batch_size: must be auto or a number of at least 1, got 'many'"),
        ("execution.batch_size=0", "execution.batch_size: must be auto or a number of at least 1, got 0"),
        ("execution=3", "execution: must be"),
        ("execution.layout=both", "execution.layout: must be 'auto', 'split' or 'whole', got 'both'"),
        ("max_error_frac=", "max_error_frac: must be a valid number, got None"),
        ("input=[]", "input: must name at least one folder"),
        ("model=null", "model: must be a valid string, got None"),
    ],
)
def test_a_wrong_setting_is_named_with_its_rule(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(None, flags=FLAGS, assignments=[assignment])


def test_all_problems_come_at_once() -> None:
    with pytest.raises(ConfigError, match="the command line has 3 problems") as caught:
        read_settings(None, flags={"model": "m"}, assignments=["max_error_frac=2"])
    assert "input: is required and missing; set it" in str(caught.value)
    assert "output: is required and missing; set it" in str(caught.value)
    assert "max_error_frac" in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "must be YAML"),
        ("- a", "must hold a mapping of keys to values, got list"),
        ("\x00", "must be YAML"),
        ("model: m\ninput: i\noutput: o\nlimits: {max_pixel: 3}\n", "limits.max_pixel.*did you mean 'max_pixels'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    uri = write_config(tmp_path, content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_settings(uri, flags={}, assignments=[])
    assert "job.yaml" in str(caught.value)


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    uri = write_config(tmp_path, "")
    assert read_settings(uri, flags=FLAGS, assignments=[]) == read_settings(None, flags=FLAGS, assignments=[])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--config: must be an existing file, got .*none\.yaml; check the path"):
        read_settings(str(tmp_path / "none.yaml"), flags=FLAGS, assignments=[])


@pytest.mark.parametrize("flag", ["input", "output", "model"])
def test_credentials_in_a_name_are_refused_and_not_shown(flag: str) -> None:
    value: Any = "s3://key:secret@bucket/x"
    with pytest.raises(ConfigError, match=f"{flag}: uri must not carry credentials") as caught:
        read_settings(None, flags=FLAGS | {flag: [value] if flag == "input" else value}, assignments=[])
    assert "secret" not in str(caught.value)


def test_names_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings(
        None, flags={"model": "m", "input": ["a/../b", "S3://Bucket/Key/"], "output": "./o/"}, assignments=[]
    )
    assert settings.model == f"file://{tmp_path}/m"
    assert settings.input == (f"file://{tmp_path}/b", "s3://Bucket/Key")
    assert settings.output == f"file://{tmp_path}/o"
