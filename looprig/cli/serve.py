"""`looprig serve`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from looprig.cli.root import cli
from looprig.cli.shared import (
    EXIT_CODES,
    UsageProblem,
    counter_name,
    no_parameter,
    painted,
    parameters_of,
    terminal_width,
)
from looprig.exits import Exit


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

    parameters = parameters_of(given["parameters"])
    given["tokens"] = counter_name(given["tokens"])

    def find(name: str) -> Any:
        file = content.find_scenario(name, given["scenario_paths"])
        for parameter in parameters:
            if name == given["scenario"] and not content.accepts(file, parameter):
                raise UsageProblem(no_parameter(parameter, [file]))
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
    text, _, last = report.page(seen, replay, terminal_width()).rpartition("\n")
    return f"{text}\n{painted(last)}"


def _served_code(seen: Any, code: int) -> int:
    """Return the exit code; a command that fails by itself is no pass."""
    if not seen["passed"]:
        return Exit.VIOLATED
    if code:
        click.echo(f"the command ended with exit code {code}", err=True)
        return Exit.VIOLATED
    return Exit.PASSED if seen["requests"] else Exit.NOTHING_RAN
