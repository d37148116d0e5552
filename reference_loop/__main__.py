"""A small conversation in the terminal, over the mock model and the mock tools."""

import argparse
import signal
import sys
from contextlib import closing

from looprig.messages import Message
from reference_loop import POLICIES, Config, ConfigError, InputError, MockModel, ReferenceLoop, mock_tools
from reference_loop.factory import SyncReferenceLoop

HELP = 'Try "calculate 6*7", "note milk: buy two", "notes", "delete milk"; /history, /stats or /quit.'


def main() -> int:
    """Talk until the user has had enough; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m reference_loop", description=__doc__, allow_abbrev=False)
    parser.add_argument("--policy", choices=POLICIES, default="grouped", help="how the history is trimmed")
    parser.add_argument("--max-history-pairs", type=int, default=100, metavar="N", help="default: %(default)s")
    try:
        config = Config(**vars(parser.parse_args()))
    except ConfigError as error:
        print(f"reference_loop: {error}", file=sys.stderr)
        return 2
    with closing(SyncReferenceLoop(ReferenceLoop(MockModel(), mock_tools(), config, approve=ask))) as loop:
        print(HELP)
        try:
            while (line := input("> ").strip()) != "/quit":
                print(*replies(loop, line), sep="\n")
        except (EOFError, KeyboardInterrupt):
            print()
    return 0


def replies(loop: SyncReferenceLoop, line: str) -> list[str]:
    """Do what *line* says; return the lines to print."""
    if line == "/history":
        return [shown(message) for message in loop.history]
    if line == "/stats":
        return [f"{name}: {value:g}" for name, value in loop.statistics().items()]
    if not line or line.startswith("/"):
        return [HELP]
    try:
        return [loop.send(line).content]
    except InputError as error:
        return [f"refused: {error}"]


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
