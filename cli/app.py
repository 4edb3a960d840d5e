"""The command group, and how errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from importlib.metadata import version

import click

from ..errors import OfferliftError
from . import (
    analysis,
    assignment,
    auditing,
    definitions,
    demonstration,
    importing,
    lifecycle,
    maintenance,
    planning,
    programming,
    reviewing,
    simulating,
    statements,
)
from .options import DATABASE_ENV, DEFAULT_DATABASE

__all__ = ["cli", "main"]

EXIT_BUG = 70


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(version("offerlift"), prog_name="offerlift")
@click.option("--db", metavar="URL", help=f"The store, before or after the command [env {DATABASE_ENV}].")
@click.pass_context
def cli(context: click.Context, db: str | None) -> None:
    """A/B experiments on e-commerce offers: assign visitors, record outcomes, read the lift, decide.

    Data goes to standard output, everything else to standard error. Exit codes: 0 ok, 1 findings, 2 usage or bad
    definition, 3 store or I/O (safe to retry), 70 a bug.
    """
    context.obj = db or os.environ.get(DATABASE_ENV) or DEFAULT_DATABASE


for command in (
    *(definitions.init, demonstration.demo, definitions.validate, definitions.schema),
    *(
        planning.plan,
        simulating.simulate,
        definitions.publish,
        lifecycle.start,
        lifecycle.phase,
        lifecycle.pause,
        lifecycle.resume,
        lifecycle.stop,
    ),
    *(assignment.assign, importing.import_group),
    *(
        analysis.analyze,
        analysis.report,
        reviewing.review,
        programming.programme,
        auditing.audit,
        statements.sql,
        maintenance.database,
    ),
):
    cli.add_command(command)


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code and prints what went wrong to standard error."""
    try:
        return cli.main(arguments, prog_name="offerlift", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return 130
    except OfferliftError as error:
        click.echo(f"Error: {error}", err=True)
        return error.exit_code
    except BrokenPipeError:
        # The reader of our output (head, less) went away; what is left of it has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        click.echo(f"Error: {error.filename or 'file'}: {error.strerror or error}", err=True)
        return 3
    except Exception:
        traceback.print_exc()
        click.echo("This is a bug in offerlift, not in your input; please report it with the lines above.", err=True)
        return EXIT_BUG
