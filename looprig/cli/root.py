"""The group that all commands belong to."""

from __future__ import annotations

import click

from looprig.cli.shared import EXIT_CODES
from looprig.version import __version__


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="looprig")
@click.option("--debug", is_flag=True, help="Show tracebacks of looprig's own errors.")
@click.option("--color/--no-color", default=None, help="Colour; by default only on a terminal, and NO_COLOR is heeded.")
@click.pass_context
def cli(context: click.Context, debug: bool, color: bool | None) -> None:
    """Looprig: a test rig for chat loops.

    It plays scripted conversations against a loop, checks what the loop sends to the model, and measures
    what that costs. No model, no API key and no network is needed.

    \b
    looprig run                                    all scenarios, the reference loop
    looprig run pending_calls --loop app.chat:make_loop
    looprig compare reference,policy=seed reference
    """
    context.obj = {"debug": debug}
    context.color = _wants_color() if color is None else color


def _wants_color() -> bool | None:
    import os

    return False if os.environ.get("NO_COLOR") else True if os.environ.get("FORCE_COLOR") else None
