"""`looprig run`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from looprig.cli.root import cli
from looprig.cli.shared import (
    EXIT_CODES,
    PROVIDERS,
    TRACES,
    UsageProblem,
    apart,
    clock_for,
    common_options,
    counter_name,
    format_option,
    found_files,
    found_target,
    keep,
    kept_where,
    log_from,
    loop_option,
    painted,
    parameters_of,
    store_option,
    terminal_width,
)
from looprig.exits import Exit


@cli.command("run", epilog=EXIT_CODES)
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@loop_option
@common_options
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1), help="Try so many seeds, from --seed on."
)
@format_option("table", "json", "markdown", "junit")
@click.option(
    "--traces",
    type=click.Path(path_type=Path, file_okay=False),
    default=TRACES,
    show_default=True,
    help="Where runs are recorded, for `looprig replay`.",
)
@click.option("--no-traces", is_flag=True, help="Make no recordings.")
@store_option
@click.option(
    "--provider",
    "providers",
    multiple=True,
    type=click.Choice(PROVIDERS),
    help="A provider whose rules every request has to keep, beside those that the loop names. May be given several "
    "times.",
)
@click.option("--turn-limit", default=60.0, show_default=True, help="Real seconds after which a turn is stopped.")
@click.pass_context
def run_command(context: click.Context, /, **given: Any) -> None:
    """Run scenarios (all of them, by default) against a loop: check every request, measure, print, exit.

    \b
    looprig run
    looprig run long_tool_chain --set rounds=500 --loop app.chat:make_loop,max_messages=40
    looprig run --seeds 200 --format json > results.json
    """
    from looprig import suite

    where = kept_where(given["store"])
    target = found_target(given["spec"])
    settings = suite.Settings(
        seed=given["seed"],
        seeds=given["seeds"],
        parameters=parameters_of(given["parameters"]),
        clock=clock_for(given["clock"], target),
        tokens=counter_name(given["tokens"]),
        traces=None if given["no_traces"] else given["traces"],
        turn_limit_s=given["turn_limit"],
        providers=given["providers"],
        scenario_paths=given["scenario_paths"],
    )
    files = found_files(given["names"], settings)
    log_from(given["log"])
    done, error = _play(list(suite.steps(files, target, settings)), settings)
    _print_run(done, settings, given["layout"], error)
    code = _exit_code(done, error)
    if done:
        keep(where, lambda made: made.of_run(done, settings, code.name.lower(), error))
    context.exit(code)


def _play(steps: Sequence[Any], settings: Any) -> tuple[list[tuple[Any, Any]], str | None]:
    """Run the steps with progress; return what is done, and the error that ended the suite early, if one did."""
    from looprig.content import ContentError
    from looprig.progress import progress
    from looprig.subject import LoopError
    from looprig.trace import TraceError

    if settings.traces is not None:
        _ignore(settings.traces)
    done: list[tuple[Any, Any]] = []
    with progress(len(steps)) as tell, apart():
        for number, step in enumerate(steps):
            try:
                outcome = step.run(tell.turn)
            except (LoopError, ContentError, TraceError) as error:
                return done, f"{step.file.name}: {error}"
            done.append((step, outcome))
            tell.step(number + 1, f"{step.file.name} seed {step.seed}")
            if outcome.unusable:
                return done, f"{step.file.name}: {outcome.unusable}"
    return done, None


def _ignore(traces: Path) -> None:
    """Keep recordings out of version control, as pytest does with its cache."""
    if traces != TRACES:
        return
    mark = traces.parent / ".gitignore"
    try:
        traces.parent.mkdir(exist_ok=True)
        if not mark.exists():
            mark.write_text("*\n")
    except OSError as error:
        raise UsageProblem(
            f"cannot write to {traces.parent}: {error.strerror}; "
            "choose another folder with --traces DIR, or run with --no-traces"
        ) from error


def _print_run(done: Sequence[Any], settings: Any, layout: str, error: str | None) -> None:
    from looprig.report import junit, markdown, results, text

    if layout == "json":
        click.echo(results.as_json(results.results(done, settings, error)))
    elif layout == "junit":
        click.echo(junit.as_junit(done, error))
    elif layout == "markdown":
        click.echo(markdown.run_page(done, error))
    elif done:
        click.echo(text.run_page(done, terminal_width()))
        click.echo(painted(text.verdict_line(done)))
    if error is not None:
        if done and layout == "table":
            click.echo(f"the results above are those of the {len(done)} runs before the error", err=True)
        UsageProblem(error).show()


def _exit_code(done: Sequence[Any], error: str | None) -> Exit:
    if error is not None:
        return Exit.USAGE
    return Exit.VIOLATED if any(outcome.broken for _, outcome in done) else Exit.PASSED
