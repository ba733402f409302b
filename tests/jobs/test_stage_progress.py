from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from jobs.stage_progress import count_items, shown_stages, silent_stages


def test_stages_are_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    stages = shown_stages(Console(file=io.StringIO()), log_format="text")
    with stages("pictures", total=3) as advance:
        advance(2)
        advance(1)
    with stages("explanations", total=0):
        pass
    assert [line.split(",")[0] for line in capsys.readouterr().err.splitlines()] == ["pictures 3/3"]


def test_stages_are_events_where_json_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_stages(Console(), log_format="json")("pictures", total=2) as advance:
        advance(2)
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["stage"], event["done"], event["total"]) == ("progress", "pictures", 2, 2)


def test_stages_are_bars_one_below_the_other_on_a_terminal() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    stages = shown_stages(console, log_format="text")
    for name in ("pictures", "explanations"):
        with stages(name, total=2) as advance:
            advance(2)
    written = console.file.getvalue()  # type: ignore[attr-defined]
    assert written.index("pictures") < written.rindex("explanations")
    assert written.count("2/2") >= 2
    assert "failed" not in written


def test_silent_stages_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with silent_stages("pictures", total=2) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")


def test_items_are_counted_as_they_pass(capsys: pytest.CaptureFixture[str]) -> None:
    stages = shown_stages(Console(file=io.StringIO()), log_format="text")
    assert list(count_items("abc", "answers", total=3, stages=stages)) == ["a", "b", "c"]
    assert capsys.readouterr().err.startswith("answers 3/3")


def test_a_stage_that_is_left_early_says_where(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        for item in count_items("abc", "answers", total=3, stages=shown_stages(Console(), log_format="json")):
            assert item == "a", "the second is refused"

    with pytest.raises(AssertionError):
        refuse()
    assert '"done": 1' in capsys.readouterr().err
