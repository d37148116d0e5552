"""The process in which a revision's loop is played: ``python -m looprig.revisions.player``.

It reads questions from its standard input and writes answers to its standard output, as `looprig.revisions.lines` has
them. What the loop prints goes to standard error.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from looprig import target
from looprig.revisions.lines import QUESTION, Failed, Find, Found, Play, Played, line
from looprig.revisions.strangers import strangers
from looprig.runner import RunOptions, run
from looprig.subject import LoopError
from looprig.suite import Settings
from looprig.target import Target, TargetError
from looprig.trace import TraceError
from looprig.workload import unpack


class Player:
    """One loop, found once and played as often as is asked for."""

    def __init__(self) -> None:
        self._target: Target | None = None
        self._users = ""
        self._spared: Sequence[str] = ()

    def answer(self, question: Find | Play) -> Found | Played | Failed:
        """Do what is asked; what goes wrong is an answer, too."""
        try:
            return self._find(question) if isinstance(question, Find) else self._play(question)
        except (TargetError, LoopError, TraceError) as error:
            return Failed(str(error))

    def _find(self, question: Find) -> Found:
        _log_from(question.log)
        self._users, self._spared = question.users, question.spared
        self._target = target.find(question.spec)
        module = sys.modules.get(self._target.factory.__module__)
        return Found(getattr(module, "__file__", None), self._target.clock)

    def _play(self, question: Play) -> Played:
        assert self._target is not None, "a loop is found before it is played"
        options = RunOptions(tokens=question.tokens, turn_limit_s=question.turn_limit_s, providers=question.providers)
        outcome = run(
            unpack(question.scenario),
            self._target.make(),
            loop=self._target.spec,
            clock=Settings(clock=question.clock).new_clock(),
            options=options,
        )
        spared = [Path(folder) for folder in (*self._spared, sys.prefix, sys.base_prefix)]
        return Played(outcome, strangers(_files(), Path(self._users), spared))


def _files() -> list[str]:
    """Return the files of all that was imported."""
    named = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return [file for file in named if isinstance(file, str)]


def _log_from(level: str | None) -> None:
    if level is None:
        logging.getLogger().addHandler(logging.NullHandler())
    else:
        logging.basicConfig(level=level.upper(), format="%(levelname)s %(name)s: %(message)s")


def main() -> None:
    """Answer questions until there are no more."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a loop prints must not come between the answers
    player = Player()
    for question in questions:
        answers.write(line(player.answer(QUESTION.decode(question))))
        answers.flush()


if __name__ == "__main__":
    main()
