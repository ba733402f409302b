from __future__ import annotations

from pathlib import PurePosixPath

from jobs.report.yaml_lines import yaml_lines


def test_settings_that_yaml_does_not_know_are_shown_as_text() -> None:
    lines = yaml_lines({"output": PurePosixPath("out/run"), "size_hw": (2, 3)})
    assert lines == ["output: out/run", "size_hw:", "- 2", "- 3"]
