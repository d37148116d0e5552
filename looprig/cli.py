"""The command line: parse, call, print, exit."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from looprig.exits import Exit
from looprig.version import __version__

# Everything else is imported inside the commands: `looprig --help` should not pay for what it does not use.

TRACES = Path(".looprig/traces")

PROVIDERS = ("openai-chat", "openai-responses", "anthropic", "gemini")
"""The names of `looprig.providers.PROVIDERS`, which a test compares: a command's help should not load them."""

GROWTH = ("tokens", "retained_bytes", "instructions", "cpu_time")
"""The names of `looprig.growth.METRICS`, as above."""

EXIT_CODES = """\b
Exit codes:
  0  passed              4  undecided (with --strict)
  1  an invariant broke  5  nothing ran
  2  usage               70 a bug in looprig
  3  regression          130 interrupted"""


class UsageProblem(click.ClickException):
    """What the user can mend: printed as one line, exit 2."""

    exit_code = Exit.USAGE

    def show(self, file: Any = None) -> None:
        from looprig.report.table import visible

        click.echo(f"{click.style('error', fg='red')}: {visible(self.message)}", err=True)


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


_store_option = click.option(
    "--store",
    default=".looprig/history.db",
    show_default=True,
    envvar="LOOPRIG_STORE",
    show_envvar=True,
    metavar="FILE|URL|none",
    help="Where runs are kept, for `looprig history`: a file, or postgresql://USER@HOST/DATABASE.",
)


def _common(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that `run` and `compare` share."""
    for option in reversed(
        (
            click.option("--seed", default=1, show_default=True, help="The seed that everything is drawn from."),
            click.option(
                "--set",
                "parameters",
                multiple=True,
                metavar="NAME=VALUE",
                help="A scenario's parameter; see `looprig list`. May be given several times.",
            ),
            click.option(
                "--scenarios",
                "scenario_paths",
                multiple=True,
                type=click.Path(path_type=Path),
                help="A further scenario file or folder; ./scenarios is found by itself.",
            ),
            click.option(
                "--clock",
                type=click.Choice(["virtual", "real"]),
                default="virtual",
                show_default=True,
                help="In virtual time scripted delays cost no time; loops that do real I/O need the real clock.",
            ),
            click.option(
                "--tokens",
                type=click.Choice(["estimate", "o200k", "cl100k", "best"]),
                default="estimate",
                show_default=True,
                help="How tokens are counted: by bytes, by a real tokenizer (needs looprig[tokens]), or by the best "
                "that is there. Every result names its counter.",
            ),
            click.option(
                "--log",
                type=click.Choice(["debug", "info", "warning", "error"]),
                default=None,
                help="Show the loop's own log on standard error, from this level on.",
            ),
        )
    ):
        function = option(function)
    return function


def _format(*layouts: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the option that chooses how results are printed."""
    return click.option(
        "--format",
        "layout",
        type=click.Choice(layouts),
        default="table",
        show_default=True,
        help="What is printed to standard output.",
    )


@cli.command("run", epilog=EXIT_CODES)
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option(
    "--loop",
    "spec",
    default="reference",
    show_default=True,
    metavar="MODULE:FACTORY[,KEY=VALUE...]",
    help="The loop under test; its factory gets (model, tools) and the options.",
)
@_common
@click.option(
    "--seeds", default=1, show_default=True, type=click.IntRange(1), help="Try so many seeds, from --seed on."
)
@_format("table", "json", "markdown", "junit")
@click.option(
    "--traces",
    type=click.Path(path_type=Path, file_okay=False),
    default=TRACES,
    show_default=True,
    help="Where runs are recorded, for `looprig replay`.",
)
@click.option("--no-traces", is_flag=True, help="Make no recordings.")
@_store_option
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

    where = _where(given["store"])
    target = _target(given["spec"])
    settings = suite.Settings(
        seed=given["seed"],
        seeds=given["seeds"],
        parameters=_parameters(given["parameters"]),
        clock=_clock(given["clock"], target),
        tokens=_tokens(given["tokens"]),
        traces=None if given["no_traces"] else given["traces"],
        turn_limit_s=given["turn_limit"],
        providers=given["providers"],
        scenario_paths=given["scenario_paths"],
    )
    files = _files(given["names"], settings)
    _log_from(given["log"])
    done, error = _play(list(suite.steps(files, target, settings)), settings)
    _print_run(done, settings, given["layout"], error)
    code = _exit_code(done, error)
    if done:
        _keep(where, lambda made: made.of_run(done, settings, code.name.lower(), error))
    context.exit(code)


def _parameters(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise UsageProblem(f"--set takes NAME=VALUE, not {name!r}")
    return {name: value for name, _, value in pairs}


def _files(names: Sequence[str], settings: Any) -> list[Any]:
    """Find the scenarios that are meant, and refuse parameters that none of them has."""
    from looprig import content

    try:
        if names:
            files = [content.find_scenario(name, settings.scenario_paths) for name in names]
        else:
            files = [file for file in content.find_scenarios(settings.scenario_paths).values() if not file.error]
        for name in settings.parameters:
            if not any(content.accepts(file, name) for file in files):
                raise UsageProblem(_no_parameter(name, files))
    except content.ContentError as error:
        raise UsageProblem(str(error)) from error
    if not files:
        click.echo("nothing to run: no scenario was found", err=True)
        raise SystemExit(Exit.NOTHING_RAN)
    return files


def _no_parameter(name: str, files: Sequence[Any]) -> str:
    import difflib

    known = sorted({parameter for file in files for parameter in file.parameters})
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"they have {', '.join(known) or 'none'}"
    who = files[0].name if len(files) == 1 else f"none of the {len(files)} scenarios"
    has = "has no parameter" if len(files) == 1 else "has a parameter"
    return f"{who} {has} {name!r}; {hint}"


def _target(spec: str) -> Any:
    from looprig import target

    try:
        return target.find(spec)
    except target.TargetError as error:
        raise UsageProblem(str(error)) from error


def _clock(wanted: str, *targets: Any) -> str:
    """Return the clock to run on: real, where that is wanted or one of the loops cannot do without."""
    return "real" if wanted == "real" or any(target.clock == "real" for target in targets) else "virtual"


def _tokens(name: str) -> str:
    """Return the name of the token counter that is meant, and refuse one that does not work here."""
    from looprig.tokens import TokenizerMissing, best, counter

    if name == "best":
        return best()
    try:
        counter(name)
    except TokenizerMissing as error:
        raise UsageProblem(str(error)) from error
    return name


def _apart() -> contextlib.AbstractContextManager[Any]:
    """Send what a loop prints to standard error: standard output is for results, which other programs read."""
    return contextlib.redirect_stdout(sys.stderr)


def _log_from(level: str | None) -> None:
    """Show the loop's log, or keep it quiet: scenarios plan failures, and a loop may log each with a traceback."""
    import logging

    if level is None:
        logging.getLogger().addHandler(logging.NullHandler())
    else:
        logging.basicConfig(level=level.upper(), format="%(levelname)s %(name)s: %(message)s")


def _play(steps: Sequence[Any], settings: Any) -> tuple[list[tuple[Any, Any]], str | None]:
    """Run the steps with progress; return what is done, and the error that ended the suite early, if one did."""
    from looprig.content import ContentError
    from looprig.progress import progress
    from looprig.subject import LoopError
    from looprig.trace import TraceError

    if settings.traces is not None:
        _ignore(settings.traces)
    done: list[tuple[Any, Any]] = []
    with progress(len(steps)) as tell, _apart():
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
        click.echo(text.run_page(done, _width()))
        click.echo(_painted(text.verdict_line(done)))
    if error is not None:
        if done and layout == "table":
            click.echo(f"the results above are those of the {len(done)} runs before the error", err=True)
        UsageProblem(error).show()


def _width() -> int | None:
    """Return how wide a table may be: the terminal's width, or None where the output goes to a file or a pipe."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else None


def _painted(verdict: str) -> str:
    word, rest = verdict.split(" ", 1)
    return f"{click.style(word, fg='green' if word == 'PASSED' else 'red', bold=True)} {rest}"


def _where(store: str) -> str | None:
    """Return the store that is meant, None for none, and refuse an address that cannot be one before anything runs."""
    if "://" in store:
        from looprig.store import StoreError, check_address

        try:
            check_address(store)
        except StoreError as error:
            raise UsageProblem(str(error)) from error
    return None if store == "none" else store


def _keep(where: str | None, make: Callable[[Any], Any]) -> None:
    """Save what was found. That it cannot be saved is said, and is no verdict on the loop: the exit code stays."""
    if where is None:
        return
    from looprig import store
    from looprig.report.table import visible
    from looprig.store import made

    try:
        with store.open_store(where) as opened:
            opened.save(make(made))
    except store.StoreError as error:
        click.echo(f"warning: this run was not kept: {visible(str(error))}; --store none keeps none", err=True)


def _exit_code(done: Sequence[Any], error: str | None) -> Exit:
    if error is not None:
        return Exit.USAGE
    return Exit.VIOLATED if any(outcome.broken for _, outcome in done) else Exit.PASSED


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
@_common
@_revisions
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Interleaved runs of each side.")
@_judging
@_format("table", "json", "markdown")
@_store_option
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
    where = _where(given["store"])
    if given["benchmarks"] or (before and after and _are_saved(before, after)):
        context.exit(_compare_benchmarks(before, after, given))
    if given["revisions"]:
        compared = _compare_revisions([name for name in (before, after, *given["names"]) if name is not None], given)
    else:
        compared = _compare_targets(context, before, after, given)
    _print_compared(compared, given["layout"])
    code = _code_of(compared, strict=given["strict"])
    _keep(where, lambda made: made.of_compare(compared, compared.comparisons(), code.name.lower()))
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
    targets = (_target(before), _target(after))
    settings = suite.Settings(
        seed=given["seed"],
        parameters=_parameters(given["parameters"]),
        clock=_clock(given["clock"], *targets),
        tokens=_tokens(given["tokens"]),
        scenario_paths=given["scenario_paths"],
    )
    files = _files(given["names"], settings)
    wanted = _wanted(given, cpu_time=False)
    _log_from(given["log"])
    try:
        with progress(len(files) * given["rounds"] * 2) as tell, _apart():
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
        parameters=_parameters(given["parameters"]),
        clock=given["clock"],
        tokens=_tokens(given["tokens"]),
        scenario_paths=given["scenario_paths"],
    )
    files, wanted = _files(names, settings), _wanted(given, cpu_time=True)
    done = len(files) * given["rounds"] * 2
    try:
        with (
            homes.homes(git.repository(Path.cwd()), words, given["setup"], _say) as pair,
            play.match(pair, specs, given["log"]) as match,
            progress(done + wanted.steps(len(files))) as tell,
        ):
            for note in pair.notes:
                _say(f"note: {note}")
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
    _print_benchmarks(found, sides, given["layout"])
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
        with homes.homes(git.repository(Path.cwd()), words, given["setup"], _say) as pair:
            for note in pair.notes:
                _say(f"note: {note}")
            both = benchmarks.find_both(pair, arguments)
            with progress(len(both)) as tell:
                return pair.names, benchmarks.judge_benchmarks(both, _plan(given, 60.0), tell)
    except git.RevisionProblem as error:
        raise UsageProblem(str(error)) from error


def _print_benchmarks(found: Any, sides: tuple[str, str], layout: str) -> None:
    from looprig.report import benchmarks, results

    match layout:
        case "json":
            click.echo(results.as_json(benchmarks.as_data(found, sides)))
        case "markdown":
            click.echo(benchmarks.as_markdown(found, sides))
        case _:
            click.echo(benchmarks.as_text(found, sides, _width()))


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
        _say(f"note: instructions are not counted: {wanted.missing()}")
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


def _say(text: str) -> None:
    click.echo(text, err=True)


def _print_compared(compared: Any, layout: str) -> None:
    from looprig.report import comparison, results

    match layout:
        case "json":
            click.echo(results.as_json(comparison.as_data(compared)))
        case "markdown":
            click.echo(comparison.as_markdown(compared))
        case _:
            click.echo(comparison.as_text(compared, _width()))


@cli.command("growth", epilog=EXIT_CODES)
@click.argument("name", metavar="[SCENARIO]", default="long_conversation")
@click.option(
    "--loop",
    "spec",
    default="reference",
    show_default=True,
    metavar="MODULE:FACTORY[,KEY=VALUE...]",
    help="The loop under test; its factory gets (model, tools) and the options.",
)
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
@_format("table", "json", "markdown")
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
        parameters={**_parameters(given["parameters"]), "messages": str(given["messages"])},
        scenario_paths=given["scenario_paths"],
    )
    files = _files([name], settings)
    plan = Plan(metrics=given["metrics"] or GROWTH, tokens=_tokens(given["tokens"]), seed=given["seed"])
    party = Party(here(), _target(given["spec"]).spec)
    with progress(len(plan.metrics)) as tell:
        try:
            found = growth_of(party, files[0], settings.seed, settings.parameters, plan, tell)
        except (LoopError, ContentError) as error:
            raise UsageProblem(str(error)) from error
    context.exit(_print_growth(party.spec, found, given["layout"], given["strict"]))


def _print_growth(spec: str, found: Sequence[Any], layout: str, strict: bool) -> Exit:
    from looprig.report import growth, results
    from looprig.verdicts import Verdict

    match layout:
        case "json":
            click.echo(results.as_json(growth.as_data(spec, found)))
        case "markdown":
            click.echo(growth.as_markdown(spec, found))
        case _:
            click.echo(growth.as_text(spec, found, _width()))
            click.echo(_painted(growth.verdict_line(found)))
    verdicts = [each.verdict for each in found]
    if Verdict.REGRESSED in verdicts:
        return Exit.REGRESSED
    return Exit.UNDECIDED if strict and Verdict.UNDECIDED in verdicts else Exit.PASSED


@cli.command("gate", epilog=EXIT_CODES)
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option(
    "--baseline",
    metavar="WHAT",
    help="What to compare with: a git revision, a results file (.json), store (the last run that passed), or none. "
    "By default the one of [tool.looprig].",
)
@click.option("--strict/--no-strict", default=None, help="Exit with 4 where something stays undecided.")
@_format("table", "json", "junit", "github", "markdown")
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT=FILE",
    help="Also write this format to this file; - is standard output. May be given several times.",
)
@_store_option
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
    where = _where(given["store"])
    _log_from(None)
    try:
        with _apart():
            prepared = run.prepare(config.load(Path(config.FILE)), given["baseline"], names, where)
            with progress(prepared.work) as tell:
                gated = run.run(prepared, tell, _say, strict=given["strict"])
    except (config.ConfigError, LoopError, ContentError) as error:
        problem = error if isinstance(error, config.ConfigError) else config.ConfigError(str(error))
        _write_gate(problem, outputs)
        raise UsageProblem(str(error)) from error
    _write_gate(gated, outputs)
    if gated.played:
        _keep(where, lambda made: made.record("gate", gated.exit.name.lower(), *run.kept(gated)))
    context.exit(gated.exit)


def _write_gate(gated: Any, outputs: Sequence[Any]) -> None:
    from looprig.report import gate_outputs

    try:
        printed = gate_outputs.write(gated, outputs, _width())
    except OSError as error:
        raise UsageProblem(f"cannot write {error.filename}: {error.strerror}") from error
    for layout, text in printed:
        body, newline, last = text.rpartition("\n")
        click.echo(f"{body}{newline}{_painted(last)}" if layout == "table" and text else text)


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


@cli.command("report", epilog=EXIT_CODES)
@click.option("--phase3", is_flag=True, help="The seed report: its tables, and each of its claims, measured.")
@click.option("--claim", metavar="ID", help="One claim in detail, on standard output: A1, B3, P1 ...")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="Where to write; - is standard output.  [default: reports/phase3.md]",
)
def report_command(phase3: bool, claim: str | None, output: Path | None) -> None:
    """Measure the report that the project started with: what it claims, what is so, and the verdicts.

    A verdict is a finding and no failure: the exit code is 0 once everything is measured.

    \b
    looprig report --phase3
    looprig report --phase3 --claim A5
    """
    if not phase3:
        raise UsageProblem("say which report: looprig report --phase3")
    from looprig.phase3.bench import CannotMeasure
    from looprig.phase3.study import UnknownClaim

    _log_from(None)
    try:
        if claim is not None:
            _write(output or Path("-"), lambda: _claim_text(claim))
        else:
            _write(output or Path("reports/phase3.md"), _phase3_page)
    except (UnknownClaim, CannotMeasure) as error:
        raise UsageProblem(str(error)) from error


def _claim_text(name: str) -> str:
    from looprig.phase3 import bench, claim, study
    from looprig.report import phase3

    found = study.find(name)
    with _apart():
        return phase3.claim_text(claim.judge(found, bench.Bench()), _width())


def _phase3_page() -> str:
    from looprig import suite
    from looprig.phase3 import bench, study
    from looprig.progress import progress
    from looprig.report import phase3

    with progress(len(study.CLAIMS)) as tell, _apart():
        found = study.study(bench.Bench(tell=tell), tell.step)
    return phase3.page(found, {"looprig": __version__, **suite.machine()})


def _write(path: Path, make: Callable[[], str]) -> None:
    """Write what *make* returns to *path*; that it can be written there is tried first, since making it takes long."""
    if str(path) == "-":
        click.echo(make().rstrip("\n"))
        return
    if path.is_dir():
        raise UsageProblem(f"cannot write {path}: it is a folder; choose another file with --output PATH")
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w", encoding="utf-8") as file:
            file.write(make())
        new.replace(path)
    except OSError as error:
        raise UsageProblem(f"cannot write {path}: {error.strerror}; choose another file with --output PATH") from error
    finally:
        with contextlib.suppress(OSError):
            new.unlink()
    click.echo(f"wrote {path}", err=True)


class _WithCommand(click.Command):
    """A command that takes another command behind ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND_BEHIND] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


COMMAND_BEHIND = "looprig.command"


@cli.command("conformance", cls=_WithCommand, epilog=EXIT_CODES)
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

    _write(stored, measured)
    _write(output, lambda: conformance.page(found[0], before))
    if any(trouble.because == run.INTERRUPTED for trouble in found[0].troubles):
        return Exit.INTERRUPTED
    return Exit.UNDECIDED if found[0].troubles else Exit.PASSED


def _tell(text: str) -> None:
    click.echo(text, err=True)


@cli.command("trim", epilog=EXIT_CODES)
@click.argument("spec", metavar="MODULE:FUNCTION[,KEY=VALUE...]")
@click.option(
    "--limit", "limits", multiple=True, type=click.IntRange(1), help="The limit; where it can be set, several to try."
)
@click.option(
    "--unit",
    default="messages",
    show_default=True,
    metavar="UNIT",
    help="What the limit counts: messages, tokens, turns, groups, or module:function, a measure of your own.",
)
@click.option(
    "--codec",
    default="dicts",
    show_default=True,
    metavar="KIND",
    help="What kind of messages the function takes: dicts (chat-completions), messages (looprig's), or a framework.",
)
@click.option(
    "--mode",
    type=click.Choice(["pure", "inplace", "view"]),
    default="pure",
    show_default=True,
    help="Returns a new list; changes the given one; or returns what to send of a history that goes on growing.",
)
@click.option("--notes", multiple=True, metavar="TEXT", help="What a message of the trimmer's own making begins with.")
@click.option("--pin", "pins", multiple=True, metavar="PIN", help="What it always keeps: first_user, head:3.")
@click.option("--waive", multiple=True, metavar="CODE=REASON", help="A rule that need not hold; the report says so.")
@click.option("--only", metavar="NAME", help="One of several declared trimmers.")
@click.option("--history", metavar="LETTERS", help="Play this history alone, as in 'S U C2 T T A'.")
@click.option("--agent", is_flag=True, help="Also drive whole agent runs with it.")
@click.option("--cost", is_flag=True, help="Also time it on histories of up to 100,000 messages.")
@_format("table", "json", "markdown")
@click.pass_context
def trim_command(context: click.Context, /, spec: str, layout: str, **given: Any) -> None:
    """Judge a function that trims a history by itself: all short histories, long ones, 23 rules.

    The function takes a list of messages and returns the list that is to be sent. Of each rule that it breaks the
    smallest case is shown, in letters.

    \b
    looprig trim app.history:trim --limit 20
    looprig trim app.history:trim,max_messages=LIMIT --agent
    looprig trim app.history:trim --limit 3 --history 'U C1 T U'
    """
    from looprig.report import results, trim

    _log_from(None)
    with _apart():
        judged = _judged(spec, given)
    if layout == "json":
        data = [trim.as_data(one) for one in judged]
        click.echo(results.as_json(data[0] if len(data) == 1 else data))
    for one in judged if layout != "json" else ():
        if layout == "markdown":
            click.echo(trim.markdown(one))
        else:
            click.echo(trim.page(one, _width()))
            click.echo(_painted(trim.verdict_line(one)))
    context.exit(max((_trim_exit(one) for one in judged), key=_WORST.index))


_WORST = (Exit.PASSED, Exit.NOTHING_RAN, Exit.UNDECIDED, Exit.VIOLATED)


def _trim_exit(judged: Any) -> Exit:
    findings = judged.findings
    if findings.breaks():
        return Exit.VIOLATED
    if not findings.runs:
        return Exit.NOTHING_RAN
    return Exit.UNDECIDED if findings.cut_short else Exit.PASSED


def _judged(spec: str, given: dict[str, Any]) -> list[Any]:
    from looprig.report.trim import Judged
    from looprig.trimmers import agent, cost, driver, find, letters

    promises = find.Promises(
        limits=given["limits"],
        unit=given["unit"],
        codec=given["codec"],
        mode=given["mode"],
        notes=given["notes"],
        pins=given["pins"],
        waive=dict(_waiver(text) for text in given["waive"]),
    )
    command = _trim_words(spec, given)
    judged = []
    try:
        for subject in find.find(spec, promises, given["only"]):
            words = [*command, "--only", subject.name] if subject.name not in (spec, given["only"]) else command
            cases = driver.chosen(subject, given["history"], given["limits"]) if given["history"] else None
            judged.append(
                Judged(
                    _played_all(subject, cases),
                    words,
                    agent.play_all(subject) if given["agent"] else (),
                    cost.measure(subject) if given["cost"] else None,
                    chosen=cases is not None,
                )
            )
    except (find.TrimmerError, letters.NotLetters) as error:
        raise UsageProblem(str(error)) from error
    return judged


def _played_all(subject: Any, cases: Any) -> Any:
    from looprig.progress import progress
    from looprig.trimmers import driver

    cases = driver.cases_of(subject) if cases is None else cases
    with progress(1) as tell:
        return driver.play(subject, cases, tell=lambda done: tell.turn(done, len(cases)))


def _waiver(text: str) -> tuple[str, str]:
    code, equals, reason = text.partition("=")
    if not equals or not reason.strip():
        raise UsageProblem(f"--waive takes CODE=REASON, not {text!r}; the reason is printed in every report")
    return code, reason


def _trim_words(spec: str, given: dict[str, Any]) -> list[str]:
    """Return the command that names this trimmer and what it promises, for a replay line."""
    words = ["looprig", "trim", spec]
    for name, default in (("unit", "messages"), ("codec", "dicts"), ("mode", "pure")):
        if given[name] != default:
            words += [f"--{name}", given[name]]
    for option, name in (("--notes", "notes"), ("--pin", "pins"), ("--waive", "waive")):
        for text in given[name]:
            words += [option, text]
    return [*words, "--only", given["only"]] if given["only"] else words


@cli.command("predict", epilog=EXIT_CODES)
@click.argument("names", metavar="[SCENARIO]...", nargs=-1)
@click.option(
    "--loop",
    "specs",
    multiple=True,
    metavar="MODULE:FACTORY[,KEY=VALUE...]",
    help="A loop whose history is predicted. May be given several times.  [default: three reference loops]",
)
@_common
@click.option(
    "--seeds", default=3, show_default=True, type=click.IntRange(1), help="Seeds of each scenario, from --seed on."
)
@_format("table", "json", "markdown")
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

    targets = [_target(spec) for spec in specs or study.LOOPS]
    settings = suite.Settings(
        seed=given["seed"],
        seeds=given["seeds"],
        parameters=_parameters(given["parameters"]),
        clock=_clock(given["clock"], *targets),
        tokens=_tokens(given["tokens"]),
        scenario_paths=given["scenario_paths"],
    )
    files = _files(names, settings)
    _log_from(given["log"])
    found = _predicted(targets, files, settings)
    match given["layout"]:
        case "json":
            click.echo(results.as_json(prediction.as_data(found)))
        case "markdown":
            click.echo(prediction.page(found, _command_line(), suite.machine()))
        case _:
            click.echo(prediction.text(found, _width()))


def _predicted(targets: Sequence[Any], files: Sequence[Any], settings: Any) -> Any:
    from looprig.content import ContentError
    from looprig.prediction import study
    from looprig.progress import progress
    from looprig.subject import LoopError

    with progress(study.work(targets, files, settings)) as tell, _apart():
        try:
            return study.study(targets, files, settings, tell)
        except (LoopError, ContentError, study.CannotPredict) as error:
            raise UsageProblem(str(error)) from error


def _command_line() -> str:
    """Return the command that was given, to stand beside what it printed."""
    import shlex

    return shlex.join(["looprig", *sys.argv[1:]])


@cli.command("list")
@click.option(
    "--scenarios",
    "scenario_paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A further scenario file or folder; ./scenarios is found by itself.",
)
@_format("table", "json")
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


@cli.command("replay", epilog=EXIT_CODES)
@click.argument("recording", type=click.Path(path_type=Path))
@click.option("--loop", "spec", default=None, help="Another loop than the recorded one.")
@click.option("--judge-only", is_flag=True, help="Judge the recording as it is; run nothing.")
@click.pass_context
def replay_command(context: click.Context, recording: Path, spec: str | None, judge_only: bool) -> None:
    """Run a RECORDING's conversation again, with its texts of that time, and say whether the loop did the same.

    \b
    looprig replay .looprig/traces/pending_calls-1-reference.jsonl
    looprig replay that.jsonl --loop app.chat:fixed
    looprig replay that.jsonl --judge-only
    """
    from looprig import replay
    from looprig.subject import LoopError
    from looprig.trace import TraceError

    try:
        with _apart():
            target = None if spec is None else _target(spec)
            seen = replay.judge(recording) if judge_only else replay.again(recording, target)
    except (TraceError, LoopError, replay.TargetError) as error:
        raise UsageProblem(str(error)) from error
    click.echo(seen.text)
    context.exit(Exit.VIOLATED if seen.broken else Exit.PASSED)


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
@_format("table", "json", "markdown")
@_store_option
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
    click.echo(history.as_page(trends, runs, everything=everything, markdown=markdown, width=_width()))


@history_group.command("runs")
@click.option("--last", default=20, show_default=True, type=click.IntRange(1), help="So many of the newest runs.")
@_format("table", "json", "markdown")
@_store_option
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
        click.echo(table.as_text(history.runs_table(runs), _width()))


@history_group.command("prune")
@click.option("--keep", type=click.IntRange(0), help="Keep so many of the newest runs.")
@click.option("--older-than", metavar="DAYS", help="Remove runs that are older: 90d, 12w.")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would go.")
@_store_option
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
@_store_option
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
@_store_option
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


@cli.group("serve")
def serve_group() -> None:
    """Serve what a chat loop needs, over HTTP."""


def _with(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add several options to a command, to be shown in this order."""

    def add(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return add


_what_is_served = _with(
    click.option("--port", default=0, type=click.IntRange(0, 65535), help="0 is a free one.", show_default=True),
    click.option("--host", default="127.0.0.1", help="The interface to serve on.", show_default=True),
    click.option("--scenario", default="pending_calls", metavar="NAME", help="What is played.", show_default=True),
    click.option("--seed", default=1, help="The seed that everything is drawn from.", show_default=True),
    click.option("--set", "parameters", multiple=True, metavar="NAME=VALUE", help="A scenario's parameter."),
    click.option(
        "--scenarios",
        "scenario_paths",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Further scenarios.",
    ),
    click.option(
        "--promise",
        "promises",
        multiple=True,
        metavar="NAME=VALUE",
        help="What the loop behind the client promises (messages_max=40, notes=summary), or waive=CODE.",
    ),
    click.option("--no-judge", is_flag=True, help="Judge no invariants: for load. The providers' rules stay."),
    click.option(
        "--tokens",
        type=click.Choice(["estimate", "o200k", "cl100k", "best"]),
        default="estimate",
        help="How tokens are counted; see looprig run.",
        show_default=True,
    ),
)

_how_it_is_served = _with(
    click.option("--ttft", metavar="TIME", help="To the first token: 200ms, lognormal:200ms,0.5, 0.2s+50us/token."),
    click.option("--itl", metavar="TIME", help="Between tokens, as above."),
    click.option(
        "--load",
        default=0.0,
        type=click.FloatRange(0),
        help="By how much each open answer slows the others.",
        show_default=True,
    ),
    click.option("--delays", is_flag=True, help="The scenario's own delays apply too."),
    click.option("--window", type=click.IntRange(1), help="Tokens that a prompt may have, whatever the model."),
    click.option("--rpm", type=click.IntRange(1), help="Requests per minute and API key."),
    click.option("--tpm", type=click.IntRange(1), help="Prompt tokens per minute and API key."),
    click.option(
        "--fault",
        "faults",
        multiple=True,
        metavar="KIND[:every=N|rate=P]",
        help="A fault to make: rate_limit, overloaded, cut, stall ... May be given several times.",
    ),
)


@serve_group.command("model", epilog=EXIT_CODES, context_settings={"ignore_unknown_options": False})
@click.argument("command", nargs=-1, metavar="[-- COMMAND [ARGS]...]")
@_what_is_served
@_how_it_is_served
@click.pass_context
def serve_model_command(context: click.Context, /, command: tuple[str, ...], **given: Any) -> None:
    """Serve the strict model: OpenAI's, Anthropic's and Gemini's APIs, which refuse what the real ones refuse.

    With COMMAND, it is run with the variables set that point clients here, and the exit code is the verdict: 1 where
    an invariant broke, a request was refused or COMMAND failed, 5 where no request came. API keys of the
    environment are replaced, so that none is sent.

    \b
    looprig serve model -- python my_agent.py
    looprig serve model --port 8000 --scenario long_tool_chain
    looprig serve model --fault overloaded:every=10 --ttft 200ms --itl 20ms -- node agent.mjs
    """
    from looprig.report import serving as report
    from looprig.server.running import CannotServe, run_command, serving, until_stopped, variables

    app = _served(given)
    if given["host"] not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"warning: {given['host']} can be reached from other machines, and nobody needs a key", err=True)
    code = 0
    try:
        with serving(app, given["host"], given["port"]) as running:
            if command:
                code = run_command(command, running)
            else:
                with until_stopped() as wait:
                    for line in report.addresses(running.url, variables(running.url), app.play.scenario.name):
                        click.echo(line)
                    wait()
    except CannotServe as error:
        raise UsageProblem(str(error)) from error
    seen = app.seen()
    click.echo(_verdict_page(seen, given, command))
    context.exit(_served_code(seen, code))


def _served(given: dict[str, Any]) -> Any:
    """Make the application that the options ask for."""
    from looprig import content
    from looprig.server import settings
    from looprig.server.app import App

    parameters = _parameters(given["parameters"])
    given["tokens"] = _tokens(given["tokens"])

    def find(name: str) -> Any:
        file = content.find_scenario(name, given["scenario_paths"])
        for parameter in parameters:
            if name == given["scenario"] and not content.accepts(file, parameter):
                raise UsageProblem(_no_parameter(parameter, [file]))
        return file.make(given["seed"], {key: text for key, text in parameters.items() if content.accepts(file, key)})

    try:
        return App(settings.of_options(given, find(given["scenario"])), find)
    except (content.ContentError, settings.BadSetting) as error:
        raise UsageProblem(str(error)) from error


def _verdict_page(seen: Any, given: dict[str, Any], command: Sequence[str]) -> str:
    import shlex

    from looprig.report import serving as report

    words = ["looprig", "serve", "model", "--scenario", given["scenario"], "--seed", str(given["seed"])]
    words += [word for text in given["parameters"] for word in ("--set", text)]
    words += [word for text in given["faults"] for word in ("--fault", text)]
    replay = shlex.join([*words, "--", *(command or ("YOUR", "COMMAND"))])
    text, _, last = report.page(seen, replay, _width()).rpartition("\n")
    return f"{text}\n{_painted(last)}"


def _served_code(seen: Any, code: int) -> int:
    """Return the exit code; a command that fails by itself is no pass."""
    if not seen["passed"]:
        return Exit.VIOLATED
    if code:
        click.echo(f"the command ended with exit code {code}", err=True)
        return Exit.VIOLATED
    return Exit.PASSED if seen["requests"] else Exit.NOTHING_RAN


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
