"""How commands print tables: whole, also where nothing says how wide the output is."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

MIN_WIDTH = 130
"""Columns of an output that is no terminal: a file does not wrap at 80."""


def print_table(table: Table) -> None:
    """Print a table to standard output."""
    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, MIN_WIDTH)
    console.print(table)
