"""`looprig predict`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from looprig.cli.root import cli
from looprig.cli.shared import (
    EXIT_CODES,
    UsageProblem,
    apart,
    clock_for,
    common_options,
    counter_name,
    format_option,
    found_files,
    found_target,
    log_from,
    parameters_of,
    terminal_width,
)


@cli.command("predict", epilog=EXIT_CODES)
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option(
    "--loop",
    "specs",
    multiple=True,
    metavar="MODULE:FACTORY[,KEY=VALUE...]",
    help="A loop whose history is predicted. May be given several times.  [default: three reference loops]",
)
@common_options
@click.option(
    "--seeds", default=3, show_default=True, type=click.IntRange(1), help="Seeds of each scenario, from --seed on."
)
@format_option("table", "json", "markdown")
def predict_command(names: Sequence[str], specs: Sequence[str], **given: Any) -> None:
    """Predict how long a history will be when a turn ends, from what is known when it starts, and score that.

    Simple predictors and a learner (it needs looprig[learn]) are scored on scenarios that nothing was learned from. Who
    wins is a finding and no failure: the exit code is 0 once everything is measured.

    \b
    looprig predict
    looprig predict --loop app.chat:make_loop --seeds 5 --format markdown
    """
    from looprig import suite
    from looprig.prediction import study
    from looprig.report import prediction, results

    targets = [found_target(spec) for spec in specs or study.LOOPS]
    settings = suite.Settings(
        seed=given["seed"],
        seeds=given["seeds"],
        parameters=parameters_of(given["parameters"]),
        clock=clock_for(given["clock"], *targets),
        tokens=counter_name(given["tokens"]),
        scenario_paths=given["scenario_paths"],
    )
    files = found_files(names, settings)
    log_from(given["log"])
    found = _predicted(targets, files, settings)
    match given["layout"]:
        case "json":
            click.echo(results.as_json(prediction.as_data(found)))
        case "markdown":
            click.echo(prediction.page(found, _command_line(), suite.machine()))
        case _:
            click.echo(prediction.text(found, terminal_width()))


def _predicted(targets: Sequence[Any], files: Sequence[Any], settings: Any) -> Any:
    from looprig.content import ContentError
    from looprig.prediction import study
    from looprig.progress import progress
    from looprig.subject import LoopError

    with progress(study.work(targets, files, settings)) as tell, apart():
        try:
            return study.study(targets, files, settings, tell)
        except (LoopError, ContentError, study.CannotPredict) as error:
            raise UsageProblem(str(error)) from error


def _command_line() -> str:
    """Return the command that was given, to stand beside what it printed."""
    import shlex

    return shlex.join(["looprig", *sys.argv[1:]])
