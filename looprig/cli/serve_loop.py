"""`looprig serve loop`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from looprig.cli.serve import serve_group
from looprig.cli.shared import (
    EXIT_CODES,
    UsageProblem,
    apart,
    found_target,
    log_from,
    loop_option,
    no_parameter,
    painted,
    parameters_of,
    terminal_width,
)
from looprig.exits import Exit


@serve_group.command("loop", epilog=EXIT_CODES)
@loop_option
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0 is a free one.", show_default=True)
@click.option("--host", default="127.0.0.1", help="The interface to serve on.", show_default=True)
@click.option(
    "--scenario",
    default="long_conversation",
    metavar="NAME",
    help="What model and tools play to a session that asks for no other.",
    show_default=True,
)
@click.option("--seed", default=1, help="The seed of that scenario, and of the latencies.", show_default=True)
@click.option("--set", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of that scenario.")
@click.option(
    "--scenarios", "scenario_paths", multiple=True, type=click.Path(path_type=Path), help="Further scenarios."
)
@click.option("--ttft", metavar="TIME", help="To a reply's first token: 200ms, lognormal:200ms,0.5, 0.2s+50us/token.")
@click.option("--itl", metavar="TIME", help="Between tokens, as above. Without both, the scenario's own delays count.")
@click.option(
    "--sessions-most",
    default=10_000,
    type=click.IntRange(1),
    help="Sessions that may be open; beyond, 429.",
    show_default=True,
)
@click.option(
    "--turns-most",
    default=2_000,
    type=click.IntRange(1),
    help="Turns that may run at one time; beyond, 429.",
    show_default=True,
)
@click.option(
    "--threads",
    default=64,
    type=click.IntRange(1),
    help="Threads for loops that are synchronous.",
    show_default=True,
)
@click.option(
    "--body-most", default=2**20, type=click.IntRange(1), help="Bytes of a request; beyond, 413.", show_default=True
)
@click.option(
    "--idle", default="15m", metavar="TIME", help="A session that rests so long is closed.", show_default=True
)
@click.option("--turn-limit", default="60s", metavar="TIME", help="A turn that takes longer is stopped, and a finding.")
@click.option("--grace", default="5s", metavar="TIME", help="What running turns get when the service is stopped.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND:...",
    help="A fault to make, to see that it is noticed: stall:ms=300[,every=N], cut[:every=N], freeze:at=2s,for=1s.",
)
@click.option(
    "--log",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default=None,
    help="Show the loop's own log on standard error, from this level on.",
)
@click.pass_context
def serve_loop_command(context: click.Context, /, **given: Any) -> None:
    """Serve a chat loop over HTTP, and judge every request that it makes: what a load test is pointed to.

    Each session has a loop of its own; model and tools play a scenario's script to it. A turn is a POST that is
    answered by server-sent events: text as the model hands it out, tools as they run, and what the turn came to.
    /v1/chat/completions takes OpenAI clients. SIGTERM or Ctrl-C stops the service: running turns end, the verdict is
    printed, and the exit code is 1 where an invariant broke or sessions were mixed.

    \b
    looprig serve loop --port 8000
    looprig serve loop --loop app.chat:make_loop --ttft 200ms --itl 20ms
    looprig serve loop --scenario pending_calls --loop reference,policy=seed,max_history_pairs=10
    """
    from looprig.serving.running import CannotServe, serving, until_stopped

    log_from(given["log"])
    with apart():
        service = _served(given)
    if given["host"] not in ("127.0.0.1", "localhost", "::1"):
        click.echo(f"warning: {given['host']} can be reached from other machines, and nobody needs a key", err=True)
    try:
        with until_stopped() as wait, serving(service, given["host"], given["port"]) as running:
            click.echo(f"serving {running.url}")
            with apart():
                wait()
                _drain(running, service.settings.bounds.grace_s)
    except CannotServe as error:
        raise UsageProblem(str(error)) from error
    seen = service.seen()
    click.echo(_verdict_page(seen, given))
    context.exit(_code(seen))


def _drain(running: Any, grace_s: float) -> None:
    """Take nothing new, and wait for the turns that run, as long as they get."""
    until = time.monotonic() + grace_s
    while running.ask(running.app.drain) and time.monotonic() < until:
        time.sleep(0.02)


def _served(given: dict[str, Any]) -> Any:
    """Make the service that the options ask for."""
    from looprig import content
    from looprig.service.app import Service
    from looprig.service.scripts import BadScenario, Unknown
    from looprig.service.settings import BadSetting, Bounds, Settings, duration_of, faults_of, pace_of
    from looprig.subject import LoopError

    parameters, target = parameters_of(given["parameters"]), found_target(given["spec"])
    paths = given["scenario_paths"]

    def make(name: str, seed: int, wanted: Any) -> Any:
        return content.find_scenario(name, paths).make(seed, wanted)

    try:
        file = content.find_scenario(given["scenario"], paths)
        unknown = next((name for name in parameters if not content.accepts(file, name)), None)
        if unknown is not None and not file.error:
            raise UsageProblem(no_parameter(unknown, [file]))
        bounds = Bounds(
            sessions=given["sessions_most"],
            turns=given["turns_most"],
            threads=given["threads"],
            body=given["body_most"],
            idle_s=duration_of("--idle", given["idle"]),
            turn_s=duration_of("--turn-limit", given["turn_limit"]),
            grace_s=duration_of("--grace", given["grace"]),
        )
        settings = Settings(
            factory=target.make(),
            make=make,
            spec=given["spec"],
            scenario=given["scenario"],
            seed=given["seed"],
            parameters=parameters,
            pace=pace_of(given["ttft"], given["itl"], given["seed"]),
            bounds=bounds,
            faults=faults_of(given["faults"]),
        )
        return Service(settings)
    except (content.ContentError, BadSetting, LoopError, BadScenario, Unknown) as error:
        raise UsageProblem(str(error)) from error


def _command(given: dict[str, Any]) -> Sequence[str]:
    words = ["looprig", "serve", "loop", "--loop", given["spec"], "--scenario", given["scenario"]]
    words += ["--seed", str(given["seed"]), *(word for text in given["parameters"] for word in ("--set", text))]
    for name in ("ttft", "itl"):
        words += [f"--{name}", given[name]] if given[name] else []
    return words


def _verdict_page(seen: Any, given: dict[str, Any]) -> str:
    from looprig.report import service as report

    text, _, last = report.page(seen, _command(given), terminal_width()).rpartition("\n")
    return f"{text}\n{painted(last)}"


def _code(seen: Any) -> int:
    from looprig.report import service as report

    if not seen["turns"]["started"]:
        return Exit.NOTHING_RAN
    if not report.passed(seen):
        return Exit.VIOLATED
    return Exit.USAGE if seen["misuse"] else Exit.PASSED
