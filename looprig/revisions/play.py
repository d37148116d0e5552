"""Plays scenarios against the loops of two homes, each in a process of its own, and sets them side by side.

This is what `looprig.compare` does with two loops that this process can import. The scenarios are made here, so that
both sides play the same ones, whatever a revision's scenario files say.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from looprig.compare import Compared, Side
from looprig.content import ScenarioFile, accepts
from looprig.home import Job, Party
from looprig.progress import Tell
from looprig.revisions.git import RevisionProblem
from looprig.revisions.homes import Pair
from looprig.revisions.lines import ANSWER, Failed, Find, Found, Play, Played, line
from looprig.revisions.strangers import refusal
from looprig.runner import Outcome
from looprig.subject import LoopError
from looprig.suite import Settings
from looprig.workload import pack

HASH_SEED = 0
"""Of both sides: what a loop counts may depend on the order of its sets."""

FAREWELL_S = 5.0

TAIL_LINES = 3


class Player:
    """The process that plays one side's loop; a context manager. Errors call the side by *name*.

    What the loop prints comes to standard error when the process ends.
    """

    def __init__(self, party: Party, name: str, users: Path, base: Path) -> None:
        self._party = party
        self._name = name
        self._users = users
        self._base = base
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed on the way out
        self.clock = "virtual"
        self.file: Path | None = None

    def __enter__(self) -> Self:
        home = self._party.home
        self._process = subprocess.Popen(
            home.command("looprig.revisions.player"),
            cwd=home.folder,
            env=dict(home.variables(HASH_SEED)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # an interrupt is ours to handle: the process ends with us
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if kind is not None:
            self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None, "it was asked for"
            self._process.stdin.close()
        try:
            self._process.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None, "it was asked for"
        self._process.stdout.close()
        if kind is None:
            sys.stderr.write(self._printed())
        self._log.close()

    def _printed(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def find(self, log: str | None) -> None:
        """Have the loop found.

        Raises:
            RevisionProblem: where it is not there, or cannot be imported.
        """
        answer = self._ask(
            Find(self._party.spec, str(self._users.resolve()), [str(self._base)], log), "it was imported"
        )
        if isinstance(answer, Failed):
            raise RevisionProblem(f"{self._name}: {answer.because}")
        assert isinstance(answer, Found), "the other answer is to another question"
        self.clock = answer.clock
        self.file = Path(answer.file).resolve() if answer.file else None

    def play(self, scenario: bytes, settings: Settings) -> Outcome:
        """Return what a packed scenario showed.

        Raises:
            LoopError: where the loop cannot be driven, or ends its process.
            RevisionProblem: where what was played is not the revision's.
        """
        question = Play(scenario, settings.clock, settings.tokens, settings.turn_limit_s, settings.providers)
        answer = self._ask(question, "a scenario was played")
        if isinstance(answer, Failed):
            raise LoopError(f"{self._name}: {answer.because}")
        assert isinstance(answer, Played), "the other answer is to another question"
        if answer.strangers:
            raise RevisionProblem(refusal(self._name, answer.strangers[0]))
        if answer.outcome.unusable:
            raise LoopError(f"{self._name}, {answer.outcome.scenario}: {answer.outcome.unusable}")
        return answer.outcome

    def _ask(self, question: Find | Play, when: str) -> Found | Played | Failed:
        assert self._process.stdin is not None, "it was asked for"
        assert self._process.stdout is not None, "it was asked for"
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line(question))
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer.endswith(b"\n"):
            code, said = self._process.wait(), self._printed().strip().splitlines()[-TAIL_LINES:]
            words = f"; it said: {' / '.join(said)}" if said else ", without a word"
            raise LoopError(f"{self._name}: the loop's process ended with {code} while {when}{words}")
        return ANSWER.decode(answer)


@dataclass(frozen=True, slots=True)
class Match:
    """Two players that wait, and what they play for."""

    pair: Pair
    players: tuple[Player, Player]
    parties: tuple[Party, Party]

    @property
    def clock(self) -> str:
        """The clock that both loops can do with."""
        return "real" if "real" in [player.clock for player in self.players] else "virtual"

    @property
    def labels(self) -> tuple[str, str]:
        """What each side is called: its loop and its revision."""
        before, after = (f"{party.spec} at {name}" for party, name in zip(self.parties, self.pair.names, strict=True))
        return before, after

    def compare(self, files: Sequence[ScenarioFile], settings: Settings, rounds: int, tell: Tell) -> Compared:
        """Play the scenarios on both sides, in turn and *rounds* times, and set the sides side by side.

        Raises:
            LoopError: where a loop cannot be driven.
            RevisionProblem: where what was played is not the revision's.
        """
        sides = tuple(Side(label, {file.name: [] for file in files}) for label in self.labels)
        packed = {file.name: packed_scenario(file, settings) for file in files}
        done = 0
        for number in range(rounds):
            for file in files:
                for index in (0, 1) if number % 2 == 0 else (1, 0):
                    outcome = self.players[index].play(packed[file.name], settings)
                    sides[index].runs[file.name].append(outcome)
                    done += 1
                    tell.step(done, f"{file.name} {sides[index].spec}")
        return Compared(sides[0], sides[1], settings, rounds)

    def jobs(self, files: Sequence[ScenarioFile], settings: Settings) -> list[Job]:
        """Return the scenarios as `looprig.paired` and its like take them.

        Raises:
            ContentError: where one cannot be made.
        """
        return [Job(file.name, packed_scenario(file, settings), *self.parties) for file in files]


@contextlib.contextmanager
def match(pair: Pair, specs: tuple[str, str], log: str | None = None) -> Iterator[Match]:
    """Start both sides' players and have them find their loops.

    Raises:
        RevisionProblem: where a loop is not there, or is not the revision's.
    """
    parties = (Party(pair.before, specs[0]), Party(pair.after, specs[1]))
    with contextlib.ExitStack() as stack:
        players = [
            stack.enter_context(Player(party, name, pair.users, pair.base))
            for party, name in zip(parties, pair.names, strict=True)
        ]
        for player, party, name in zip(players, parties, pair.names, strict=True):
            player.find(log)
            _of_the_revision(player, party, name, pair)
        yield Match(pair, (players[0], players[1]), parties)


def _of_the_revision(player: Player, party: Party, name: str, pair: Pair) -> None:
    """Refuse a loop that both sides would share: the comparison would always say that nothing changed."""
    if player.file is None or pair.is_set_up or player.file.is_relative_to(pair.base):
        return
    raise RevisionProblem(
        f"{name}: {party.spec} is imported from {player.file}, which is not a part of the revision; "
        "name a loop of this repository with --loop, or install the revision with --setup, "
        "as in --setup 'pip install .'"
    )


def packed_scenario(file: ScenarioFile, settings: Settings) -> bytes:
    """Return a file's scenario with those of the settings' parameters that it has.

    Raises:
        ContentError: where it cannot be made.
    """
    mine = {name: text for name, text in settings.parameters.items() if accepts(file, name)}
    return pack(file.make(settings.seed, mine))


def with_clock(settings: Settings, match: Match) -> Settings:
    """Return *settings* with a clock that both loops can do with."""
    return settings if settings.clock == "real" else replace(settings, clock=match.clock)
