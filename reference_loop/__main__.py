"""A small conversation in the terminal, over the mock model and the mock tools."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from looprig.messages import Message
from reference_loop.config import Config
from reference_loop.errors import ConfigError, InputError
from reference_loop.facade import SyncReferenceLoop
from reference_loop.loop import ReferenceLoop
from reference_loop.mock_llm import MockModel
from reference_loop.mock_tools import mock_tools
from reference_loop.policies import POLICIES

HELP = 'Try "calculate 2*21", "note milk: buy two", "notes", "delete milk"; /history, /stats or /quit.'


def main(arguments: Sequence[str] | None = None) -> int:
    """Talk until the user has had enough; return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        config = Config(policy=options.policy, max_history_pairs=options.max_history_pairs)
    except ConfigError as error:
        print(f"reference_loop: {error}", file=sys.stderr)
        return 2
    with SyncReferenceLoop(ReferenceLoop(MockModel(), mock_tools(), config, approve=ask)) as loop:
        print(HELP)
        try:
            while say(loop, input("> ").strip()):
                pass
        except (EOFError, KeyboardInterrupt):
            print()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reference_loop", description=__doc__, allow_abbrev=False)
    parser.add_argument("--policy", choices=POLICIES, default="grouped", help="how the history is trimmed")
    parser.add_argument("--max-history-pairs", type=int, default=100, metavar="N", help="default: %(default)s")
    return parser


def say(loop: SyncReferenceLoop, line: str) -> bool:
    """Do what *line* says; return whether to go on."""
    match line:
        case "":
            pass
        case "/quit":
            return False
        case "/history":
            print(*map(shown, loop.history), sep="\n")
        case "/stats":
            print(*(f"{name}: {value:g}" for name, value in loop.statistics().items()), sep="\n")
        case _ if line.startswith("/"):
            print(HELP)
        case _:
            print(answer(loop, line))
    return True


def answer(loop: SyncReferenceLoop, line: str) -> str:
    try:
        return loop.send(line).content
    except InputError as error:
        return f"refused: {error}"


def shown(message: Message) -> str:
    """Return *message* as one line."""
    calls = "".join(f" -> {call.name}({call.arguments})" for call in message.tool_calls)
    return f"{message.role}: {message.content}{calls}"


def ask(call_id: str, name: str, arguments: str) -> bool:
    """Ask the user whether a tool may run."""
    # During a turn asyncio turns the first Ctrl-C into a cancellation, which a blocked input() never notices.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input(f"run {name}({arguments})? [y/N] ").strip().lower() in ("y", "yes")
    finally:
        signal.signal(signal.SIGINT, handler)


if __name__ == "__main__":
    sys.exit(main())
