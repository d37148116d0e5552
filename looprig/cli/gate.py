"""`looprig gate` and `looprig init`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from looprig.cli.root import cli
from looprig.cli.shared import (
    EXIT_CODES,
    UsageProblem,
    apart,
    format_option,
    keep,
    kept_where,
    log_from,
    painted,
    say,
    store_option,
    terminal_width,
)


@cli.command("gate", epilog=EXIT_CODES)
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option(
    "--baseline",
    metavar="WHAT",
    help="What to compare with: a git revision, a results file (.json), store (the last run that passed), or none. "
    "By default the one of [tool.looprig].",
)
@click.option("--strict/--no-strict", default=None, help="Exit with 4 where something stays undecided.")
@format_option("table", "json", "junit", "github", "markdown")
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT=FILE",
    help="Also write this format to this file; - is standard output. May be given several times.",
)
@store_option
@click.pass_context
def gate_command(context: click.Context, /, names: Sequence[str], **given: Any) -> None:
    """Judge the loop of [tool.looprig] in pyproject.toml by its invariants, limits and baseline; one exit code.

    \b
    looprig gate
    looprig gate --baseline origin/main --strict
    looprig gate --baseline none --output json=baseline.json
    looprig gate --baseline baseline.json --format github --output markdown=comment.md
    """
    from looprig.content import ContentError
    from looprig.gate import config, run
    from looprig.progress import progress
    from looprig.report.gate_outputs import Output
    from looprig.subject import LoopError

    try:
        outputs = [Output(given["layout"], "-"), *map(Output.parse, given["outputs"])]
    except ValueError as error:
        raise UsageProblem(str(error)) from error
    where = kept_where(given["store"])
    log_from(None)
    try:
        with apart():
            prepared = run.prepare(config.load(Path(config.FILE)), given["baseline"], names, where)
            with progress(prepared.work) as tell:
                gated = run.run(prepared, tell, say, strict=given["strict"])
    except (config.ConfigError, LoopError, ContentError) as error:
        problem = error if isinstance(error, config.ConfigError) else config.ConfigError(str(error))
        _write_gate(problem, outputs)
        raise UsageProblem(str(error)) from error
    _write_gate(gated, outputs)
    if gated.played:
        keep(where, lambda made: made.record("gate", gated.exit.name.lower(), *run.kept(gated)))
    context.exit(gated.exit)


def _write_gate(gated: Any, outputs: Sequence[Any]) -> None:
    from looprig.report import gate_outputs

    try:
        printed = gate_outputs.write(gated, outputs, terminal_width())
    except OSError as error:
        raise UsageProblem(f"cannot write {error.filename}: {error.strerror}") from error
    for layout, text in printed:
        body, newline, last = text.rpartition("\n")
        click.echo(f"{body}{newline}{painted(last)}" if layout == "table" and text else text)


@cli.command("init")
@click.option("--loop", "spec", metavar="MODULE:FACTORY", help="A loop that is there; then no adapter is written.")
@click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
def init_command(spec: str | None, dry_run: bool) -> None:
    """Write what `looprig gate` needs: the configuration, an adapter, one test, a CI file. Overwrites nothing.

    \b
    looprig init
    looprig init --loop app.chat:make_loop --dry-run
    """
    from looprig.gate import scaffold
    from looprig.gate.config import ConfigError

    try:
        written = scaffold.init(Path.cwd(), spec, dry=dry_run)
    except ConfigError as error:
        raise UsageProblem(str(error)) from error
    except OSError as error:
        raise UsageProblem(f"cannot write {error.filename}: {error.strerror}") from error
    for line in scaffold.lines(written, dry=dry_run):
        click.echo(line)
    click.echo("now: looprig gate; then put your own loop into what was written")
