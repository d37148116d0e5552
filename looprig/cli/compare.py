"""`looprig compare`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
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
    keep,
    kept_where,
    log_from,
    parameters_of,
    print_as,
    say,
    store_option,
)
from looprig.exits import Exit


def _revisions(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options with which `compare` takes its two sides from git."""
    for option in reversed(
        (
            click.option(
                "--rev",
                "revisions",
                multiple=True,
                metavar="REV",
                help="A git revision to compare, given twice: before and after. Given once, the files as they are now "
                "(WORKTREE) are compared with it.",
            ),
            click.option(
                "--setup",
                metavar="COMMAND",
                help="With --rev: what installs a revision, run in its files with a fresh environment active, as in "
                "--setup 'pip install .'. Without it, revisions run in looprig's own environment.",
            ),
            click.option(
                "--loop",
                "specs",
                multiple=True,
                metavar="MODULE:FACTORY[,KEY=VALUE...]",
                help="With --rev: the loop under test; given twice, that of each side. By default reference.",
            ),
            click.option(
                "--benchmarks",
                multiple=True,
                metavar="PATH",
                help="With --rev: judge the benchmarks in these files, which are written for pytest-benchmark, and not "
                "a loop.",
            ),
            click.option("-k", "expression", metavar="EXPR", help="With --benchmarks: only these, as for pytest."),
        )
    ):
        function = option(function)
    return function


def _percent(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    """Read a share as people write it: ``2`` and ``2%`` are 0.02."""
    try:
        return float(text.strip().removesuffix("%")) / 100
    except ValueError:
        raise click.BadParameter(f"{text!r} is no percentage: write a number such as 2 or 2%") from None


def _judging(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of the layers that look behind the exact metrics."""
    for option in reversed(
        (
            click.option(
                "--cpu-time/--no-cpu-time",
                default=None,
                help="Judge CPU time: some seconds for each scenario. By default with --rev only.",
            ),
            click.option("--instructions", is_flag=True, help="Count instructions, by valgrind; takes a while."),
            click.option(
                "--budget",
                type=click.FloatRange(0, min_open=True),
                metavar="SECONDS",
                help="Time for each CPU time; undecided is what is not certain then.  [default: 30; 60 a benchmark]",
            ),
            click.option(
                "--margin",
                default="2%",
                show_default=True,
                callback=_percent,
                metavar="PERCENT",
                help="Changes of CPU time up to this count as none.",
            ),
            click.option(
                "--reach",
                default="5%",
                show_default=True,
                callback=_percent,
                metavar="PERCENT",
                help="Changes of CPU time beyond this are not missed.",
            ),
            click.option(
                "--control",
                is_flag=True,
                help="Time a second copy of BEFORE, too: where it differs from BEFORE the machine is unfit.",
            ),
            click.option("--strict", is_flag=True, help="Exit with 4 where a verdict stays undecided."),
        )
    ):
        function = option(function)
    return function


@cli.command("compare", epilog=EXIT_CODES)
@click.argument("before", required=False)
@click.argument("after", required=False)
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@common_options
@_revisions
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Interleaved runs of each side.")
@_judging
@format_option("table", "json", "markdown")
@store_option
@click.pass_context
def compare_command(context: click.Context, /, before: str | None, after: str | None, **given: Any) -> None:
    """Compare two loops, BEFORE and AFTER, over scenarios: memory management, monitoring, tool execution.

    With --rev the sides are two git revisions of one loop, and all arguments are scenarios. Each revision is
    checked out elsewhere; your files, index and HEAD stay as they are.

    Exact metrics decide by one value, in seconds for all scenarios. CPU time needs some seconds for each: both sides
    in fresh interpreters on one core, until the verdict is certain. So it is judged with --rev, and else on request.
    The exit code is 1 where AFTER breaks an invariant, 3 where a count or a CPU time regressed, and with --strict 4
    where one is undecided; what the exact metrics say is left to whoever reads it.

    \b
    looprig compare reference,policy=end-of-turn reference,policy=grouped
    looprig compare app.chat:old app.chat:new pending_calls --cpu-time --set turns=50
    looprig compare --rev main --rev WORKTREE --loop app.chat:make_loop
    looprig compare --rev main --benchmarks tests/perf
    looprig compare 'before/*.json' 'after/*.json'
    """
    from looprig.report import comparison

    where = kept_where(given["store"])
    if given["benchmarks"] or (before and after and _are_saved(before, after)):
        context.exit(_compare_benchmarks(before, after, given))
    if given["revisions"]:
        compared = _compare_revisions([name for name in (before, after, *given["names"]) if name is not None], given)
    else:
        compared = _compare_targets(context, before, after, given)
    print_as(given["layout"], comparison, compared)
    code = _code_of(compared, strict=given["strict"])
    keep(where, lambda made: made.of_compare(compared, compared.comparisons(), code.name.lower()))
    context.exit(code)


def _code_of(compared: Any, *, strict: bool) -> Exit:
    from looprig.verdicts import Verdict

    verdicts = {found.verdict for found in compared.judged}
    if compared.after_breaks():
        return Exit.VIOLATED
    if Verdict.REGRESSED in verdicts:
        return Exit.REGRESSED
    return Exit.UNDECIDED if strict and Verdict.UNDECIDED in verdicts else Exit.PASSED


def _compare_targets(context: click.Context, before: str | None, after: str | None, given: Any) -> Any:
    from dataclasses import replace

    from looprig import compare, layers, suite
    from looprig.content import ContentError
    from looprig.home import Party, here
    from looprig.paired import jobs_of
    from looprig.progress import progress
    from looprig.subject import LoopError

    for option, name in (("setup", "--setup"), ("specs", "--loop")):
        if given[option]:
            raise UsageProblem(f"{name} goes with --rev; two loops are compared with `looprig compare BEFORE AFTER`")
    if before is None or after is None:
        name = "BEFORE" if before is None else "AFTER"
        raise click.MissingParameter(ctx=context, param_hint=f"'{name}'", param_type="argument")
    targets = (found_target(before), found_target(after))
    settings = suite.Settings(
        seed=given["seed"],
        parameters=parameters_of(given["parameters"]),
        clock=clock_for(given["clock"], *targets),
        tokens=counter_name(given["tokens"]),
        scenario_paths=given["scenario_paths"],
    )
    files = found_files(given["names"], settings)
    wanted = _wanted(given, cpu_time=False)
    log_from(given["log"])
    try:
        with progress(len(files) * given["rounds"] * 2) as tell, apart():
            compared = compare.compare(targets, files, settings, given["rounds"], tell)
        if not wanted.any:
            return compared
        scenarios = [suite.Step(file, settings.seed, targets[0], settings).scenario() for file in files]
        jobs = jobs_of(scenarios, Party(here(), before), Party(here(), after))
        with progress(wanted.steps(len(jobs))) as tell:
            return replace(compared, judged=layers.look(jobs, wanted, tell))
    except (LoopError, ContentError) as error:
        raise UsageProblem(str(error)) from error


def _compare_revisions(names: Sequence[str], given: Any) -> Any:
    """Compare two revisions as two targets are compared, but each played in its own home."""
    from dataclasses import replace

    from looprig import layers, suite
    from looprig.content import ContentError
    from looprig.progress import Tell, progress
    from looprig.revisions import git, homes, play
    from looprig.subject import LoopError

    specs = _both("--loop", given["specs"] or ("reference",), None)
    words = _both("--rev", given["revisions"], git.WORKTREE)
    settings = suite.Settings(
        seed=given["seed"],
        parameters=parameters_of(given["parameters"]),
        clock=given["clock"],
        tokens=counter_name(given["tokens"]),
        scenario_paths=given["scenario_paths"],
    )
    files, wanted = found_files(names, settings), _wanted(given, cpu_time=True)
    done = len(files) * given["rounds"] * 2
    try:
        with (
            homes.homes(git.repository(Path.cwd()), words, given["setup"], say) as pair,
            play.match(pair, specs, given["log"]) as match,
            progress(done + wanted.steps(len(files))) as tell,
        ):
            for note in pair.notes:
                say(f"note: {note}")
            settings = play.with_clock(settings, match)
            compared = match.compare(files, settings, given["rounds"], tell)
            if settings.clock == "real":  # counts and CPU times of a loop that waits are not what it costs
                return compared
            further = Tell(lambda number, name: tell.step(done + number, name), tell.turn)
            return replace(compared, judged=layers.look(match.jobs(files, settings), wanted, further))
    except (git.RevisionProblem, LoopError, ContentError) as error:
        raise UsageProblem(str(error)) from error


def _are_saved(before: str, after: str) -> bool:
    """Whether both sides are runs that pytest-benchmark has stored."""
    return all(part.endswith(".json") for word in (before, after) for part in word.split(","))


def _compare_benchmarks(before: str | None, after: str | None, given: Any) -> int:
    """Judge users' benchmarks, on two revisions or in stored runs; return the exit code."""
    from looprig import benchmarks
    from looprig.report import benchmarks as report

    try:
        if given["benchmarks"]:
            sides, found = _time_benchmarks(before, given)
        elif given["revisions"] or before is None or after is None:
            raise UsageProblem("stored runs are compared as `looprig compare BEFORE.json AFTER.json`, without --rev")
        else:
            sides, found = (before, after), benchmarks.judge_saved(benchmarks.runs(before), benchmarks.runs(after))
    except (benchmarks.SavedProblem, benchmarks.BenchmarkProblem) as error:
        raise UsageProblem(str(error)) from error
    if not found:
        click.echo("nothing to compare: no benchmark was found", err=True)
        return Exit.NOTHING_RAN
    print_as(given["layout"], report, found, sides)
    return benchmarks.exit_code(found, strict=given["strict"])


def _time_benchmarks(stray: str | None, given: Any) -> tuple[tuple[str, str], Any]:
    from looprig import benchmarks
    from looprig.progress import progress
    from looprig.revisions import git, homes

    if not given["revisions"]:
        raise UsageProblem("--benchmarks needs --rev, once or twice: what is to be compared?")
    if stray is not None:
        raise UsageProblem(f"--benchmarks plays no scenario, so there is nothing to do with {stray!r}; try -k")
    words = _both("--rev", given["revisions"], git.WORKTREE)
    arguments = [*given["benchmarks"], *(["-k", given["expression"]] if given["expression"] else [])]
    try:
        with homes.homes(git.repository(Path.cwd()), words, given["setup"], say) as pair:
            for note in pair.notes:
                say(f"note: {note}")
            both = benchmarks.find_both(pair, arguments)
            with progress(len(both)) as tell:
                return pair.names, benchmarks.judge_benchmarks(both, _plan(given, 60.0), tell)
    except git.RevisionProblem as error:
        raise UsageProblem(str(error)) from error


def _wanted(given: Any, *, cpu_time: bool) -> Any:
    """Return the layers that are to look; *cpu_time* says whether CPU time is judged where nobody said anything."""
    from looprig import layers

    timed = cpu_time if given["cpu_time"] is None else given["cpu_time"]
    asked = [name for name in ("budget", "margin", "reach", "control") if _was_given(name)]
    if asked and not timed:
        raise UsageProblem(f"--{asked[0]} is about CPU time: add --cpu-time")
    counts = cpu_time or timed or given["instructions"]
    wanted = layers.Wanted(counts, given["instructions"], _plan(given, 30.0) if timed else None)
    if wanted.missing():
        say(f"note: instructions are not counted: {wanted.missing()}")
    return wanted


def _was_given(name: str) -> bool:
    source = click.get_current_context().get_parameter_source(name)
    return source is click.core.ParameterSource.COMMANDLINE


def _plan(given: Any, budget_s: float) -> Any:
    """Return how CPU time is judged, with *budget_s* seconds where nobody said anything."""
    from looprig import paired

    try:
        return paired.Plan(
            margin=given["margin"],
            reach=given["reach"],
            budget_s=given["budget"] or budget_s,
            control=given["control"],
        )
    except ValueError as error:
        raise UsageProblem(str(error)) from error


def _both(option: str, given: Sequence[str], second: str | None) -> tuple[str, str]:
    """Return an option's value of each side; given once, the *second* is that, or the same."""
    if len(given) > 2:
        raise UsageProblem(
            f"{option} is given once or twice, for before and after; here it is given {len(given)} times"
        )
    return given[0], given[1] if len(given) == 2 else second or given[0]
