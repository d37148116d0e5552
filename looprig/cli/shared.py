"""What the commands share: errors, options, and what options mean."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from looprig.exits import Exit

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


store_option = click.option(
    "--store",
    default=".looprig/history.db",
    show_default=True,
    envvar="LOOPRIG_STORE",
    show_envvar=True,
    metavar="FILE|URL|none",
    help="Where runs are kept, for `looprig history`: a file, or postgresql://USER@HOST/DATABASE.",
)


loop_option = click.option(
    "--loop",
    "spec",
    default="reference",
    show_default=True,
    metavar="MODULE:FACTORY[,KEY=VALUE...]",
    help="The loop under test; its factory gets (model, tools) and the options.",
)


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
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


def format_option(*layouts: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the option that chooses how results are printed."""
    return click.option(
        "--format",
        "layout",
        type=click.Choice(layouts),
        default="table",
        show_default=True,
        help="What is printed to standard output.",
    )


def parameters_of(given: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise UsageProblem(f"--set takes NAME=VALUE, not {name!r}")
    return {name: value for name, _, value in pairs}


def found_files(names: Sequence[str], settings: Any) -> list[Any]:
    """Find the scenarios that are meant, and refuse parameters that none of them has."""
    from looprig import content

    try:
        if names:
            files = [content.find_scenario(name, settings.scenario_paths) for name in names]
        else:
            files = [file for file in content.find_scenarios(settings.scenario_paths).values() if not file.error]
        for name in settings.parameters:
            if not any(content.accepts(file, name) for file in files):
                raise UsageProblem(no_parameter(name, files))
    except content.ContentError as error:
        raise UsageProblem(str(error)) from error
    if not files:
        click.echo("nothing to run: no scenario was found", err=True)
        raise SystemExit(Exit.NOTHING_RAN)
    return files


def no_parameter(name: str, files: Sequence[Any]) -> str:
    import difflib

    known = sorted({parameter for file in files for parameter in file.parameters})
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"they have {', '.join(known) or 'none'}"
    who = files[0].name if len(files) == 1 else f"none of the {len(files)} scenarios"
    has = "has no parameter" if len(files) == 1 else "has a parameter"
    return f"{who} {has} {name!r}; {hint}"


def found_target(spec: str) -> Any:
    from looprig import target

    try:
        return target.find(spec)
    except target.TargetError as error:
        raise UsageProblem(str(error)) from error


def clock_for(wanted: str, *targets: Any) -> str:
    """Return the clock to run on: real, where that is wanted or one of the loops cannot do without."""
    return "real" if wanted == "real" or any(target.clock == "real" for target in targets) else "virtual"


def counter_name(name: str) -> str:
    """Return the name of the token counter that is meant, and refuse one that does not work here."""
    from looprig.tokens import TokenizerMissing, best, counter

    if name == "best":
        return best()
    try:
        counter(name)
    except TokenizerMissing as error:
        raise UsageProblem(str(error)) from error
    return name


def apart() -> contextlib.AbstractContextManager[Any]:
    """Send what a loop prints to standard error: standard output is for results, which other programs read."""
    return contextlib.redirect_stdout(sys.stderr)


def log_from(level: str | None) -> None:
    """Show the loop's log, or keep it quiet: scenarios plan failures, and a loop may log each with a traceback."""
    import logging

    if level is None:
        logging.getLogger().addHandler(logging.NullHandler())
    else:
        logging.basicConfig(level=level.upper(), format="%(levelname)s %(name)s: %(message)s")


def terminal_width() -> int | None:
    """Return how wide a table may be: the terminal's width, or None where the output goes to a file or a pipe."""
    import shutil

    return shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else None


def painted(verdict: str) -> str:
    word, rest = verdict.split(" ", 1)
    return f"{click.style(word, fg='green' if word == 'PASSED' else 'red', bold=True)} {rest}"


def kept_where(store: str) -> str | None:
    """Return the store that is meant, None for none, and refuse an address that cannot be one before anything runs."""
    if "://" in store:
        from looprig.store import StoreError, check_address

        try:
            check_address(store)
        except StoreError as error:
            raise UsageProblem(str(error)) from error
    return None if store == "none" else store


def keep(where: str | None, make: Callable[[Any], Any]) -> None:
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


def say(text: str) -> None:
    click.echo(text, err=True)


def write_file(path: Path, make: Callable[[], str]) -> None:
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


class WithCommand(click.Command):
    """A command that takes another command behind ``--``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if "--" in args:
            at = args.index("--")
            ctx.meta[COMMAND_BEHIND] = args[at + 1 :]
            args = args[:at]
        return super().parse_args(ctx, args)


COMMAND_BEHIND = "looprig.command"


def print_as(layout: str, report: Any, *parts: Any) -> None:
    """Print *parts* in a layout by a module of `looprig.report`: its as_data, as_markdown or as_text."""
    from looprig.report import results

    match layout:
        case "json":
            click.echo(results.as_json(report.as_data(*parts)))
        case "markdown":
            click.echo(report.as_markdown(*parts))
        case _:
            click.echo(report.as_text(*parts, terminal_width()))
