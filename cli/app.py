"""The command group, and how errors become messages and exit codes.

A command's module is loaded when the command is called: `offerlift --help` costs little more than click.
"""

from __future__ import annotations

import os
import sys

import click

from ..errors import OfferliftError
from .lazy import LazyGroup, Place

__all__ = ["cli", "main"]

EXIT_BUG = 70

SECTIONS = {
    "Write and check": {
        "init": Place("definitions", "init", "Write a starter FOLDER (default: offers) with one commented definition."),
        "demo": Place("demonstration", "demo", "Fill FOLDER with three experiments on a simulated shop, and report."),
        "validate": Place("definitions", "validate", "Check the definition PATH, or all *.yaml in a folder."),
        "schema": Place("definitions", "schema", "Print the JSON Schema of definitions, for editors and pipelines."),
        "plan": Place("planning", "plan", "Tell how many weeks EXPERIMENT takes, and what would shorten it."),
        "simulate": Place("simulating", "simulate", "Try the plan of EXPERIMENT out on the shop's own visitors."),
    },
    "Run": {
        "publish": Place("definitions", "publish", "Write definitions as new versions to the store and the snapshot."),
        "start": Place("lifecycle", "start", "Start EXPERIMENT: from now on visitors are split."),
        "phase": Place("lifecycle", "phase", "Open the next phase of a running experiment."),
        "pause": Place("lifecycle", "pause", "Pause EXPERIMENT, the kill switch: everyone gets the control."),
        "resume": Place("lifecycle", "resume", "Let a paused EXPERIMENT run on, in the same phase."),
        "stop": Place("lifecycle", "stop", "Stop EXPERIMENT for good, or ship an arm."),
        "assign": Place("assignment", "assign", "Print the arm of VISITOR in EXPERIMENT and why."),
        "import": Place("importing", "import_group", "Bring rows from CSV and Parquet files into the store."),
    },
    "Read and decide": {
        "status": Place("status", "status", "List all experiments: state, visitors, what is to be done."),
        "review": Place("reviewing", "review", "Record the looks that are due, and write the meeting's page."),
        "decide": Place("deciding", "decide", "Record what was decided about EXPERIMENT, by whom and why."),
        "log": Place("log", "log", "Print what happened to EXPERIMENT, or to all, the newest last."),
        "analyze": Place("analysis", "analyze", "Analyse EXPERIMENT: health, the decision, the numbers."),
        "report": Place("analysis", "report", "Write the report of EXPERIMENT as one HTML page, or as charts."),
        "programme": Place("programming", "programme", "Add up what all shipped offers bring, losers counted."),
        "serve": Place("serving", "serve", "Show all experiments live in a browser, read-only."),
        "check": Place("checking", "check", "Check the health of experiments; show no effects."),
    },
    "Look after": {
        "audit": Place("auditing", "audit", "Compute every stored assignment of EXPERIMENT again."),
        "sql": Place("statements", "sql", "Print the statements of an analysis, for a warehouse."),
        "db": Place("maintenance", "database", "Look after the store: its layout, what is in it, taking rows out."),
        "doctor": Place("doctor", "doctor", "Check this machine, the store and the snapshot."),
        "completion": Place("completing", "completion", "Print the script by which SHELL completes commands."),
    },
}
"""Every command under the heading of the help."""


def _print_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    # Loaded when it is asked for: reading the version costs as much as all the rest of --help.
    if value and not context.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"offerlift, version {version('offerlift')}")
        context.exit()


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`offerlift COMMAND --help` has an example of each; docs/commands.md has the conventions.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="The version."
)
@click.option("--db", metavar="URL", help="The store, before or after the command [env OFFERLIFT_DB].")
@click.pass_context
def cli(context: click.Context, db: str | None) -> None:
    """A/B experiments on e-commerce offers: assign visitors, record outcomes, read the lift, decide.

    Data goes to standard output, everything else to standard error. Exit codes: 0 ok, 1 findings, 2 usage or bad
    definition, 3 store or I/O (safe to retry), 70 a bug.
    """
    # The environment is read by `options.database_option`, which knows the default too.
    context.obj = db


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
        import traceback

        traceback.print_exc()
        click.echo("This is a bug in offerlift, not in your input; please report it with the lines above.", err=True)
        return EXIT_BUG
