"""``millrace serve-key``: keys of a service are drawn, listed and withdrawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serve.key_file import add_key, read_key_file, remove_key

NameArgument = Annotated[str, typer.Argument(help="Who holds the key; stands in the access log.")]
FileOption = Annotated[Path, typer.Option("--file", "-f", help="YAML of security.keys_file.")]
LimitOption = Annotated[int | None, typer.Option("--per-minute", min=1, help="Images in a minute; none by default.")]
BurstOption = Annotated[
    int | None, typer.Option("--burst", min=1, help="Images at once; those of a minute by default.")
]

DEFAULT_FILE = Path("keys.yaml")


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    keys = typer.Typer(no_args_is_help=True, help="API keys of a service: add, list, remove.")
    keys.command("add")(add)
    keys.command("list")(show)
    keys.command("remove")(remove)
    app.add_typer(keys, name="serve-key")


def add(
    name: NameArgument, file: FileOption = DEFAULT_FILE, per_minute: LimitOption = None, burst: BurstOption = None
) -> None:
    """Draw a key, keep its hash in the file and print the key: once, it is nowhere else."""
    key = add_key(file, name, per_minute=per_minute, burst=burst)
    Console(stderr=True, soft_wrap=True).print(
        f"key of {name}, shown only now; its hash is in {file}:", highlight=False
    )
    typer.echo(key)


def show(file: FileOption = DEFAULT_FILE) -> None:
    """Names and limits; of each key the beginning of its hash."""
    for entry in read_key_file(file).keys:
        limit = "no limit" if entry.per_minute is None else f"{entry.per_minute} a minute"
        typer.echo(f"{entry.name}  {limit}  sha256 {entry.sha256[:12]}")


def remove(name: NameArgument, file: FileOption = DEFAULT_FILE) -> None:
    """Withdraw a key; services that use the file refuse it within seconds."""
    remove_key(file, name)
