"""Drives the loops that users really write: good ones, odd ones, and those that never end."""

from __future__ import annotations

import asyncio
import functools
import gc
import signal
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from looprig import clock as clock_module
from looprig.clock import RealClock
from looprig.content import make_scenario
from looprig.loop import Contract
from looprig.messages import Message
from looprig.runner import Outcome, RunOptions, recorded_scenario, run
from looprig.scenario import PlannedCall, Round, Scenario, Turn, user_text
from looprig.subject import LoopError, answer_text
from looprig.trace import (
    AnyEvent,
    Misuse,
    Noise,
    SessionEnded,
    SessionStarted,
    TraceError,
    TurnEnded,
    TurnStarted,
    read,
)
from reference_loop import make_loop


def talk(turns: int = 3, **fields: Any) -> Scenario:
    made = tuple(Turn(say=user_text(0, number, "hi"), answer="there", **fields) for number in range(turns))
    return Scenario(name="talk", seed=1, turns=made, params={"turns": turns})


class SyncLoop:
    """The smallest loop; others change one thing of it."""

    def __init__(self, model: Any, tools: Any) -> None:
        self.model, self.tools = model, tools
        self.messages: list[Any] = []

    def send(self, text: str) -> Any:
        self.messages.append(Message(role="user", content=text))
        reply = self.model.complete(self.messages)
        self.messages.append(reply)
        return reply


class AsyncLoop(SyncLoop):
    async def send(self, text: str) -> Any:
        self.messages.append(Message(role="user", content=text))
        reply = await self.model.acomplete(self.messages)
        self.messages.append(reply)
        return reply


class AwaitableLoop(AsyncLoop):
    """Its ``send`` is no coroutine function, but returns something to await."""

    def send(self, text: str) -> Any:
        return super().send(text)


class AsyncioRunLoop(AsyncLoop):
    """A sync loop that is async inside."""

    def send(self, text: str) -> Any:
        return asyncio.run(super().send(text))


class CallableSend(SyncLoop):
    """Its ``send`` is an object with an async ``__call__``."""

    class _Send:
        def __init__(self, loop: CallableSend) -> None:
            self._loop = loop

        async def __call__(self, text: str) -> Any:
            return await AsyncLoop.send(self._loop, text)  # type: ignore[arg-type]

    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(model, tools)
        self.send = self._Send(self)  # type: ignore[method-assign]


@pytest.fixture
def traced(tmp_path: Path) -> Callable[..., tuple[Outcome, list[AnyEvent]]]:
    """Run and return the outcome with the recorded events."""

    def traced(scenario: Scenario, factory: Any, **options: Any) -> tuple[Outcome, list[AnyEvent]]:
        path = tmp_path / "run.jsonl"
        outcome = run(scenario, factory, options=RunOptions(trace=path, **options))
        return outcome, list(read(path))

    return traced


Traced = Callable[..., tuple[Outcome, list[Any]]]


def ends(events: list[Any]) -> list[TurnEnded]:
    return [event for event in events if isinstance(event, TurnEnded)]


def statuses(events: list[Any]) -> list[str]:
    return [end.status for end in ends(events)]


def refusal(factory: Any, scenario: Scenario | None = None) -> str:
    with pytest.raises(LoopError) as caught:
        run(scenario or talk(), factory)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------------------------
# Loops of all kinds


@pytest.mark.parametrize("loop", [SyncLoop, AsyncLoop, AwaitableLoop, AsyncioRunLoop, CallableSend])
def test_kinds_of_loops(loop: type[SyncLoop], traced: Traced):
    """
    Sync, async, returning an awaitable, or async inside: the conversation is the same.
    """
    outcome, events = traced(talk(delay_s=2.0, pause_s=5.0), loop)

    assert ["answered"] * 3 == statuses(events)
    assert [f"[#s0t{number}] there" for number in range(3)] == [end.answer for end in ends(events)]
    assert [False] * 3 == [end.own for end in ends(events)]
    assert [7.0, 14.0, 21.0] == [end.at_s for end in ends(events)]
    assert ({}, None) == (outcome.broken, outcome.unusable)
    assert 3 == outcome.metrics["requests"]


def make(model: Any, tools: Any, *, greeting: str = "") -> SyncLoop:
    return SyncLoop(model, tools)


class Factory:
    def __call__(self, model: Any, tools: Any) -> SyncLoop:
        return SyncLoop(model, tools)

    def method(self, model: Any, tools: Any) -> SyncLoop:
        return SyncLoop(model, tools)

    @staticmethod
    def apart(*both: Any) -> SyncLoop:
        return SyncLoop(*both)


@pytest.mark.parametrize(
    "factory",
    [
        make,
        SyncLoop,
        functools.partial(make, greeting="x"),
        Factory(),
        Factory().method,
        Factory.apart,
        lambda model, tools, *more, **options: SyncLoop(model, tools),
    ],
)
def test_factories(factory: Any):
    """
    A factory is anything that can be called with a model and tools.
    """
    assert 3 == run(talk(), factory).metrics["requests"]


def one(model: Any) -> Any: ...


def three(model: Any, tools: Any, key: str) -> Any: ...


def failing(model: Any, tools: Any) -> Any:
    raise KeyError("API_KEY")


async def coroutine(model: Any, tools: Any) -> Any:
    return SyncLoop(model, tools)


def generator(model: Any, tools: Any) -> Iterator[Any]:
    yield SyncLoop(model, tools)


def empty(model: Any, tools: Any) -> Any: ...


def mute(model: Any, tools: Any) -> Any:
    return {"send": SyncLoop(model, tools).send}


WANTED = "a factory takes looprig's model and tools and returns an object with send(text)"
NO_FUNCTION = "is a coroutine or a generator; it has to be a function that returns the loop"


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        (
            one,
            "the factory one(model: 'Any') -> 'Any' cannot be called with (model, tools): "
            "too many positional arguments; " + WANTED,
        ),
        (
            three,
            "the factory three(model: 'Any', tools: 'Any', key: 'str') -> 'Any' cannot be called with (model, tools): "
            "missing a required argument: 'key'; " + WANTED,
        ),
        (failing, "the factory failing raised KeyError: 'API_KEY'"),
        (coroutine, f"the factory coroutine {NO_FUNCTION}"),
        (generator, f"the factory generator {NO_FUNCTION}"),
        (empty, "the factory empty made NoneType, which has no method send(text)"),
        (mute, "the factory mute made dict, which has no method send(text)"),
    ],
)
def test_factories_refused(factory: Any, message: str):
    """
    What is no factory is refused with what is wrong, and what would be right.
    """
    assert message == refusal(factory)


def test_no_callable():
    """
    A loop in the place of its factory is refused.
    """
    assert "cannot be called with (model, tools)" in refusal(SyncLoop(None, None))


def test_loop_that_never_asks():
    """
    A loop that never asks the model is no pass: nothing was tested.
    """

    class Parrot(SyncLoop):
        def send(self, text: str) -> str:
            return text

    class Broken(SyncLoop):
        def send(self, text: str) -> str:
            raise AttributeError("no attribute 'chat'")

    wanted = (
        "a factory gets (model, tools), and its loop's send(text) has to ask model.complete(messages) "
        "or await model.acomplete(messages)"
    )
    assert f"the loop never called the model in 3 turns; {wanted}" == refusal(Parrot)
    told = refusal(Broken)
    assert told.startswith("the loop never called the model in 3 turns")
    assert told.endswith(wanted)
    assert "AttributeError: no attribute 'chat'" in told


def test_no_turns():
    """
    A scenario without turns is refused.
    """
    assert "the scenario talk has no turns with these settings; nothing was run" == refusal(SyncLoop, talk(0))


@pytest.mark.parametrize("name", ["add_system", "observe", "history", "statistics", "close", "contract", "trim"])
def test_optional_parts_that_fail(name: str):
    """
    Where an optional part of a loop raises, the message says which one.
    """

    def fail(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    class Loop(SyncLoop): ...

    setattr(Loop, name, property(fail) if name in ("history", "contract", "trim") else fail)

    assert f"the loop's {name} raised ZeroDivisionError: division by zero" == refusal(Loop, talk(system=("be kind",)))


@pytest.mark.parametrize("name", ["add_system", "observe", "history", "statistics", "close", "contract", "trim"])
def test_optional_parts_that_are_none(name: str):
    """
    An optional part that is None is one that the loop does not have.
    """

    class Loop(SyncLoop): ...

    setattr(Loop, name, None)

    assert () == run(talk(system=("be kind",)), Loop).offers


# ---------------------------------------------------------------------------------------------------------------------
# Contracts


class Promise:
    messages_max = 7
    notes = ("note",)


@pytest.mark.parametrize(
    "contract",
    [
        {"messages_max": 7, "notes": ["note"]},
        Contract(messages_max=7, notes=("note",)),
        Promise(),
        lambda _: {"messages_max": 7, "notes": ("note",)},
        property(lambda _: {"messages_max": 7, "notes": ("note",)}),
    ],
    ids=["dict", "Contract", "object", "method", "property"],
)
def test_contracts(contract: Any, traced: Traced):
    """
    A contract is a dict, a Contract or any object with its names; a method or a property may give it.
    """
    loop = type("Loop", (SyncLoop,), {"contract": contract})
    _, events = traced(talk(), loop)

    assert [Contract(messages_max=7, notes=("note",))] == [e.contract for e in events if isinstance(e, SessionStarted)]


def test_contract_of_the_run(traced: Traced):
    """
    A contract that is given to the run stands in for the loop's own.
    """
    loop = type("Loop", (SyncLoop,), {"contract": {"nonsense": 1}})
    _, events = traced(talk(), loop, contract=Contract(rounds_max=2))

    assert [Contract(rounds_max=2)] == [event.contract for event in events if isinstance(event, SessionStarted)]


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        (
            {"max_messages": 3},
            "the loop's contract has the unknown promise 'max_messages'; known are asks_approval, mask, messages_max, "
            "notes, providers, rounds_max, safe_size, skips_dependants, target, tokens_max, trigger, waive",
        ),
        (
            {"messages_max": "3"},
            "the loop's contract cannot be read: Expected `int | null`, got `str` - at `$.messages_max`",
        ),
        ({"notes": "note"}, "the loop's contract cannot be read: Expected `array`, got `str` - at `$.notes`"),
        (7, "the loop's contract cannot be read: Expected `object`, got `int`"),
    ],
)
def test_contracts_refused(contract: Any, message: str):
    """
    A contract that cannot be kept to is refused, with the name or the type that is wrong.
    """
    assert message == refusal(type("Loop", (SyncLoop,), {"contract": contract}))


# ---------------------------------------------------------------------------------------------------------------------
# Answers


class Content:
    content = "said"


class Text:
    content = ("said",)
    text = "said"


class Shown:
    def __str__(self) -> str:
        return "said"


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("said", "said"),
        (Message(role="assistant", content="said"), "said"),
        ({"role": "assistant", "content": "said"}, "said"),
        ({"role": "assistant", "content": None}, ""),
        ({"content": [{"type": "text", "text": "x"}, {"content": "said"}]}, "said"),
        ([{"content": "asked"}, {"content": "said"}], "said"),
        ((Message(role="user", content="asked"), Message(role="assistant", content="said")), "said"),
        ([], ""),
        ({}, ""),
        (None, ""),
        (Content(), "said"),
        (Text(), "said"),
        (Shown(), "said"),
        (b"said", "b'said'"),
        (42, "42"),
    ],
)
def test_answers(result: object, text: str, traced: Traced):
    """
    An answer is a text, a message, a dict, a list of them, or an object that has one.
    """

    class Loop(SyncLoop):
        def send(self, said: str) -> Any:
            super().send(said)
            return result

    assert text == answer_text(result)
    _, events = traced(talk(1), Loop)
    assert [("answered", text, True)] == [(end.status, end.answer, end.own) for end in ends(events)]


def test_answer_that_cannot_be_shown(traced: Traced):
    """
    An answer whose text raises is a turn that raised.
    """

    class Odd:
        def __str__(self) -> str:
            raise ValueError("no")

    class Loop(SyncLoop):
        def send(self, said: str) -> Any:
            super().send(said)
            return Odd()

    _, events = traced(talk(2), Loop)
    assert [("raised", "ValueError: no")] * 2 == [(end.status, end.error) for end in ends(events)]


def test_error_that_cannot_be_shown(traced: Traced):
    """
    An exception whose text raises is recorded by its name.
    """

    class Odd(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    class Loop(SyncLoop):
        def send(self, said: str) -> Any:
            super().send(said)
            raise Odd

    _, events = traced(talk(1), Loop)
    assert [("raised", "Odd: (its text cannot be shown)")] == [(end.status, end.error) for end in ends(events)]


# ---------------------------------------------------------------------------------------------------------------------
# Turns that end badly


def test_refused_and_raised(traced: Traced):
    """
    A turn that raises is refused before the model was asked, raised after it; the next one goes on.
    """

    class Loop(SyncLoop):
        def send(self, text: str) -> Any:
            if "t0" in text:
                raise ValueError("too short")
            reply = super().send(text)
            if "t1" in text:
                raise RuntimeError
            return reply

    _, events = traced(talk(), Loop)
    assert [("refused", "ValueError: too short"), ("raised", "RuntimeError"), ("answered", None)] == [
        (end.status, end.error) for end in ends(events)
    ]


@pytest.mark.parametrize("loop", [AsyncLoop, AwaitableLoop])
def test_cancelled(loop: type[SyncLoop], traced: Traced):
    """
    A turn that the application gives up is cancelled at that time, and the next one goes on.
    """
    slow = talk(delay_s=100.0, cancel_after_s=10.0)
    plans = (slow.turns[0], *talk(3, delay_s=1.0, cancel_after_s=10.0).turns[1:])
    _, events = traced(Scenario(name="talk", seed=1, turns=plans), loop)

    assert [("cancelled", 10.0), ("answered", 11.0), ("answered", 12.0)] == [
        (end.status, end.at_s) for end in ends(events)
    ]


def test_cancelled_inside(traced: Traced):
    """
    A loop that lets a cancellation of its own escape ends its turn, and not the run.
    """

    class Loop(SyncLoop):
        def send(self, text: str) -> Any:
            super().send(text)
            raise asyncio.CancelledError

    class Async(AsyncLoop):
        async def send(self, text: str) -> Any:
            await super().send(text)
            raise asyncio.CancelledError

    for loop in (Loop, Async):
        _, events = traced(talk(), loop)
        assert ["cancelled"] * 3 == statuses(events)


@pytest.mark.parametrize("loop", [AsyncLoop, AwaitableLoop, AsyncioRunLoop])
def test_waiting_for_ever(loop: type[AsyncLoop], traced: Traced, monkeypatch: pytest.MonkeyPatch):
    """
    A loop that waits for what never comes is stopped, and the turn's end is recorded once.
    """
    monkeypatch.setattr(clock_module._VirtualSelector, "GRACE_S", 0.01)
    cleaned: list[str] = []

    class Loop(AsyncLoop):
        async def wait(self, text: str) -> Any:
            await AsyncLoop.send(self, text)
            if "t1" in text:
                try:
                    await asyncio.Event().wait()
                finally:
                    cleaned.append(text)

    def waits(self: Loop, text: str) -> Awaitable[Any]:
        return Loop.wait(self, text)

    kind = {
        AsyncLoop: type("Waiting", (Loop,), {"send": Loop.wait}),
        AwaitableLoop: type("Waiting", (Loop,), {"send": waits}),
        AsyncioRunLoop: type("Waiting", (Loop,), {"send": lambda self, text: asyncio.run(Loop.wait(self, text))}),
    }[loop]
    outcome, events = traced(talk(5), kind)

    assert ["answered", "stopped"] == statuses(events)
    assert "Deadlock: the loop waits for something that nothing will ever do" == ends(events)[-1].error
    assert 1 == len(cleaned)
    assert outcome.broken


@pytest.mark.parametrize("loop", [SyncLoop, AsyncLoop])
def test_asking_for_ever(loop: type[SyncLoop], traced: Traced):
    """
    A loop that asks the model again and again is stopped, although it swallows every Exception.
    """

    class Spinning(SyncLoop):
        def send(self, text: str) -> Any:
            while True:
                try:
                    super().send(text)
                except Exception:  # noqa: S112 - such loops there are
                    continue

    class AsyncSpinning(AsyncLoop):
        async def send(self, text: str) -> Any:
            while True:
                try:
                    await super().send(text)
                except Exception:  # noqa: S112 - as above
                    continue

    _, events = traced(talk(), Spinning if loop is SyncLoop else AsyncSpinning)
    assert ["stopped"] == statuses(events)
    error = "TurnStopped: the turn asked the model 23 times; its script has far fewer rounds"
    assert error == ends(events)[-1].error


def test_stop_that_is_swallowed(traced: Traced):
    """
    A turn that looprig stopped is a stopped turn, whatever a framework makes of what was raised.
    """

    class Swallowing(SyncLoop):
        def send(self, text: str) -> Any:
            while True:
                try:
                    super().send(text)
                except BaseException as error:
                    if self.translates:
                        raise AttributeError("TurnStopped has no attribute 'generations'") from error
                    return "all is well"

        translates = True

    class Hiding(Swallowing):
        translates = False

    for loop in (Swallowing, Hiding):
        _, events = traced(talk(), loop)
        assert ["stopped"] == statuses(events)
        assert "asked the model 23 times" in (ends(events)[-1].error or "")


BUSY = """
import asyncio, sys, time
from looprig.runner import RunOptions, run
from looprig.scenario import Scenario, Turn
from pathlib import Path

class Sync:
    def __init__(self, model, tools): self.model = model
    def send(self, text):
        self.model.complete([{"role": "user", "content": text}])
        while True: pass

class Async(Sync):
    async def send(self, text):
        await self.model.acomplete([{"role": "user", "content": text}])
        while True: await asyncio.sleep(0)

class Task(Sync):
    async def send(self, text):
        await self.model.acomplete([{"role": "user", "content": text}])
        await asyncio.gather(self.spin(), self.spin())
    async def spin(self):
        while True: await asyncio.sleep(0.001)

class Sleeping(Sync):
    def send(self, text):
        self.model.complete([{"role": "user", "content": text}])
        time.sleep(600)

turns = tuple(Turn(say=f"[#s0t{n}] hi", answer="x") for n in range(3))
options = RunOptions(trace=Path(sys.argv[2]), turn_limit_s=1.0)
outcome = run(Scenario(name="busy", seed=1, turns=turns), globals()[sys.argv[1]], options=options)
print(outcome.metrics["turns"], sorted(outcome.broken))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="this platform has no alarm")
def test_busy_for_ever(tmp_path: Path):
    """
    A loop that is busy without end is stopped by the turn limit, whatever it is busy with.
    """
    kinds = ("Sync", "Async", "Task", "Sleeping")
    started = {
        kind: subprocess.Popen(
            [sys.executable, "-c", BUSY, kind, str(tmp_path / kind)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for kind in kinds
    }
    printed_by = {kind: process.communicate(timeout=60) for kind, process in started.items()}
    for kind, (printed, errors) in printed_by.items():
        assert 0 == started[kind].returncode, errors
        (end,) = ends(list(read(tmp_path / kind)))
        assert ("stopped", "TurnStopped: it took more than 1 s of real time") == (end.status, end.error), kind
        assert printed.startswith("1 ["), kind


def test_alarm_of_somebody_else():
    """
    A program's own alarm stays its own, and the platform's default is restored.
    """
    run(talk(), SyncLoop)
    assert signal.SIG_DFL == signal.getsignal(signal.SIGALRM)

    def own(*_: object) -> None: ...

    signal.signal(signal.SIGALRM, own)
    try:
        run(talk(), SyncLoop)
        assert own == signal.getsignal(signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert (0.0, 0.0) == signal.getitimer(signal.ITIMER_REAL)


def test_in_a_thread():
    """
    A run in a thread of the user's program works, without an alarm.
    """
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(run(talk(), AsyncLoop)))
    thread.start()
    thread.join()

    assert [run(talk(), AsyncLoop).digest] == [outcome.digest for outcome in outcomes]


@pytest.mark.parametrize("loop", [SyncLoop, AsyncLoop, AwaitableLoop])
def test_interrupted(loop: type[SyncLoop], tmp_path: Path):
    """
    Ctrl-C inside of a turn passes through, no turn is played after it, and what was recorded is on the disk.
    """
    path = tmp_path / "run.jsonl"
    heard: list[str] = []

    class Interrupted(loop):  # type: ignore[misc, valid-type]
        def send(self, text: str) -> Any:
            heard.append(text)
            if "t1" in text:
                raise KeyboardInterrupt
            return super().send(text)

    class Async(AsyncLoop):
        async def send(self, text: str) -> Any:
            heard.append(text)
            reply = await super().send(text)
            if "t1" in text:
                raise KeyboardInterrupt
            return reply

    with pytest.raises(KeyboardInterrupt):
        run(talk(), Async if loop is AsyncLoop else Interrupted, options=RunOptions(trace=path))

    assert 2 == len(heard)
    seen: list[AnyEvent] = []
    with pytest.raises(TraceError, match="was cut short"):
        seen.extend(read(path))
    assert ["answered"] == statuses(seen)
    assert [0, 1] == [event.turn for event in seen if isinstance(event, TurnStarted)]


@pytest.mark.parametrize("loop", [SyncLoop, AsyncLoop])
def test_misuse(loop: type[SyncLoop], traced: Traced):
    """
    A loop that hands the model rubbish makes the run unusable, although it swallows the error; the run ends there.
    """

    class Rubbish(SyncLoop):
        def send(self, text: str) -> Any:
            try:
                return self.model.complete(text)
            except TypeError:
                return "sorry"

    class AsyncRubbish(AsyncLoop):
        async def send(self, text: str) -> Any:
            try:
                return await self.model.acomplete(text)
            except TypeError:
                return "sorry"

    outcome, events = traced(talk(), Rubbish if loop is SyncLoop else AsyncRubbish)
    assert outcome.unusable is not None
    assert outcome.unusable.startswith("the loop called the model with a value of type str; it takes a list of")
    assert [outcome.unusable] == [event.text for event in events if isinstance(event, Misuse)]
    assert 1 == len(ends(events))


# ---------------------------------------------------------------------------------------------------------------------
# Sessions, listeners, ends


def test_sessions(traced: Traced):
    """
    Each session is a conversation with a loop of its own.
    """
    plans = [Turn(say=user_text(number % 2, number, "hi"), answer="there", session=number % 2) for number in range(6)]
    made: list[SyncLoop] = []

    def factory(model: Any, tools: Any) -> SyncLoop:
        made.append(SyncLoop(model, tools))
        return made[-1]

    _, events = traced(Scenario(name="two", seed=1, turns=plans), factory)

    assert [6, 6] == [len(loop.messages) for loop in made]
    assert [0, 1] == [event.session for event in events if isinstance(event, SessionStarted)]
    assert [0, 1, 0, 1, 0, 1] == [end.session for end in ends(events)]
    assert [0, 1] == [event.session for event in events if isinstance(event, SessionEnded)]
    assert all(f"[#s{number}t" in loop.messages[0].content for number, loop in enumerate(made))


def test_on_turn():
    """
    Whoever shows progress is told how many turns are done, the stopped ones included.
    """
    for loop in (SyncLoop, AsyncLoop):
        told: list[int] = []
        run(talk(4), loop, options=RunOptions(on_turn=told.append))
        assert [1, 2, 3, 4] == told


def test_what_a_loop_tells(traced: Traced):
    """
    What a loop says of its history, its trims and itself is recorded; what no recording can hold is left out.
    """

    class Loop(SyncLoop):
        closed = 0

        def observe(self, listener: Any) -> None:
            self.listener = listener

        @property
        def history(self) -> list[Any]:
            return [
                *self.messages,
                {"role": "assistant", "tool_calls": [{"id": "x", "function": {"name": "y"}}]},
                3,
                {},
            ]

        def send(self, text: str) -> Any:
            reply = super().send(text)
            for length in (8, 9, 10):
                self.listener.appended(length)
            self.listener.trimmed(10, 4, 1500.7)
            return reply

        def statistics(self) -> dict[Any, Any]:
            return {
                "a": 1,
                2: 2.5,
                "text": "x",
                "nan": float("nan"),
                "inf": float("inf"),
                "big": 2**70,
                "no": [],
                "none": None,
            }

        async def close(self) -> None:
            Loop.closed += 1

    outcome, events = traced(talk(2), Loop, contract=Contract(trigger=8))

    assert [(4, 10, 1), (4, 10, 1)] == [(end.history, end.peak, end.above_trigger) for end in ends(events)]
    assert {"a": 1, "2": 2.5, "text": "x"} == outcome.statistics
    assert [1500, 1500] == [event.trim_ns for event in events if isinstance(event, Noise) and event.trim_ns]
    assert [(7, ("x",))] == [(event.history, event.open_calls) for event in events if isinstance(event, SessionEnded)]
    assert 1 == Loop.closed
    assert ("history", "observe", "statistics", "close") == outcome.offers


def test_real_time(traced: Traced, tmp_path: Path):
    """
    In real time a delay takes its time.
    """
    path = tmp_path / "real.jsonl"
    run(talk(2, delay_s=0.02), AsyncLoop, clock=RealClock(), options=RunOptions(trace=path))
    head, *events = read(path)

    assert "real" == head.clock  # type: ignore[union-attr]
    starts = [event.at_s for event in events if isinstance(event, TurnStarted)]
    assert all(end.at_s - start >= 0.019 for start, end in zip(starts, ends(events), strict=True))


@pytest.mark.parametrize("name", ["working_day", "odd_text", "failing_tools", "slow_model"])
def test_recorded_scenario(name: str, tmp_path: Path):
    """
    A recording holds its scenario, and running that again gives the same digest.
    """
    scenario = make_scenario(name, 5)
    path = tmp_path / "run.jsonl"
    outcome = run(scenario, make_loop, loop="reference", options=RunOptions(trace=path))
    head, again = recorded_scenario(path)

    assert ("reference", name, 5) == (head.loop, head.scenario, head.seed)
    assert (scenario.name, scenario.seed, dict(scenario.params)) == (again.name, again.seed, dict(again.params))
    assert list(scenario.turns) == list(again.turns)
    assert outcome.digest == run(again, make_loop, loop="reference").digest


def test_cut_recording(tmp_path: Path):
    """
    A recording that was cut short is not run again as if it were whole.
    """
    path = tmp_path / "run.jsonl"
    run(talk(), SyncLoop, options=RunOptions(trace=path))
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    with pytest.raises(TraceError, match="was cut short"):
        recorded_scenario(path)


def test_tool_rounds(traced: Traced):
    """
    The reference loop runs the tools of every round and answers.
    """
    calls = (PlannedCall(name="search", result="a"), PlannedCall(name="read_file", result="b"))
    outcome, events = traced(talk(3, rounds=(Round(calls=calls), Round(calls=calls))), make_loop)

    assert (["answered"] * 3, {}) == (statuses(events), outcome.broken)
    assert (9, 12) == (outcome.metrics["requests"], outcome.metrics["tool_runs"])


# ---------------------------------------------------------------------------------------------------------------------
# Memory


def peak_bytes(messages: int, **options: Any) -> int:
    scenario = make_scenario("long_conversation", 1, {"messages": str(messages)})
    gc.collect()
    tracemalloc.start()
    try:
        run(scenario, functools.partial(make_loop, **options))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory():
    """
    The memory of a run does not grow with the conversation, but for the few bytes by which each message is known again.
    """
    peak_bytes(1_000, max_history_pairs=20)  # what is made once is made
    short, long = (peak_bytes(messages, max_history_pairs=20) for messages in (5_000, 15_000))

    assert long - short < 600_000, f"{(long - short) // 10_000} bytes a message"
