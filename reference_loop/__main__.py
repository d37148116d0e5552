"""A small conversation in the terminal, over the mock model and the mock tools."""

import argparse
import asyncio
from contextlib import closing

from reference_loop import POLICIES, Config, ConfigError, InputError, MockModel, ReferenceLoop, mock_tools
from reference_loop.persistence import JournalError

HELP = 'Try "calculate 6*7", "note milk: buy two", "notes", "delete milk"; /history, /stats or /quit.'


def main() -> None:
    """Talk until the user has had enough."""
    parser = argparse.ArgumentParser(prog="python -m reference_loop", description=__doc__, allow_abbrev=False)
    parser.add_argument("--policy", choices=POLICIES, default="grouped", help="how the history is trimmed")
    parser.add_argument("--max-history-pairs", type=int, default=100, metavar="N", help="default: %(default)s")
    parser.add_argument("--journal", default="", metavar="FILE", help="save the session there, or go on with it")
    try:
        loop = ReferenceLoop(MockModel(), mock_tools(), Config(**vars(parser.parse_args())), approve=ask)
    except (ConfigError, JournalError) as error:
        parser.error(str(error))
    # Not asyncio.run: it makes of the first Ctrl-C a cancellation, which a blocked input() never notices.
    with closing(loop), closing(asyncio.new_event_loop()) as events:
        try:
            events.run_until_complete(talk(loop))
        except (EOFError, KeyboardInterrupt):
            print()


async def talk(loop: ReferenceLoop) -> None:
    print(HELP)
    if (answer := await loop.resume()) is not None:
        print(answer.content)
    while (line := input("> ").strip()) != "/quit":
        if line == "/history":
            print(*(message.to_dict() for message in loop.history), sep="\n")
        elif line == "/stats":
            print(*(f"{name}: {value:g}" for name, value in loop.statistics().items()), sep="\n")
        elif not line or line.startswith("/"):
            print(HELP)
        else:
            try:
                print((await loop.send(line)).content)
            except InputError as error:
                print(f"refused: {error}")


def ask(call_id: str, name: str, arguments: str) -> bool:
    """Ask the user whether a tool may run."""
    return input(f"run {name}({arguments})? [y/N] ").strip().lower() in ("y", "yes")


if __name__ == "__main__":
    main()
