from __future__ import annotations

import re
from pathlib import Path

import pytest

from inference_core.errors import ConfigError
from inference_core.importing.presets import PRESETS, find_preset

PAGE = Path(__file__).resolve().parents[3] / "docs" / "import.md"


def test_the_docs_list_every_preset_with_its_meaning() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Presets")[2].partition("##")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|$", section, re.MULTILINE)
    assert dict(rows) == {name: preset.meaning for name, preset in PRESETS.items()}


def test_the_docs_say_which_presets_fit_images_into_the_input() -> None:
    fitting = [name for name, preset in PRESETS.items() if "input.fit" in preset.facts]
    assert fitting == ["torchvision", "clip", "yolo"]
    assert "All but `torchvision`, `clip` and `yolo` leave `input.fit`" in PAGE.read_text(encoding="utf-8")


def test_a_preset_by_name() -> None:
    assert find_preset("inception") is PRESETS["inception"]
    with pytest.raises(ConfigError, match=r"^preset: must be one of .*, got 'x'; correct it"):
        find_preset("x")
