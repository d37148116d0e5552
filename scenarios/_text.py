"""What the scenarios share: sentences drawn once, cheap picks from them, and everyday turns and tool calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import TypeVar

from faker import Faker

from looprig.scenario import PlannedCall, Round, Turn, stream, user_text

Card = TypeVar("Card")

SYSTEM = "You are a helpful assistant with tools. Say what you found, and where."

_POOL = 256  # a power of two, so that a pick is a mask
_PARTS = 4096  # numbers that belong to one turn
_BITS = (1 << 64) - 1

# Tools that only look something up, with the argument that each needs.
_LOOKUPS = (
    ("search", "query", "what is known about item {}"),
    ("read_file", "path", "notes/{}.md"),
    ("list_files", "prefix", "notes/{}"),
    ("fetch_url", "url", "https://example.org/items/{}"),
)


def mix(number: int) -> int:
    """Return 64 bits that depend on all of *number* (splitmix64): neighbours get unrelated values.

    A tenth of the cost of seeding a generator for each turn, and as repeatable.
    """
    number = (number * 0x9E3779B97F4A7C15) & _BITS
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _BITS
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _BITS
    return number ^ (number >> 31)


class Words:
    """A pool of sentences; any turn's texts are picked from it by the turn's number alone.

    ``part`` tells the texts of one turn apart: 0 is what the user says, 1 the answer, and
    from 2 on each scenario numbers its tool calls as it likes.
    """

    def __init__(self, seed: int) -> None:
        faker = Faker("en_US")
        faker.seed_instance(f"{seed}/sentences")
        self._sentences = [faker.sentence(nb_words=12, variable_nb_words=False) for _ in range(_POOL)]
        self._salt = stream(seed, "picks").getrandbits(64)

    def pick(self, turn: int, part: int) -> int:
        """Return 64 bits that belong to this part of this turn."""
        return mix(self._salt + turn * _PARTS + part)

    def sentence(self, turn: int, part: int) -> str:
        """Return a sentence of 50 to 110 characters."""
        return self._sentences[self.pick(turn, part) & (_POOL - 1)]

    def text(self, turn: int, part: int, chars: int) -> str:
        """Return exactly *chars* characters of running text."""
        start = self.pick(turn, part) & (_POOL - 1)
        lap = " ".join(self._sentences[start:] + self._sentences[:start]) + " "
        return (lap * (chars // len(lap) + 1))[: chars - 1] + "."

    def lookup(self, turn: int, part: int = 2, duration_s: float = 0.0, id: str | None = None) -> PlannedCall:  # noqa: A002 - the field's name
        """Return an everyday call, which only looks something up."""
        bits = self.pick(turn, part)
        name, key, value = _LOOKUPS[bits & 3]
        return PlannedCall(
            name=name,
            inputs={key: value.format(bits >> 2 & 0xFFF)},
            result=self._sentences[bits >> 14 & (_POOL - 1)],
            duration_s=duration_s,
            id=id,
        )

    def turn(self, number: int, *rounds: Round, system: tuple[str, ...] = ()) -> Turn:
        """Return an everyday turn of session 0, with these rounds."""
        said = user_text(0, number, self.sentence(number, 0))
        return Turn(say=said, answer=self.sentence(number, 1), rounds=rounds, system=system)


def decks(random: Random, cards: Sequence[Card]) -> Iterator[Card]:
    """Deal *cards* in random order, deck after deck: each comes equally often, however few are drawn."""
    while True:
        yield from random.sample(cards, len(cards))


def opening(number: int) -> tuple[str, ...]:
    """Return the system messages before turn *number* of a conversation that has one system prompt."""
    return () if number else (SYSTEM,)


def at_least(least: int, **sizes: float) -> None:
    """Refuse sizes that would make a scenario of nothing."""
    for name, size in sizes.items():
        if size < least:
            raise ValueError(f"{name} is at least {least}; {size} is too small")
