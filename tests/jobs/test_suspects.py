from __future__ import annotations

from pathlib import Path

import pytest

from inference_core.errors import JobError
from jobs.suspects import SUSPECTS, note_suspects, read_suspects


def test_nothing_is_noted_at_first(tmp_path: Path) -> None:
    assert read_suspects(str(tmp_path)) == frozenset()


def test_what_is_noted_is_read_and_kept_once(tmp_path: Path) -> None:
    note_suspects(str(tmp_path), [3, 1])
    note_suspects(str(tmp_path), [1])
    note_suspects(str(tmp_path), [])
    assert len(list((tmp_path / SUSPECTS).iterdir())) == 1
    note_suspects(str(tmp_path), [3, 4])
    assert read_suspects(str(tmp_path)) == {1, 3, 4}


@pytest.mark.parametrize("text", ["", "[]", '{"shard_ids": ["x"]}', '{"other": 1}'])
def test_a_damaged_note_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / SUSPECTS).mkdir()
    (tmp_path / SUSPECTS / "a.json").write_text(text)
    with pytest.raises(JobError, match=r"_suspects/a\.json must be a note of shards"):
        read_suspects(str(tmp_path))
