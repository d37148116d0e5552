"""`looprig conformance`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from looprig.cli.root import cli
from looprig.cli.shared import COMMAND_BEHIND, EXIT_CODES, UsageProblem, WithCommand, write_file
from looprig.exits import Exit


@cli.command("conformance", cls=WithCommand, epilog=EXIT_CODES)
@click.argument("names", metavar="[FRAMEWORK]... [-- COMMAND...]", nargs=-1)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("reports/conformance.md"),
    show_default=True,
    help="The page; the data go beside it, with the suffix .json.",
)
@click.option(
    "--env",
    "home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".looprig/frameworks"),
    show_default=True,
    help="Where the frameworks are installed; made where it is missing.",
)
@click.pass_context
def conformance_command(context: click.Context, names: Sequence[str], output: Path, home: Path) -> None:
    """Test the history trimmers and agents of frameworks (all of them, by default), and write a page of it.

    The frameworks are installed in an environment of their own, with pinned versions. What is found is a finding and
    no failure: the exit code is 0 once everything is measured, and 4 where a part ended early.

    With names, the results of all other frameworks are kept as they are.

    With a command behind --, that looprig command is run in the environment of one framework, and nothing else.

    \b
    looprig conformance
    looprig conformance langchain haystack --output some.md
    looprig conformance langchain -- run long_tool_chain --loop langchain
    """
    from looprig.conformance.environment import EnvironmentProblem
    from looprig.conformance.jobs import UnknownFramework

    try:
        behind = context.meta.get(COMMAND_BEHIND)
        if behind is not None:
            context.exit(_in_environment(names, behind, home))
        context.exit(_conformance(names, output, home))
    except (EnvironmentProblem, UnknownFramework) as error:
        raise UsageProblem(str(error)) from error


def _in_environment(names: Sequence[str], arguments: Sequence[str], home: Path) -> int:
    from looprig.conformance import run

    if len(names) != 1:
        raise UsageProblem("a command behind -- runs in one framework's environment: name exactly one framework")
    return run.command_in(names[0], arguments, home, _tell)


def _conformance(names: Sequence[str], output: Path, home: Path) -> int:
    from looprig.conformance import data, jobs, run
    from looprig.progress import progress
    from looprig.report import conformance

    stored = output.with_suffix(".json")
    try:
        before = data.read(stored)
    except data.DataError as error:
        raise UsageProblem(str(error)) from error
    todo = jobs.jobs(names)
    found: list[data.Results] = []

    def measured() -> str:
        with progress(len(todo)) as tell:
            found.append(run.updated(before, run.run_jobs(todo, home, _tell, tell.step), names))
        return data.written(found[0])

    write_file(stored, measured)
    write_file(output, lambda: conformance.page(found[0], before))
    if any(trouble.because == run.INTERRUPTED for trouble in found[0].troubles):
        return Exit.INTERRUPTED
    return Exit.UNDECIDED if found[0].troubles else Exit.PASSED


def _tell(text: str) -> None:
    click.echo(text, err=True)
