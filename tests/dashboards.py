"""What every Grafana dashboard of ours is held to."""

from __future__ import annotations

from itertools import product
from typing import Any

GRID_WIDTH = 24
PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}


def check_brackets(expression: str) -> None:
    """Each that is opened is closed."""
    for opened, closed in ("()", "{}", "[]"):
        assert expression.count(opened) == expression.count(closed)


def check_shape(dashboard: dict[str, Any], *, uid: str) -> None:
    """The form that Grafana imports."""
    assert dashboard["uid"] == uid
    assert dashboard["schemaVersion"] >= 36  # from where a panel's data source is an object
    assert "id" not in dashboard  # Grafana gives it
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(set(ids)) == len(ids)
    assert len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references)
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]


def check_choices(dashboard: dict[str, Any], *, name: str, definition: str) -> None:
    """The reader chooses the data source, and one more thing; all panels follow."""
    source, chosen = dashboard["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == ("datasource", "datasource", "prometheus")
    assert (chosen["name"], chosen["type"]) == (name, "query")
    assert chosen["definition"] == chosen["query"]["query"] == definition
    shown = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    for holder in (chosen, *shown, *(target for panel in shown for target in panel["targets"])):
        assert holder["datasource"] == PROMETHEUS


def covered_cells(dashboard: dict[str, Any]) -> set[tuple[int, int]]:
    """The grid's cells (x, y) that panels cover, none twice and none outside."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        columns, rows = (range(place[near], place[near] + place[size]) for near, size in ("xw", "yh"))
        cells = set(product(columns, rows))
        assert not cells & taken
        assert all(x < GRID_WIDTH for x, _ in cells)
        taken |= cells
    return taken
