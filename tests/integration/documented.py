"""Code blocks of docs/serving.md, for tests that run them."""

from __future__ import annotations

import re
from pathlib import Path

SERVING = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def documented_blocks(section: str) -> list[tuple[str, str]]:
    """Languages and texts of the blocks below one heading."""
    text = SERVING.read_text(encoding="utf-8")
    found = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"docs/serving.md has no section {section}"
    return BLOCK.findall(found[1])
