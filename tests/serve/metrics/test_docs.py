from __future__ import annotations

import json
import re

from serve.metrics.access_log import line_fields
from serve.metrics.names import METRICS
from tests.integration.documented import SERVING, documented_blocks
from tests.serve.metrics.test_access_log import answer, visit


def test_the_documentation_has_every_metric_as_it_is() -> None:
    table = re.search(r"<!-- metrics -->\n(.*?)<!-- end -->", SERVING.read_text(encoding="utf-8"), re.DOTALL)
    assert table is not None
    expected = [
        f"| `{metric.name}` | {metric.kind} | {', '.join(f'`{label}`' for label in metric.labels)} | {metric.meaning} |"
        for metric in METRICS
    ]
    assert table[1].splitlines()[2:] == expected


def test_the_documented_line_is_one_that_is_written() -> None:
    ((language, text),) = documented_blocks("Access log")
    assert language == "json"
    written = line_fields(0.0, 0.1, visit(answer()))
    shown = json.loads(text)
    assert {name: type(value) for name, value in shown.items()} == {
        name: type(value) for name, value in written.items()
    }
