"""A small conversation in the terminal, over the mock model and the mock tools."""

import argparse
import signal
import sys
from contextlib import closing

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
        parser.error(str(error))
    with closing(SyncReferenceLoop(ReferenceLoop(MockModel(), mock_tools(), config, approve=ask))) as loop:
        print(HELP)
        try:
            while (line := input("> ").strip()) != "/quit":
                print(reply(loop, line))
        except (EOFError, KeyboardInterrupt):
            print()
    return 0


def reply(loop: SyncReferenceLoop, line: str) -> str:
    """Do what *line* says; return what to print."""
    match line:
        case "/history":
            return "\n".join(str(message.to_dict()) for message in loop.history)
        case "/stats":
            return "\n".join(f"{name}: {value:g}" for name, value in loop.statistics().items())
        case _ if not line or line.startswith("/"):
            return HELP
    try:
        return loop.send(line).content
    except InputError as error:
        return f"refused: {error}"


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
