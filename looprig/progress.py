"""Progress on long work: a bar on a terminal, a line now and then elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click

QUIET_S = 5.0
"""Elsewhere than on a terminal, seconds between two lines."""


@dataclass(frozen=True, slots=True)
class Tell:
    """How work in progress is reported: ``step`` when a run is done, ``turn`` inside of one."""

    step: Callable[[int, str], None]
    turn: Callable[[int, int], None]


@contextmanager
def progress(steps: int) -> Iterator[Tell]:
    """Report on *steps* runs for as long as the block lasts."""
    if sys.stderr.isatty():
        with _bar(steps) as tell:
            yield tell
    else:
        yield _lines(steps)


PER_STEP = 1000


@contextmanager
def _bar(steps: int) -> Iterator[Tell]:
    with click.progressbar(length=steps * PER_STEP, file=sys.stderr, label=f"{steps} runs", show_eta=True) as bar:
        shown = done = 0

        def show(position: int) -> None:
            nonlocal shown
            if position > shown:
                bar.update(position - shown)
                shown = position

        def step(number: int, _name: str) -> None:
            nonlocal done
            done = number
            show(number * PER_STEP)

        def turn(number: int, turns: int) -> None:
            show(done * PER_STEP + PER_STEP * number // turns)

        yield Tell(step, turn)


def _lines(steps: int) -> Tell:
    last = time.monotonic()
    done = 0

    def due() -> bool:
        nonlocal last
        if time.monotonic() - last < QUIET_S:
            return False
        last = time.monotonic()
        return True

    def step(number: int, name: str) -> None:
        nonlocal done
        done = number
        if due():
            click.echo(f"{number} of {steps} runs done, the last was {name}", err=True)

    def turn(number: int, turns: int) -> None:
        if number % 256 == 0 and due():
            click.echo(f"{done} of {steps} runs done, turn {number:,} of {turns:,} in the next", err=True)

    return Tell(step, turn)


@contextmanager
def timed(length_s: float, label: str) -> Iterator[Callable[[float, str], None]]:
    """Report on work that takes *length_s* seconds: called with the seconds that are over and what to say beside them.

    On a terminal this is a bar; elsewhere nothing is said, for how long it takes is known before.
    """
    if not sys.stderr.isatty():
        yield lambda _passed, _text: None
        return
    said = ""
    bar: Any
    with click.progressbar(
        length=max(1, round(length_s * PER_STEP)), file=sys.stderr, label=label, item_show_func=lambda _item: said
    ) as bar:

        def show(passed: float, text: str) -> None:
            nonlocal said
            said = text
            bar.update(max(0, round(passed * PER_STEP) - bar.pos), None)

        yield show
