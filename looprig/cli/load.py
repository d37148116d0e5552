"""`looprig load`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from looprig.cli.root import cli
from looprig.cli.shared import UsageProblem, no_parameter, painted, parameters_of, say, terminal_width
from looprig.exits import Exit

LOAD_EXIT_CODES = """\b
Exit codes:
  0  every threshold met     4  the run is not valid, or broke off
  1  an invariant broke      5  nothing ran: no service, no turn
  2  usage                   70 a bug in looprig
  3  a threshold was missed  130 interrupted"""


class Sectioned(click.Command):
    """A command whose options are shown in sections, and which takes from pyproject.toml what is not given."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section with its options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(context):
            if record := parameter.get_help_record(context):
                sections.setdefault(_SECTION_OF.get(parameter.name or "", "Other"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the configuration first: its values stand in for the defaults."""
        from looprig.gate.config import FILE, ConfigError, load_options

        try:
            found = load_options(Path(FILE))
        except (ConfigError, OSError, UnicodeDecodeError) as error:
            raise UsageProblem(str(error)) from error
        if "set" in found:
            found["parameters"] = [f"{name}={value}" for name, value in found.pop("set").items()]
        names = {"loop": "spec"}
        context.default_map = {names.get(name, name): value for name, value in found.items()}
        return super().parse_args(context, args)


_SECTION_OF: dict[str, str] = {}


def _section(title: str, *options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add options to a command, to be shown in this order under *title*."""

    def add(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
            _SECTION_OF[function.__click_params__[-1].name] = title
        return function

    return add


_what = _section(
    "What is under load",
    click.option("--url", metavar="URL", help="A service that runs; without it, looprig serves the loop itself."),
    click.option(
        "--protocol",
        type=click.Choice(["session", "chat-completions"]),
        default="session",
        show_default=True,
        help="looprig's own sessions, or any OpenAI-compatible URL.",
    ),
    click.option("--model", default="looprig", metavar="NAME", help="The model that chat-completions asks for."),
    click.option(
        "--loop",
        "spec",
        default="reference",
        show_default=True,
        metavar="MODULE:FACTORY[,KEY=VALUE...]",
        help="The loop that is served; see looprig run.",
    ),
    click.option("--ttft", metavar="TIME", help="The scripted model's time to its first token.  [default: 100ms]"),
    click.option("--itl", metavar="TIME", help="The scripted model's time between tokens.  [default: 10ms]"),
    click.option(
        "--fault",
        "faults",
        multiple=True,
        metavar="KIND[:...]",
        help="A fault that the service makes: stall:ms=300, cut:every=50, freeze:at=2s,for=1s.",
    ),
)

_load = _section(
    "How much load",
    click.option(
        "--for",
        "lasting",
        default="60s",
        show_default=True,
        metavar="TIME",
        help="How long users arrive; a trace, by default, to its end.",
    ),
    click.option(
        "--users",
        type=click.Choice(["open", "closed", "replay"]),
        default="open",
        show_default=True,
        help="open: sessions arrive by a schedule. closed: a number of people. replay: a trace's arrivals.",
    ),
    click.option(
        "--rate", default=3.0, show_default=True, type=click.FloatRange(0, min_open=True), help="open: sessions/s."
    ),
    click.option("--people", default=50, show_default=True, type=click.IntRange(1), help="closed: how many there are."),
    click.option("--stages", metavar="TIME:N[-N],...", help="Rates or people over time: 30s:2,60s:2-10,30s:10."),
    click.option(
        "--arrivals",
        default="poisson",
        show_default=True,
        metavar="KIND",
        help="poisson, constant, or gamma:SHAPE (below 1: bursts).",
    ),
    click.option("--in-flight-most", type=click.IntRange(1), help="Sessions at one time; more are dropped, and told."),
    click.option("--trace", type=click.Path(dir_okay=False, path_type=Path), help="replay: the trace's file."),
    click.option(
        "--trace-scale",
        default=1.0,
        show_default=True,
        type=click.FloatRange(0, min_open=True),
        help="replay: how many times as long it takes.",
    ),
    click.option("--warmup", default="0s", show_default=True, metavar="TIME", help="Left out at the beginning."),
    click.option("--cooldown", default="0s", show_default=True, metavar="TIME", help="Left out at the end."),
    click.option(
        "--drain", default="30s", show_default=True, metavar="TIME", help="How long running turns are waited for."
    ),
)

_talk = _section(
    "What users say",
    click.option(
        "--scenario", default="long_conversation", show_default=True, metavar="NAME", help="See looprig list."
    ),
    click.option("--set", "parameters", multiple=True, metavar="NAME=VALUE", help="A scenario's parameter."),
    click.option("--seed", default=1, show_default=True, help="The seed that everything is drawn from."),
    click.option("--turns", default=12, show_default=True, type=click.IntRange(1), help="The most of a session."),
    click.option(
        "--think",
        default="1s,0.5",
        show_default=True,
        metavar="TIME[,SIGMA]",
        help="How long they think before they type again; people at a keyboard: 18s,1.25.",
    ),
    click.option(
        "--abandon",
        default=0.0,
        show_default=True,
        type=click.FloatRange(0, 1),
        help="The share of turns whose user leaves in the middle.",
    ),
)

_verdict = _section(
    "Verdict",
    click.option(
        "--threshold",
        "thresholds",
        multiple=True,
        metavar="RULE",
        help="What the run has to keep: 'ttft.p95 < 800ms', 'ttft{turn=10+}.p95 < 1.2s', 'error_rate < 1%', "
        "'goodput > 5'. Without any: error_rate < 1%, and of a loop that is served here ttft.p95 < --ttft + 200ms.",
    ),
    click.option("--slo", "slos", multiple=True, metavar="METRIC=TIME", help="What a good turn keeps: ttft=800ms."),
    click.option(
        "--late-most",
        metavar="TIME",
        help="How late the generator may be (p99).  [default: 5ms, or 5 % of the tightest limit]",
    ),
    click.option(
        "--give-up-below",
        type=click.FloatRange(0, 1),
        help="End when in three --stages in a row fewer of the turns were good.",
    ),
    click.option("--knee", is_flag=True, help="Find the highest rate that keeps the thresholds; --for is one run's."),
    click.option(
        "--runs-most", default=40, show_default=True, type=click.IntRange(1), help="Runs that --knee may make."
    ),
)

_generator = _section(
    "Who makes it",
    click.option(
        "--processes", default=1, show_default=True, type=click.IntRange(1), help="Processes on this machine."
    ),
    click.option("--web", is_flag=True, help="Show locust's web UI on 127.0.0.1; the run ends with Ctrl-C."),
    click.option("--web-port", default=0, type=click.IntRange(0, 65535), help="Its port.  [default: a free one]"),
    click.option("--master", metavar="HOST", help="Wait at this interface for workers of other machines."),
    click.option("--expect-workers", type=click.IntRange(1), help="master: how many processes they are in all."),
    click.option("--worker", metavar="HOST", help="Make load for the master there; needs --plan."),
    click.option(
        "--plan",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The plan that all machines of a run share, in place of options; --write-plan writes it.",
    ),
    click.option(
        "--port", default=5557, show_default=True, type=click.IntRange(1, 65535), help="The master's, between machines."
    ),
    click.option(
        "--locustfile",
        type=click.Path(dir_okay=False, path_type=Path),
        help="A locust file of your own, for a service that speaks otherwise.",
    ),
)

_output = _section(
    "Output",
    click.option(
        "--out",
        "folder",
        default=".looprig/load",
        show_default=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Where summary.json, report.html and logs go.",
    ),
    click.option(
        "--format",
        "layout",
        type=click.Choice(["table", "json", "markdown"]),
        default="table",
        show_default=True,
        help="What is printed to standard output.",
    ),
    click.option("--write-plan", is_flag=True, help="Write plan.json for the machines of a run, and do no more."),
)


@cli.command("load", cls=Sectioned, epilog=LOAD_EXIT_CODES)
@_what
@_load
@_talk
@_verdict
@_generator
@_output
@click.pass_context
def load_command(context: click.Context, /, **given: Any) -> None:
    """Put a chat loop under load over HTTP, and say whether it keeps its thresholds and its invariants.

    Sessions arrive by a schedule of their own, latencies count from when a turn was due, and every request of every
    session is judged. A run whose generator was late, or lost a worker, is not valid and gives no verdict. What
    [tool.looprig.load] of pyproject.toml says stands in for the defaults below.

    \b
    looprig load --for 60s
    looprig load --loop app.chat:make_loop --rate 5 --threshold 'ttft{turn=10+}.p95 < 1.2s'
    looprig load --url http://127.0.0.1:8000 --protocol chat-completions --users closed --people 100
    looprig load --knee --for 10s --threshold 'ttft.p95 < 800ms' --slo ttft=800ms
    """
    from looprig.load.arrivals import TraceError
    from looprig.load.children import CannotRun
    from looprig.load.service import NoService

    given["ends"] = context.get_parameter_source("lasting") is click.core.ParameterSource.COMMANDLINE
    try:
        context.exit(_load_run(given))
    except (CannotRun, TraceError) as error:
        raise UsageProblem(str(error)) from error
    except NoService as error:
        click.echo(f"{click.style('nothing ran', fg='red')}: {error}", err=True)
        context.exit(Exit.NOTHING_RAN)


def _load_run(given: dict[str, Any]) -> int:
    from looprig.load import running

    how = _how(given)
    if given["worker"] is not None:
        if given["plan"] is None:
            raise UsageProblem("a worker needs the plan that all machines share: --plan FILE; --write-plan makes one")
        return running.work(given["plan"], how)
    plan = _plan(given, how)
    if given["plan"] is not None:  # written before, for all machines of a run
        plan = running.read_plan(given["plan"])
        given["folder"], given["url"] = Path(plan.folder), plan.url
    if given["write_plan"]:
        running.prepare(given["folder"])
        (path,) = running.write(given["folder"], [("plan.json", _pretty(plan))])
        say(f"wrote {path}")
        return Exit.PASSED
    return _knee(plan, how, given) if given["knee"] else _once(plan, how, given)


def _pretty(value: Any) -> str:
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def _how(given: dict[str, Any]) -> Any:
    from looprig.load.running import How, free_port

    if given["worker"] is not None and given["master"] is not None:
        raise UsageProblem("a process is either the master or a worker: give --master or --worker")
    if given["master"] is not None and given["processes"] > 1:
        raise UsageProblem("a master makes no load itself: give --processes to its workers")
    if (given["master"] is None) != (given["expect_workers"] is None):
        raise UsageProblem("--master HOST and --expect-workers N go together: a lost worker is known by their number")
    if given["knee"] and (given["web"] or given["master"] is not None or given["users"] != "open" or given["stages"]):
        raise UsageProblem(
            "--knee sets the rate of open arrivals itself: leave --web, --master, --users and --stages out"
        )
    if given["locustfile"] is not None and not given["locustfile"].is_file():
        raise UsageProblem(f"there is no locust file {given['locustfile']}")
    return How(
        locustfile=given["locustfile"],
        processes=given["processes"],
        web_port=(given["web_port"] or free_port()) if given["web"] else None,
        master=given["master"],
        worker_of=given["worker"],
        port=given["port"],
    )


def _plan(given: dict[str, Any], how: Any) -> Any:
    """Read the options into a plan."""
    from looprig.load import asked
    from looprig.load.plan import Plan, Stage, Talk
    from looprig.load.thresholds import ThresholdError

    try:
        lasting = asked.duration(given["lasting"])
        level = float(given["people"] if given["users"] == "closed" else given["rate"])
        stages = asked.stages(given["stages"]) if given["stages"] else _stages(given, lasting, level, Stage)
        return Plan(
            url=(given["url"] or "").rstrip("/"),
            seed=given["seed"],
            users=given["users"],
            protocol=given["protocol"],
            model=given["model"],
            stages=stages,
            arrivals=asked.arrivals(given["arrivals"], given["in_flight_most"]),
            trace=str(given["trace"]) if given["trace"] else None,
            trace_scale=given["trace_scale"],
            talk=Talk(
                scenario=given["scenario"],
                parameters=_parameters(given),
                turns=given["turns"],
                think=asked.think(given["think"]),
                abandon=given["abandon"],
            ),
            warmup_s=asked.duration(given["warmup"]),
            cooldown_s=asked.duration(given["cooldown"]),
            stop_timeout_s=asked.duration(given["drain"]),
            workers=given["expect_workers"] or how.processes,
            slos=asked.slos(given["slos"]),
            thresholds=asked.thresholds(given["thresholds"], given["url"] is None, given["ttft"]),
            give_up_below=given["give_up_below"],
            folder=str(given["folder"]),
        )
    except (asked.BadWish, ThresholdError) as error:
        raise UsageProblem(str(error)) from error


def _stages(given: dict[str, Any], lasting: float, level: float, stage: Any) -> tuple[Any, ...]:
    if lasting <= 0:
        raise UsageProblem("--for takes a time above 0")
    if given["users"] == "replay":
        from looprig.load.arrivals import trace

        if given["trace"] is None:
            raise UsageProblem("--users replay needs the trace whose arrivals are replayed: --trace FILE")
        if not sum(1 for _ in trace(given["trace"])):  # to its end, so that what is wrong with it is said now
            raise UsageProblem(f"the trace {given['trace']} has no arrivals")
        if not given["ends"]:
            return ()
    return (stage(duration_s=lasting, start=level, end=level),)


def _parameters(given: dict[str, Any]) -> dict[str, str]:
    """Return the scenario's parameters, once it was found and takes them."""
    from looprig import content

    parameters = parameters_of(given["parameters"])
    try:
        file = content.find_scenario(given["scenario"])
        for name in parameters:
            if not content.accepts(file, name):
                raise UsageProblem(no_parameter(name, [file]))
        file.make(given["seed"], parameters)
    except content.ContentError as error:
        raise UsageProblem(str(error)) from error
    return parameters


def _opened(given: dict[str, Any], plan: Any) -> Any:
    """Return what starts or finds the service."""
    from functools import partial

    from looprig.load.service import ServiceWanted, existing, running

    if plan.url:
        if given["faults"]:
            raise UsageProblem("--fault is for a service that looprig starts: leave --url out")
        return partial(existing, plan.url)
    options = ["--scenario", plan.talk.scenario, "--seed", str(plan.seed)]
    options += [word for name, value in plan.talk.parameters.items() for word in ("--set", f"{name}={value}")]
    options += ["--ttft", given["ttft"] or "100ms", "--itl", given["itl"] or "10ms"]
    options += [word for fault in given["faults"] for word in ("--fault", fault)]
    return partial(running, ServiceWanted(given["spec"], options), given["folder"])


def _late_most(given: dict[str, Any]) -> float | None:
    from looprig.load.asked import BadWish, duration

    try:
        return duration(given["late_most"]) if given["late_most"] else None
    except BadWish as error:
        raise UsageProblem(str(error)) from error


def _once(plan: Any, how: Any, given: dict[str, Any]) -> int:
    from looprig.load import running
    from looprig.report import load as report
    from looprig.report import results

    late = _late_most(given)
    with _telling(plan, how) as tell:
        ran = running.run(plan, how, _opened(given, plan), tell)
    summary = _summary(ran, given, late)
    with _even_if_it_cannot_be_written(lambda: _printed(summary, given["layout"], report, results)):
        paths = running.write(
            given["folder"],
            [
                ("summary.json", results.as_json(summary) + "\n"),
                ("report.html", report.as_html(summary)),
                ("report.md", report.as_markdown(summary)),
            ],
        )
    say(f"wrote {', '.join(str(path) for path in paths)}")
    return int(summary.exit_code)


@contextlib.contextmanager
def _even_if_it_cannot_be_written(show: Callable[[], None]) -> Iterator[None]:
    """Show what was found after the block, also where the block could not write it: a full disk takes no figures."""
    try:
        yield
    finally:
        show()


def _printed(summary: Any, layout: str, report: Any, results: Any) -> None:
    match layout:
        case "json":
            click.echo(results.as_json(summary))
        case "markdown":
            click.echo(report.as_markdown(summary))
        case _:
            click.echo(report.as_text(summary, terminal_width()))
            click.echo(painted(report.verdict_line(summary)))


def _summary(ran: Any, given: dict[str, Any], late: float | None) -> Any:
    from looprig.load.summary import summarise
    from looprig.suite import machine

    return summarise(
        ran.plan,
        ran.tally,
        machine=machine(),
        server=ran.server,
        ended=ran.ended,
        loop=None if given["url"] else given["spec"],
        late_most_s=late,
    )


@contextlib.contextmanager
def _telling(plan: Any, how: Any, label: str = "load") -> Iterator[Callable[[float, Any], None]]:
    from looprig.progress import timed

    if how.web_port is not None:
        say(f"locust's web UI: http://127.0.0.1:{how.web_port}; the run ends with Ctrl-C")
    with timed(plan.duration_s, label) as show:
        yield lambda passed, tally: show(passed, _so_far(tally))


def _so_far(tally: Any) -> str:
    if tally is None:
        return ""
    counts = tally.counts
    return f"{counts.get('finished', 0):,} of {counts.get('offered', 0):,} turns, {counts.get('failed', 0):,} failed"


def _knee(plan: Any, how: Any, given: dict[str, Any]) -> int:
    from looprig.load import search
    from looprig.report import load_knee as report
    from looprig.report import results

    late = _late_most(given)

    def judged(ran: Any) -> Any:
        return _summary(ran, given, late)

    with _telling(plan, how, "one run") as tell:
        found = search.search(plan, how, _opened(given, plan), judged, tell, given["rate"], given["runs_most"], say)
    _shown_knee(found, given, report, results)
    return report.exit_code(found)


def _shown_knee(found: Any, given: dict[str, Any], report: Any, results: Any) -> None:
    from looprig.load import running

    files: Sequence[tuple[str, str]] = [
        ("knee.json", results.as_json(found.knee) + "\n"),
        ("knee.html", report.as_html(found)),
        ("knee.md", report.as_markdown(found)),
    ]

    def show() -> None:
        match given["layout"]:
            case "json":
                click.echo(results.as_json(found.knee))
            case "markdown":
                click.echo(report.as_markdown(found))
            case _:
                click.echo(report.as_text(found, terminal_width()))
                click.echo(painted(report.verdict_line(found)))

    with _even_if_it_cannot_be_written(show):
        paths = running.write(given["folder"], files)
    say(f"wrote {', '.join(str(path) for path in paths)}")
