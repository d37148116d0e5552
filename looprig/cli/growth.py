"""`looprig growth`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from looprig.cli.root import cli
from looprig.cli.shared import (
    EXIT_CODES,
    GROWTH,
    UsageProblem,
    counter_name,
    format_option,
    found_files,
    found_target,
    loop_option,
    painted,
    parameters_of,
    print_as,
)
from looprig.exits import Exit


@cli.command("growth", epilog=EXIT_CODES)
@click.argument("name", metavar="[SCENARIO]", default="long_conversation")
@loop_option
@click.option("--messages", default=4096, show_default=True, type=click.IntRange(3), help="The conversation's length.")
@click.option(
    "--cost",
    "metrics",
    multiple=True,
    type=click.Choice(GROWTH),
    help="What to look at, of all that can be looked at. May be given several times.",
)
@click.option("--strict", is_flag=True, help="Exit with 4 where something stays undecided.")
@click.option("--seed", default=1, show_default=True, help="The seed that the scenario is drawn from.")
@click.option("--set", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the scenario.")
@click.option(
    "--scenarios", "scenario_paths", multiple=True, type=click.Path(path_type=Path), help="A further scenario file."
)
@click.option(
    "--tokens",
    type=click.Choice(["estimate", "o200k", "cl100k", "best"]),
    default="estimate",
    show_default=True,
    help="How tokens are counted.",
)
@format_option("table", "json", "markdown")
@click.pass_context
def growth_command(context: click.Context, /, name: str, **given: Any) -> None:
    """Say how the cost of a message grows with the length of the conversation: CPU time, instructions, tokens, memory.

    \b
    looprig growth
    looprig growth --loop app.chat:make_loop --messages 10000
    """
    from looprig import suite
    from looprig.content import ContentError
    from looprig.growth import Plan, growth_of
    from looprig.home import Party, here
    from looprig.progress import progress
    from looprig.subject import LoopError

    settings = suite.Settings(
        seed=given["seed"],
        parameters={**parameters_of(given["parameters"]), "messages": str(given["messages"])},
        scenario_paths=given["scenario_paths"],
    )
    files = found_files([name], settings)
    plan = Plan(metrics=given["metrics"] or GROWTH, tokens=counter_name(given["tokens"]), seed=given["seed"])
    party = Party(here(), found_target(given["spec"]).spec)
    with progress(len(plan.metrics)) as tell:
        try:
            found = growth_of(party, files[0], settings.seed, settings.parameters, plan, tell)
        except (LoopError, ContentError) as error:
            raise UsageProblem(str(error)) from error
    context.exit(_print_growth(party.spec, found, given["layout"], given["strict"]))


def _print_growth(spec: str, found: Sequence[Any], layout: str, strict: bool) -> Exit:
    from looprig.report import growth
    from looprig.verdicts import Verdict

    print_as(layout, growth, spec, found)
    if layout == "table":
        click.echo(painted(growth.verdict_line(found)))
    verdicts = [each.verdict for each in found]
    if Verdict.REGRESSED in verdicts:
        return Exit.REGRESSED
    return Exit.UNDECIDED if strict and Verdict.UNDECIDED in verdicts else Exit.PASSED
