"""The ``millrace`` command: the core's subcommands, and those that other packages register."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import entry_points

import typer

from inference_core.commands.check import check_model
from inference_core.commands.exit_codes import EXIT_DONE, EXIT_INTERRUPTED
from inference_core.commands.explain import explain
from inference_core.commands.export import export_model
from inference_core.commands.import_model import import_model_command
from inference_core.commands.optimise import optimise_model
from inference_core.commands.predict import predict
from inference_core.commands.seal import seal_model
from inference_core.commands.verify import verify_model
from inference_core.commands.video import annotate_video
from inference_core.errors import MillraceError
from inference_core.storage import mask_secrets

COMMANDS_GROUP = "millrace.commands"
"""Entry points that add subcommands: each is called with the application."""


def build_app() -> typer.Typer:
    """The application with every installed subcommand."""
    app = typer.Typer(
        name="millrace",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    models = typer.Typer(no_args_is_help=True, help="Make, look at and prove model packages.")
    models.command("check")(check_model)
    models.command("export")(export_model)
    models.command("import")(import_model_command)
    models.command("optimise")(optimise_model)
    models.command("seal")(seal_model)
    models.command("verify")(verify_model)
    app.command("predict")(predict)
    app.command("video")(annotate_video)
    app.command("explain")(explain)
    app.add_typer(models, name="models")
    for entry in sorted(entry_points(group=COMMANDS_GROUP), key=lambda found: found.name):
        register: Callable[[typer.Typer], None] = entry.load()
        register(app)
    return app


def main() -> None:
    """Run the command; errors become one message and an exit code."""
    run_app(build_app())


def run_app(app: typer.Typer) -> None:
    """Run an application as a command line does and exit with its code."""
    try:
        code = app(standalone_mode=False)
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt  # typer makes a code of it without a word
    except MillraceError as exc:
        sys.stderr.write(f"error: {mask_secrets(str(exc))}\n")  # whatever it quotes
        sys.exit(exc.exit_code)
    except typer.Exit as exc:
        sys.exit(exc.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted; the same command goes on where this one stopped\n")
        sys.exit(EXIT_INTERRUPTED)
    except UsageErrors as exc:
        exc.show()  # type: ignore[attr-defined]
        sys.exit(exc.exit_code)  # type: ignore[attr-defined]
    sys.exit(code or EXIT_DONE)


def usage_errors() -> type[Exception]:
    """The base of what the argument parser raises on wrong usage: click's, or that of the copy inside newer typers."""
    return next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")


UsageErrors = usage_errors()
