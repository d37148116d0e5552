"""`looprig list` and `looprig explain`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from looprig.cli.root import cli
from looprig.cli.shared import UsageProblem, format_option


@cli.command("list")
@click.option(
    "--scenarios",
    "scenario_paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A further scenario file or folder; ./scenarios is found by itself.",
)
@format_option("table", "json")
def list_command(scenario_paths: Sequence[Path], layout: str) -> None:
    """List the scenarios, with their parameters and defaults."""
    from looprig import content
    from looprig.report import listing
    from looprig.report.results import as_json

    try:
        found = content.find_scenarios(scenario_paths)
    except content.ContentError as error:
        raise UsageProblem(str(error)) from error
    click.echo(as_json(listing.scenarios_data(found)) if layout == "json" else listing.scenarios_text(found))


@cli.command("explain")
@click.argument("code", required=False)
def explain_command(code: str | None) -> None:
    """Explain an invariant by its CODE or name; without one, list them all."""
    from looprig.report import listing

    try:
        click.echo(listing.explained(code) if code else listing.invariants_text())
    except KeyError as error:
        raise UsageProblem(str(error.args[0])) from error
