"""Rounds of several calls: equal to one by one, in parallel where that is safe, and clean whatever happens."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Awaitable
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from looprig.clock import VirtualClock
from looprig.messages import Message, ToolCall
from looprig.runner import run as play
from looprig.scenario import PlannedCall
from reference_loop import Config, ReferenceLoop, make_loop, tool
from reference_loop.approval import DEFAULT_APPROVAL, Approval, Approve
from reference_loop.execution import Execution
from reference_loop.monitor import Monitor
from reference_loop.tools import threads, touch
from tests.invariants.planted import call, scenario, turn
from tests.reference_loop.replies import Replies
from tests.reference_loop.world import (
    PATTERNS,
    Plan,
    World,
    critical_path_s,
    execution_of,
    one_by_one,
    random_plans,
    run_round,
)

touches_s = st.lists(st.sampled_from(PATTERNS), max_size=2).map(tuple)
outcomes_s = st.sampled_from(["ok"] * 6 + ["raise", "hang", "deny", "unknown"])
times_s = st.integers(1, 9).map(lambda tenths: tenths / 8)
plans_s = st.lists(st.builds(Plan, touches_s, touches_s, times_s, outcomes_s), max_size=8)
sound_s = st.lists(st.builds(Plan, touches_s, touches_s, times_s), min_size=1, max_size=8)


def virtually(work: Awaitable[Any]) -> Any:
    loop = VirtualClock().event_loop()
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def an_execution(*tools: Any, approve: Approve | None = None, **options: Any) -> Execution:
    monitor = options.pop("monitor", None) or Monitor()
    approval = Approval(DEFAULT_APPROVAL, approve, monitor)
    begun = options.pop("begun", None)
    config = Config(**{"tool_timeout_s": None, **options})
    return Execution({each.name: each for each in tools}, approval, monitor, config, begun)


def results_of(execution: Execution, *names: str, virtual: bool = True) -> list[str]:
    """Run a round of calls without arguments; return the results' texts."""
    results: list[Message] = []
    calls = [ToolCall(id=f"c{number}", name=name) for number, name in enumerate(names)]
    (virtually if virtual else asyncio.run)(execution.run_round(calls, results.append))
    assert [each.id for each in calls] == [message.tool_call_id for message in results]
    return [message.content for message in results]


# equal to one by one ------------------------------------------------------------------------------


@given(plans_s, st.booleans(), st.integers(1, 9), st.booleans())
@settings(deadline=None)
def test_equal_to_one_by_one(plans: list[Plan], skip: bool, slots: int, parallel: bool):
    """
    Whatever conflicts and fails, and however many run at a time: results and world are those of call order.
    """
    texts, expected = one_by_one(plans, skip)
    world = World(plans)
    results = virtually(run_round(world, max_parallel=slots, parallel=parallel, on_failure="skip" if skip else "run"))

    assert texts == [message.content for message in results]
    assert [call.id for call in world.calls()] == [message.tool_call_id for message in results]
    assert expected.state == world.state
    assert sorted(expected.began) == sorted(world.began)
    assert parallel or expected.began == world.began


@given(sound_s, st.integers(1, 4))
@settings(deadline=None)
def test_makespan(plans: list[Plan], slots: int):
    """
    Without a limit a round takes as long as its longest chain of conflicts; with one, no longer than Graham's bound.
    """

    async def takes(slots: int) -> float:
        started_s = asyncio.get_running_loop().time()
        await run_round(World(plans), max_parallel=slots)
        return asyncio.get_running_loop().time() - started_s

    path_s, work_s = critical_path_s(plans), sum(plan.duration_s for plan in plans)

    assert path_s == pytest.approx(virtually(takes(1000)), abs=1e-9)
    assert virtually(takes(slots)) <= work_s / slots + (1 - 1 / slots) * path_s + 1e-9
    assert virtually(takes(1)) == pytest.approx(work_s, abs=1e-9)


def test_longest_tail_first():
    """
    Of two calls that could start, the one with the longer chain behind it does, though it is asked for later.
    """
    plans = [Plan((), ("c",), 3.0), Plan((), ("a",), 1.0), Plan(("a",), (), 4.0)]
    world = World(plans)
    virtually(run_round(world, max_parallel=1))

    assert [1, 2, 0] == world.began


def test_expected_time_is_learned():
    """
    Where a tool does not say how long it takes, its last run does.
    """
    world = World([Plan((), ("a",), 1.0), Plan((), ("b",), 2.0), Plan((), ("c",), 3.0)])
    execution = execution_of(world, expected=[None] * 3, max_parallel=1)
    for _ in range(2):
        virtually(execution.run_round(world.calls(), lambda message: None))

    assert [0, 1, 2, 2, 1, 0] == world.began


def test_delivered_early():
    """
    A result is delivered as soon as those before it are, while later calls still run.
    """
    world, seen = World([Plan((), (), 2.0), Plan((), (), 1.0), Plan((), (), 5.0)]), []

    async def go() -> None:
        await execution_of(world).run_round(
            world.calls(), lambda message: seen.append(asyncio.get_running_loop().time())
        )

    virtually(go())

    assert [2.0, 2.0, 5.0] == seen


# failures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_failure", ["skip", "run"])
@pytest.mark.parametrize("outcome", ["raise", "hang", "deny"])
def test_dependants(outcome: str, on_failure: str):
    """
    What depends on a failed call is not run, also where it depends on it by way of another; its siblings are.
    """
    plans = [
        Plan((), ("a",), 1.0, outcome),
        Plan(("a",), ("b",)),
        Plan(("b",), ()),
        Plan((), ("c",)),
        Plan(("a*",), ()),
    ]
    world = World(plans)
    texts = [message.content for message in virtually(run_round(world, on_failure=on_failure))]

    if on_failure == "skip":
        because = "not run: depends on call c0 (t0), which failed"
        assert [because, because, because] == [texts[1], texts[2], texts[4]]
    else:
        assert {1, 2, 4} <= set(world.began)
    assert texts[3].startswith("3:")


def test_first_of_several_failures():
    """
    A call that depends on several failed ones names the first of them.
    """
    broken = [Plan((), (name,), 1.0, "raise") for name in ("c", "a", "b")]
    texts = [message.content for message in virtually(run_round(World([*broken, Plan(("b", "a"), ())])))]

    assert "not run: depends on call c1 (t1), which failed" == texts[3]


@pytest.mark.parametrize("parallel", [True, False])
def test_call_that_is_none(parallel: bool):
    """
    A call of an unknown tool, or with malformed arguments, holds up and hurts nobody.
    """
    ran: list[str] = []

    @tool(category="write")
    async def anything(label: str) -> str:
        ran.append(label)
        return label

    calls = [
        ToolCall(id="c0", name="nobody"),
        ToolCall(id="c1", name="anything", arguments="{"),
        ToolCall(id="c2", name="anything", arguments='{"label": "x"}'),
    ]
    results: list[Message] = []
    virtually(an_execution(anything, parallel=parallel).run_round(calls, results.append))

    assert ["x"] == ran
    assert "x" == results[2].content


@pytest.mark.parametrize("error", [asyncio.CancelledError, GeneratorExit])
def test_tool_that_cancels_itself(error: type[BaseException]):
    """
    A tool that raises what usually comes from outside has failed; the turn goes on.
    """

    @tool(category="read", reads=())
    async def odd() -> str:
        raise error

    @tool(category="read", reads=())
    async def fine() -> str:
        await asyncio.sleep(1)
        return "ok"

    assert ["ok", f"error: {error.__name__}", "ok"] == results_of(an_execution(odd, fine), "fine", "odd", "fine")


def test_tool_that_cancels_its_task():
    """
    A tool that cancels the task in which it runs has no known outcome, and hurts nobody else.
    """

    @tool(category="read", reads=())
    async def suicidal() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return "never"

    @tool(category="read", reads=())
    async def fine() -> str:
        await asyncio.sleep(1)
        return "ok"

    names = ("fine", "suicidal", "fine")
    assert ["ok", "cancelled: outcome unknown", "ok"] == results_of(an_execution(suicidal, fine), *names)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_tool_that_ends_the_program(error: type[BaseException]):
    """
    What is to end the program comes out of the round, not out of the event loop, after all calls have a result.
    """

    @tool(category="read", reads=())
    async def last() -> str:
        await asyncio.sleep(1)
        raise error

    @tool(category="read", reads=())
    async def slow() -> str:
        await asyncio.sleep(2)
        return "ok"

    async def go() -> tuple[list[str], int]:
        results: list[Message] = []
        calls = [ToolCall(id="c0", name="slow"), ToolCall(id="c1", name="last")]
        with pytest.raises(error):
            await an_execution(last, slow).run_round(calls, results.append)
        return [message.content for message in results], len(asyncio.all_tasks())

    assert (["cancelled: outcome unknown"] * 2, 1) == virtually(go())


def test_deliver_that_fails():
    """
    Where a result cannot be delivered the round ends with that error, and the others are delivered all the same.
    """
    delivered: list[str | None] = []

    def deliver(message: Message) -> None:
        delivered.append(message.tool_call_id)
        if message.tool_call_id != "c0":
            raise LookupError(f"no room for {message.tool_call_id}")

    world = World([Plan((), (), float(1 + number)) for number in range(4)])

    async def go() -> int:
        with pytest.raises(LookupError, match="no room for c1"):
            await execution_of(world).run_round(world.calls(), deliver)
        return len(asyncio.all_tasks())

    assert 1 == virtually(go())
    assert ["c0", "c1", "c2", "c3"] == delivered


# limits and retries -------------------------------------------------------------------------------


def test_own_limit():
    """
    A tool may have a limit of its own, above or below that of the loop.
    """

    @tool(category="read", reads=(), timeout_s=2.0)
    async def short() -> str:
        await asyncio.sleep(3)
        return "ok"

    @tool(category="read", reads=(), timeout_s=9.0)
    async def long() -> str:
        await asyncio.sleep(6)
        return "ok"

    texts = results_of(an_execution(short, long, tool_timeout_s=5.0), "short", "long")

    assert ["error: timed out after 2 s, outcome unknown", "ok"] == texts


@pytest.mark.parametrize(("idempotent", "failures", "text", "runs"), [
    (True, 2, "ok", 3), (True, 3, "error: OSError: 3", 3), (False, 1, "error: OSError: 1", 1),
])  # fmt: skip
def test_retries(idempotent: bool, failures: int, text: str, runs: int):
    """
    Only a tool that is idempotent is run again after a failure, and not for ever; its begin is noted once.
    """
    ran: list[int] = []
    begun: list[ToolCall] = []

    @tool(category="network", reads=(), idempotent=idempotent)
    async def flaky() -> str:
        ran.append(1)
        if len(ran) <= failures:
            raise OSError(len(ran))
        return "ok"

    assert [text] == results_of(an_execution(flaky, begun=begun.append), "flaky")
    assert (runs, 1) == (len(ran), len(begun))


def test_no_retry_beyond_the_limit():
    """
    The limit is for all attempts together: a tool that hangs is not run again.
    """
    ran = []

    @tool(category="network", reads=(), idempotent=True)
    async def hangs() -> None:
        ran.append(1)
        await asyncio.sleep(60)

    assert ["error: timed out after 5 s, outcome unknown"] == results_of(
        an_execution(hangs, tool_timeout_s=5.0), "hangs"
    )
    assert 1 == len(ran)


def test_tool_that_swallows_its_timeout():
    """
    A tool that ends all the same after its limit has given a result, and that counts.
    """

    @tool(category="read", reads=())
    async def stubborn() -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "saved"
        return "done"

    assert ["saved"] == results_of(an_execution(stubborn, tool_timeout_s=5.0), "stubborn")


# approval -----------------------------------------------------------------------------------------


def test_questions():
    """
    Questions are put one at a time and in call order, and hold up nobody who needs no approval.
    """
    log: list[str] = []

    async def approve(call_id: str, name: str, arguments: str) -> bool:
        log.append(f"ask {call_id}")
        await asyncio.sleep(10)
        log.append(f"answer {call_id}")
        return call_id != "c1"

    @tool(category="destructive", writes=())
    async def danger() -> str:
        log.append("danger")
        await asyncio.sleep(15)
        return "gone"

    @tool(category="read", reads=())
    async def fine() -> str:
        log.append("fine")
        return "ok"

    monitor = Monitor()
    execution = an_execution(danger, fine, approve=approve, max_parallel=1, monitor=monitor)
    texts = results_of(execution, "danger", "danger", "fine", "danger")

    assert ["gone", "denied: not approved", "ok", "gone"] == texts
    assert ["fine", "ask c0", "answer c0", "ask c1", "danger", "answer c1", "ask c3", "answer c3", "danger"] == log


def test_no_question_for_what_is_not_run():
    """
    Nobody is asked about a call that depends on one that failed, nor before the calls that it depends on are done.
    """
    asked: list[str] = []

    @tool(category="write", writes=("a",))
    async def breaks() -> None:
        raise OSError

    @tool(category="destructive", writes=("a",))
    async def danger() -> str:
        return "gone"

    def approve(call_id: str, name: str, arguments: str) -> bool:
        asked.append(call_id)
        return True

    execution = an_execution(breaks, danger, approve=approve)

    assert (
        "not run: depends on call c1 (breaks), which failed" == results_of(execution, "danger", "breaks", "danger")[2]
    )
    assert ["c0"] == asked


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError, OSError])
def test_question_that_fails(error: type[BaseException]):
    """
    However asking ends without an answer, the tool does not run.
    """
    ran: list[str] = []

    @tool(category="destructive", writes=())
    async def danger() -> None:
        ran.append("danger")

    async def approve(*question: str) -> bool:
        raise error

    results: list[Message] = []

    async def go() -> None:
        await an_execution(danger, approve=approve).run_round([ToolCall(id="c0", name="danger")], results.append)

    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            virtually(go())
    else:
        virtually(go())

    assert [] == ran
    assert results[0].content in ("denied: the question for approval failed", "not run: cancelled")


# cancellation -------------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False), st.integers(1, 60), st.integers(1, 4))
@settings(deadline=None)
def test_cancelled(random: Random, steps: int, slots: int):
    """
    Wherever a round is cancelled, no task stays alive, and each call has one result that is true of whether it began.
    """
    world = World(random_plans(random, (1, 6), writers=0.3, failing=0.2))

    async def go() -> tuple[list[Message], int, bool]:
        results: list[Message] = []
        task = asyncio.create_task(execution_of(world, max_parallel=slots).run_round(world.calls(), results.append))
        for _ in range(steps):
            await asyncio.sleep(0 if steps < 20 else 0.1)
        task.cancel()
        await asyncio.wait([task])
        return results, len(asyncio.all_tasks()), task.cancelled()

    results, alive, cancelled = virtually(go())

    assert 1 == alive
    assert [call.id for call in world.calls()] == [message.tool_call_id for message in results]
    for number, message in enumerate(results):
        if number in world.began:
            assert not message.content.startswith("not run")
        else:
            assert message.content != "cancelled: outcome unknown"
        assert cancelled or "cancelled" not in message.content


def test_tool_that_swallows_the_cancellation():
    """
    A tool that ends all the same when the turn is cancelled keeps its result, and nothing starts after it.
    """
    ran: list[str] = []

    @tool(category="write", writes=("a",))
    async def stubborn() -> str:
        ran.append("stubborn")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(1)
        return "saved"

    async def go() -> tuple[list[str], int]:
        results: list[Message] = []
        calls = [ToolCall(id=f"c{number}", name="stubborn") for number in range(2)]
        task = asyncio.create_task(an_execution(stubborn).run_round(calls, results.append))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return [message.content for message in results], len(asyncio.all_tasks())

    assert (["saved", "not run: cancelled"], 1) == virtually(go())
    assert ["stubborn"] == ran


def test_turn_within_a_limit():
    """
    A limit around the whole turn is the caller's TimeoutError, not a result of a tool.
    """
    loop = ReferenceLoop(
        Replies(Message(role="assistant", tool_calls=(ToolCall(id="c0", name="nap"),))),
        {"nap": tool(category="read", reads=())(nap)},
    )

    async def go() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await loop.send("go")
        assert 1 == len(asyncio.all_tasks())

    virtually(go())

    assert "cancelled: outcome unknown" == loop.history[-1].content


async def nap() -> str:
    await asyncio.sleep(5)
    return "ok"


# threads ------------------------------------------------------------------------------------------

label = contextvars.ContextVar("label", default="none")


def test_threads_overlap():
    """
    Synchronous tools run at the same time, each in a thread with the turn's context.
    """
    together = threading.Barrier(8, timeout=20)

    @tool(category="read", reads=())
    def meet() -> str:
        together.wait()
        return label.get()

    async def go() -> None:
        label.set("here")
        await an_execution(meet).run_round([ToolCall(id=f"c{n}", name="meet") for n in range(8)], results.append)

    results: list[Message] = []
    asyncio.run(go())

    assert ["here"] * 8 == [message.content for message in results]


def test_threads_stay_warm():
    """
    Rounds and event loops use the same few threads again.
    """

    @tool(category="read", reads=())
    def who() -> str:
        return threading.current_thread().name

    seen = {name for _ in range(10) for name in results_of(an_execution(who), *["who"] * 4, virtual=False)}

    assert all(name.startswith("tool_") for name in seen)
    assert len([thread for thread in threading.enumerate() if thread.name.startswith("tool_")]) <= 32


def test_threads_after_a_fork():
    """
    A forked process has threads of its own; those of its parent do not exist in it.
    """
    assert threads(1) is threads(1)
    assert threads(1) is not threads(2)


def test_thread_that_hangs():
    """
    A thread cannot be stopped: its result says so, and the round does not wait for it.
    """
    release, ended = threading.Event(), threading.Event()

    @tool(category="read", reads=(), timeout_s=0.05)
    def hangs() -> None:
        release.wait(20)
        ended.set()

    @tool(category="read", reads=())
    def fine() -> str:
        return "ok"

    texts = results_of(an_execution(hangs, fine), "hangs", "fine", virtual=False)
    was_running = not ended.is_set()
    release.set()

    assert ["error: timed out after 0.05 s, outcome unknown", "ok"] == texts
    assert was_running
    assert ended.wait(20)


# audit --------------------------------------------------------------------------------------------


def liar_tools(log: list[str], in_thread: bool) -> list[Any]:
    def sly() -> str:
        log.append("sly")
        touch("file:a", write=True)
        touch("file:b")
        return "ok"

    async def sly_later() -> str:
        text = sly()
        await asyncio.sleep(1)
        log.append("sly ends")
        return text

    async def honest() -> str:
        log.append("honest")
        touch("file:a")
        await asyncio.sleep(1)
        return "ok"

    liar = tool(category="read", reads=("file:b",))(sly if in_thread else sly_later)
    liar.name = "sly"
    return [liar, tool(category="read", reads=("file:a*",))(honest)]


@pytest.mark.parametrize("in_thread", [True, False])
def test_audit(in_thread: bool, caplog: pytest.LogCaptureFixture):
    """
    A tool that touches what it does not declare is named, is counted, and runs alone from the next round on.
    """
    log: list[str] = []
    monitor = Monitor()
    execution = an_execution(*liar_tools(log, in_thread), monitor=monitor)
    assert ["ok"] * 3 == results_of(execution, "honest", "sly", "honest")

    assert {"sly"} == execution.liars
    (record,) = caplog.records
    assert logging.ERROR == record.levelno
    assert "the audit of tool sly failed" == record.message
    assert "undeclared: writes file:a" in caplog.text
    assert 1 == monitor.statistics()["errors_with_traceback"]

    log.clear()
    results_of(execution, "sly", "honest")
    assert in_thread or ["sly", "sly ends", "honest"] == log


# what is measured ---------------------------------------------------------------------------------


def test_figures():
    """
    Each run and each wait is measured, and a round has its critical path.
    """
    monitor = Monitor()

    async def approve(*question: str) -> bool:
        await asyncio.sleep(3)
        return True

    @tool(category="write", writes=("a",))
    async def write() -> str:
        await asyncio.sleep(2)
        return "ok"

    @tool(category="destructive", writes=("b",))
    async def danger() -> str:
        await asyncio.sleep(2)
        return "ok"

    async def go() -> None:
        monitor.clock = asyncio.get_running_loop().time
        execution = an_execution(write, danger, approve=approve, monitor=monitor, max_parallel=1)
        calls = [ToolCall(id=f"c{n}", name=name) for n, name in enumerate(["write", "write", "danger"])]
        await execution.run_round(calls, lambda message: None)

    virtually(go())
    figures = monitor.statistics()

    def of(operation: str) -> tuple[float, float]:
        return figures[f"{operation}.count"], figures[f"{operation}.total_s"]

    assert (1, 6.0) == of("tool_round")
    assert (3, 6.0) == of("tool_execution")
    assert (1, 3.0) == of("approval_wait")
    assert (3, 1.0) == of("queue_wait")
    assert (1, 4.0) == of("critical_path")


# in the loop --------------------------------------------------------------------------------------


def test_looprig_understands():
    """
    looprig does not ask for what the loop promised to leave out, and for all other calls.
    """
    writes = PlannedCall(name="write_file", inputs={"path": "a", "text": "x"}, outcome="raise")
    reads = [PlannedCall(name="read_file", inputs={"path": path}, result="text") for path in ("a", "b")]
    told = scenario(turn(0, (writes, *reads, call())), turn(1))

    class SaysNothing(ReferenceLoop):
        contract = {}  # noqa: RUF012

    ours, silent = play(told, make_loop), play(told, SaysNothing)

    assert {} == ours.broken
    assert {"LR144": 1} == silent.broken


@pytest.mark.parametrize("parallel", [True, False])
def test_option(parallel: bool):
    """
    The option `parallel` decides whether independent calls overlap.
    """
    model = Replies(
        Message(role="assistant", tool_calls=tuple(ToolCall(id=f"c{n}", name="nap") for n in range(3))),
        Message(role="assistant", content="done"),
    )
    loop = ReferenceLoop(model, {"nap": tool(category="read", reads=())(nap)}, Config(parallel=parallel))

    async def takes() -> float:
        await loop.send("go")
        return asyncio.get_running_loop().time()

    assert (5.0 if parallel else 15.0) == virtually(takes())
