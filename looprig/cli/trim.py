"""`looprig trim`."""

from __future__ import annotations

from typing import Any

import click

from looprig.cli.root import cli
from looprig.cli.shared import EXIT_CODES, UsageProblem, apart, format_option, log_from, painted, terminal_width
from looprig.exits import Exit


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
@format_option("table", "json", "markdown")
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

    log_from(None)
    with apart():
        judged = _judged(spec, given)
    if layout == "json":
        data = [trim.as_data(one) for one in judged]
        click.echo(results.as_json(data[0] if len(data) == 1 else data))
    for one in judged if layout != "json" else ():
        if layout == "markdown":
            click.echo(trim.markdown(one))
        else:
            click.echo(trim.page(one, terminal_width()))
            click.echo(painted(trim.verdict_line(one)))
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
