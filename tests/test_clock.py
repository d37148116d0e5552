"""Virtual time: it costs nothing, it keeps its order, and it does not hide a wait that never ends."""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import looptime
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from looprig import clock as clock_module
from looprig.clock import Deadlock, RealClock, VirtualClock

# Multiples of 1/64 s are exact as floats and in looptime's microseconds, so that equal times are equal in both.
SLEEPS = st.integers(0, 64 * 1000).map(lambda parts: parts / 64)
SCHEDULES = st.lists(st.lists(SLEEPS, max_size=4), max_size=6)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def run(clock: VirtualClock) -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run a coroutine in an event loop on the clock."""
    events = clock.event_loop()
    yield events.run_until_complete
    events.run_until_complete(events.shutdown_default_executor())
    events.close()


@pytest.fixture
def no_real_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every wait of the machine an error, but for the short ones that end with a thread's work."""

    def refuse(*_: object) -> None:
        raise AssertionError("real time was spent")

    monkeypatch.setattr(time, "sleep", refuse)
    monkeypatch.setattr(clock_module._VirtualSelector, "POLL_S", None)
    monkeypatch.setattr(clock_module._VirtualSelector, "GRACE_S", None)


class Selects:
    """Counts how an event loop's selector is asked to wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits: list[float | None] = []
        select = selectors.DefaultSelector.select

        def counted(selector: Any, timeout: float | None = None) -> Any:
            self.waits.append(timeout)
            return select(selector, timeout)

        monkeypatch.setattr(selectors.DefaultSelector, "select", counted)


def test_sleep(clock: VirtualClock, no_real_sleep: None):
    """
    A year of sleep moves the clock by a year, and the machine sleeps not once.
    """
    for _ in range(365):
        clock.sleep(86_400.0)

    assert 365 * 86_400.0 == clock.now()


def test_sleep_backwards(clock: VirtualClock):
    """
    No sleep is shorter than none, in the words of time.sleep: a clock that goes back would hide it.
    """
    for each in (clock, RealClock()):
        with pytest.raises(ValueError, match=r"^sleep length must be non-negative$"):
            each.sleep(-1.0)
    assert 0.0 == clock.now()


def test_asleep(clock: VirtualClock, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """
    A week of awaited sleeps makes the selector wait not once.
    """
    selects = Selects(monkeypatch)

    async def week() -> None:
        for _ in range(7):
            await clock.asleep(86_000.0)

    run(week())

    assert 7 * 86_000.0 == clock.now()
    assert {0} == set(selects.waits)


def test_one_clock(clock: VirtualClock, run: Callable[..., Any]):
    """
    Sleeping, awaited sleeping and the event loop's time are on one clock.
    """

    async def both() -> list[float]:
        times = [clock.now(), asyncio.get_running_loop().time()]
        clock.sleep(2.0)
        times += [clock.now(), asyncio.get_running_loop().time()]
        await asyncio.sleep(3.0)
        return [*times, clock.now(), asyncio.get_running_loop().time()]

    assert [0.0, 0.0, 2.0, 2.0, 5.0, 5.0] == run(both())


def test_sleep_that_passes_a_timer(clock: VirtualClock, run: Callable[..., Any]):
    """
    A blocking sleep makes the timers late that were due meanwhile, and never makes time go back.
    """

    async def blocked() -> list[float]:
        woken: list[float] = []
        timers = [asyncio.create_task(clock.asleep(seconds)) for seconds in (1.0, 2.0, 20.0)]
        for timer in timers:
            timer.add_done_callback(lambda _: woken.append(clock.now()))
        await asyncio.sleep(0)
        clock.sleep(10.0)
        await asyncio.gather(*timers)
        return woken

    assert [10.0, 10.0, 20.0] == run(blocked())


async def play(schedule: list[list[float]], now: Callable[[], float]) -> list[tuple[int, int, float]]:
    """Let a task for each list sleep its sleeps; return who woke up when, in order."""
    woken: list[tuple[int, int, float]] = []

    async def sleeper(number: int, sleeps: list[float]) -> None:
        for step, seconds in enumerate(sleeps):
            await asyncio.sleep(seconds)
            woken.append((number, step, now()))

    await asyncio.gather(*(sleeper(number, sleeps) for number, sleeps in enumerate(schedule)))
    return woken


@given(SCHEDULES)
def test_looptime(schedule: list[list[float]]):
    """
    The same sleeps end in the same order and at the same times as under looptime, a library for this.
    """
    clock = VirtualClock()
    ours, theirs = clock.event_loop(), looptime.new_event_loop(start=0.0)
    try:
        expected = theirs.run_until_complete(play(schedule, theirs.time))
        assert expected == ours.run_until_complete(play(schedule, clock.now))
        assert theirs.time() == ours.time() == max(map(sum, schedule), default=0.0)
    finally:
        ours.close()
        theirs.close()


@given(SCHEDULES)
def test_order(schedule: list[list[float]]):
    """
    Timers fire in the order of their times, and each at its own.
    """
    clock = VirtualClock()
    events = clock.event_loop()
    woken = events.run_until_complete(play(schedule, clock.now))
    events.close()

    assert sorted(at for *_, at in woken) == [at for *_, at in woken]
    assert {
        (number, step, sum(sleeps[: step + 1])) for number, sleeps in enumerate(schedule) for step in range(len(sleeps))
    } == set(woken)


@given(st.floats(0, 1e12), st.lists(st.floats(0, 1e5), max_size=20))
@example(2.0**24 + 0.1, [1.0, 1e-9, 0.0, 0.1])  # where a nanosecond is lost in rounding, a timer could never fire
def test_any_time(start: float, sleeps: list[float]):
    """
    Whatever the age of the run and the rounding of its sums: each sleep ends, and at its time.
    """
    clock = VirtualClock()
    clock.sleep(start)
    events = clock.event_loop()

    async def each() -> None:
        for seconds in sleeps:
            due = clock.now() + seconds
            await asyncio.sleep(seconds)
            assert due == pytest.approx(clock.now(), rel=1e-15, abs=1e-9)

    events.run_until_complete(each())
    events.close()


def test_timeout(clock: VirtualClock, run: Callable[..., Any]):
    """
    asyncio.timeout and asyncio.wait_for cut a wait off at their time.
    """

    async def cut() -> list[float]:
        times: list[float] = []
        for seconds in (5.0, 7.0):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(seconds):
                    await clock.asleep(3600.0)
            times.append(clock.now())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(clock.asleep(3600.0), 1.0)
        async with asyncio.timeout(10.0):
            await clock.asleep(9.0)
        return [*times, clock.now()]

    assert [5.0, 12.0, 22.0] == run(cut())


def test_threads(clock: VirtualClock, run: Callable[..., Any]):
    """
    Work in a thread takes no virtual time: it ends before any timer fires.
    """

    async def work() -> list[str]:
        done: list[str] = []
        started = threading.Event()

        def slow() -> None:
            started.wait(5)
            time.sleep(0.15)  # longer than one poll of the selector
            done.append(f"thread at {clock.now()}")

        async def timer() -> None:
            await clock.asleep(1e-6)
            done.append(f"timer at {clock.now()}")

        async def begin() -> None:
            started.set()

        loop = asyncio.get_running_loop()
        await asyncio.gather(timer(), asyncio.to_thread(slow), loop.run_in_executor(None, slow), begin())
        return done

    assert ["thread at 0.0", "thread at 0.0", "timer at 1e-06"] == run(work())


def test_thread_under_a_timeout(clock: VirtualClock, run: Callable[..., Any]):
    """
    A timeout around work in a thread does not fire while the thread works.
    """

    done = threading.Event()

    def slow() -> None:
        time.sleep(0.1)
        done.set()

    async def work() -> None:
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(slow)

    run(work())

    assert done.is_set()
    assert 0.0 == clock.now()


def test_thread_that_fails(clock: VirtualClock, run: Callable[..., Any]):
    """
    A thread's exception arrives, and time goes on after it.
    """

    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        await clock.asleep(3.0)

    run(work())

    assert 3.0 == clock.now()


def test_thread_that_asyncio_does_not_know(run: Callable[..., Any]):
    """
    A thread of the loop's own may call back into a loop that waits for nothing else.
    """

    async def work() -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        thread = threading.Timer(0.05, loop.call_soon_threadsafe, (future.set_result, "called back"))
        thread.start()
        try:
            return await future
        finally:
            thread.join()

    assert "called back" == run(work())


def test_deadlock(clock: VirtualClock, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch):
    """
    Where everything waits and no timer is left, the wait ends with an error instead of never.
    """
    monkeypatch.setattr(clock_module._VirtualSelector, "GRACE_S", 0.01)
    waiting: list[asyncio.Task[Any] | None] = []

    async def forever() -> None:
        await clock.asleep(5.0)
        waiting.append(asyncio.current_task())
        await asyncio.Event().wait()

    with pytest.raises(Deadlock) as caught:
        run(forever())
    assert "the loop waits for something that nothing will ever do" == str(caught.value)
    assert 5.0 == clock.now()

    async def end() -> None:
        (task,) = waiting
        assert task is not None
        task.cancel()
        await asyncio.wait([task])

    run(end())  # the event loop is still usable


def test_real_clock():
    """
    The real clock is the machine's: it only moves forward, and a sleep lasts at least its time.
    """
    clock = RealClock()
    events = clock.event_loop()
    before = clock.now()
    clock.sleep(0.01)
    between = clock.now()
    events.run_until_complete(clock.asleep(0.01))
    events.close()

    assert 0.01 <= between - before
    assert 0.009 <= clock.now() - between  # asyncio rounds to its clock's resolution


def test_names():
    """
    A recording tells which time it ran in.
    """
    assert ("real", "virtual") == (RealClock().name, VirtualClock().name)
