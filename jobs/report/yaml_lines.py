"""Settings as lines of YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml


def yaml_lines(settings: Mapping[str, Any]) -> list[str]:
    """The settings as lines of YAML; what YAML does not know is shown as text."""
    plain = json.loads(json.dumps(settings, default=str))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).splitlines()
