"""`looprig history` and its commands."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from looprig.cli.root import cli
from looprig.cli.shared import EXIT_CODES, UsageProblem, format_option, store_option, terminal_width
from looprig.exits import Exit


class _HistoryGroup(click.Group):
    """Its first word may also be a scenario: `history long_chat` is `history show long_chat`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@cli.group("history", cls=_HistoryGroup, epilog=EXIT_CODES)
def history_group() -> None:
    """Show how metrics went from run to run, and where they changed: looprig keeps every run.

    A word that is no command is a scenario.

    \b
    looprig history                                what changed
    looprig history long_conversation --metric tokens_sent
    looprig history runs
    """


def _opened(where: str) -> Any:
    """Open a store that is there."""
    from looprig.store import StoreError, StoreMissing, open_store

    if where == "none":
        raise UsageProblem("no store to look at: --store and LOOPRIG_STORE say none")
    try:
        return open_store(where, make=False)
    except StoreMissing as error:
        click.echo(str(error), err=True)
        raise SystemExit(Exit.NOTHING_RAN) from error
    except StoreError as error:
        raise UsageProblem(str(error)) from error


@contextlib.contextmanager
def _history(where: str) -> Iterator[Any]:
    """Open a store that is there, and say in one line what is wrong with it."""
    from looprig.store import StoreError

    with _opened(where) as store:
        try:
            store.check()
            yield store
        except StoreError as error:
            raise UsageProblem(str(error)) from error
        except KeyError as error:
            raise UsageProblem(str(error.args[0])) from error


@history_group.command("show", epilog=EXIT_CODES)
@click.argument("scenario", required=False)
@click.option("--metric", help="This metric alone.")
@click.option("--loop", help="This loop alone, as it was given to --loop.")
@click.option("--last", default=200, show_default=True, type=click.IntRange(1), help="So many of the newest runs.")
@click.option("--all", "everything", is_flag=True, help="Show what did not change, too.")
@format_option("table", "json", "markdown")
@store_option
def history_show_command(scenario: str | None, metric: str | None, loop: str | None, **given: Any) -> None:
    """Show how metrics went from run to run; of all scenarios, those that changed."""
    from looprig.report import history
    from looprig.report.results import as_json

    with _history(given["store"]) as store:
        runs = {run.id: run for run in store.runs(last=given["last"])}
        trends = [history.trend(series) for series in store.series(scenario, metric, loop, last=given["last"])]
    if not trends:
        click.echo(f"no run of that in {store.name}; `looprig history runs` lists what there is", err=True)
        raise SystemExit(Exit.NOTHING_RAN)
    if given["layout"] == "json":
        click.echo(as_json(history.as_data(trends, runs)))
        return
    everything = given["everything"] or bool(scenario or metric)
    markdown = given["layout"] == "markdown"
    click.echo(history.as_page(trends, runs, everything=everything, markdown=markdown, width=terminal_width()))


@history_group.command("runs")
@click.option("--last", default=20, show_default=True, type=click.IntRange(1), help="So many of the newest runs.")
@format_option("table", "json", "markdown")
@store_option
def history_runs_command(last: int, layout: str, store: str) -> None:
    """List the runs that are kept, with their numbers, commits and commands."""
    from looprig.report import history, table
    from looprig.report.results import as_json

    with _history(store) as opened:
        runs = opened.runs(last=last)
    if layout == "json":
        click.echo(as_json(history.runs_data(runs)))
    elif layout == "markdown":
        click.echo(table.as_markdown(history.runs_table(runs)))
    else:
        click.echo(table.as_text(history.runs_table(runs), terminal_width()))


@history_group.command("prune")
@click.option("--keep", type=click.IntRange(0), help="Keep so many of the newest runs.")
@click.option("--older-than", metavar="DAYS", help="Remove runs that are older: 90d, 12w.")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would go.")
@store_option
def history_prune_command(keep: int | None, older_than: str | None, yes: bool, store: str) -> None:
    """Remove old runs: those that --keep and --older-than both let go. Without --yes nothing is removed."""
    from looprig.store import origin

    if keep is None and older_than is None:
        raise UsageProblem("say what may go: --keep N, --older-than 90d, or both")
    try:
        before = None if older_than is None else origin.ago(older_than)
    except ValueError as error:
        raise UsageProblem(str(error)) from error
    with _history(store) as opened:
        gone = opened.prune(keep=keep, before=before, dry=not yes)
        left = len(opened.runs()) - (0 if yes else len(gone))
    numbers = f" ({gone[0].id} to {gone[-1].id})" if gone else ""
    word = "removed" if yes else "would remove"
    click.echo(f"{word} {len(gone)} runs{numbers}, {left} stay" + ("" if yes or not gone else "; --yes does it"))


@history_group.command("import")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@store_option
def history_import_command(files: Sequence[Path], store: str) -> None:
    """Add results of pytest-benchmark (--benchmark-json) or of asv; what is there already is not added again."""
    from looprig.store import StoreError, imports, open_store

    try:
        records = [imports.read(file) for file in files]
        with open_store(store) as opened:
            for file, record in zip(files, records, strict=True):
                there = opened.has(record)
                word = "is run" if there else "is now run"
                click.echo(f"{file} {word} {there or opened.save(record)}: {len(record.parts)} benchmarks")
    except (StoreError, ValueError) as error:
        raise UsageProblem(str(error)) from error


@history_group.command("salvage")
@store_option
def history_salvage_command(store: str) -> None:
    """Put what can be read of a damaged file into a new one; the damaged file is kept beside it."""
    from looprig.report.history import salvaged
    from looprig.store import StoreError, is_server
    from looprig.store.salvage import salvage

    if is_server(store):
        raise UsageProblem("only files are salvaged; restore a server's store from the server's backup")
    try:
        click.echo(salvaged(salvage(Path(store)), store))
    except StoreError as error:
        raise UsageProblem(str(error)) from error
