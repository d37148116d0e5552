"""The command line: parse, call, print, exit. One file a command; `shared` has what they share."""

from __future__ import annotations

import sys
import traceback

import click

from looprig.cli import (
    compare,
    conformance,
    gate,
    growth,
    history,
    listing,
    load,
    predict,
    replay,
    report,
    run,
    serve,
    serve_loop,
    trim,
)
from looprig.cli.root import cli
from looprig.cli.shared import GROWTH, PROVIDERS, UsageProblem
from looprig.exits import Exit

COMMANDS = (
    compare,
    conformance,
    gate,
    growth,
    history,
    listing,
    load,
    predict,
    replay,
    report,
    run,
    serve,
    serve_loop,
    trim,
)
"""Each has joined the group when it was imported."""

__all__ = ["COMMANDS", "GROWTH", "PROVIDERS", "UsageProblem", "cli", "main"]


def main() -> None:
    """Run the command line; the entry point of the ``looprig`` script."""
    try:
        code = cli.main(standalone_mode=False)  # click returns what a command exits with, and None where it just ends
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe (head, less) has what it wanted.
        sys.stderr.close()
        sys.exit(Exit.PASSED)
    except Exception as error:
        _internal(error)
    else:
        sys.exit(code or Exit.PASSED)


def _internal(error: Exception) -> None:
    if "--debug" in sys.argv:
        traceback.print_exc()
    click.echo(
        f"internal error: {type(error).__name__}: {error}; this is a bug in looprig. "
        "Please report it with the output of the same command with --debug before the command's name",
        err=True,
    )
    sys.exit(Exit.INTERNAL)
