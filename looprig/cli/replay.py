"""`looprig replay`."""

from __future__ import annotations

from pathlib import Path

import click

from looprig.cli.root import cli
from looprig.cli.shared import EXIT_CODES, UsageProblem, apart, found_target
from looprig.exits import Exit


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
        with apart():
            target = None if spec is None else found_target(spec)
            seen = replay.judge(recording) if judge_only else replay.again(recording, target)
    except (TraceError, LoopError, replay.TargetError) as error:
        raise UsageProblem(str(error)) from error
    click.echo(seen.text)
    context.exit(Exit.VIOLATED if seen.broken else Exit.PASSED)
