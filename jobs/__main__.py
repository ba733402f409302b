"""``python -m jobs``: the same as ``millrace``, for ``ray job submit``."""

from __future__ import annotations

import typer

from inference_core.cli import run_app
from jobs.cli import register


def main() -> None:
    """Run the job subcommands."""
    app = typer.Typer(name="python -m jobs", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    register(app)
    run_app(app)


if __name__ == "__main__":
    main()
