"""The tool calls of a round: each runs as soon as those before it that it conflicts with are done.

Whatever happens, every call gets exactly one result, in call order; a failure is a result too, from which the model can
learn. A call has failed that raised, took too long or was not approved, and those that depend on it are not run. A
call without a tool or without proper arguments touches nothing, so that nothing depends on it.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from heapq import heappop, heappush
from typing import Any

import msgspec
from msgspec import Struct

from looprig.messages import Message, ToolCall
from reference_loop.approval import Approval
from reference_loop.config import Config
from reference_loop.errors import describe
from reference_loop.monitor import Monitor
from reference_loop.resources import EVERYTHING, NOTHING, Access, declared, order, touched, undeclared
from reference_loop.tools import TimedOut, Tools, run_tool, within

RETRIES = 2
"""How often a tool that is idempotent is run again after a failure."""


class Execution(Struct):
    """Runs the rounds of one loop. Without ``config.parallel`` each call waits for the one before it.

    ``begun`` hears of each call before its tool starts. ``liars`` are the tools that touched what they do not declare,
    and run alone from the next round on; ``took_s`` is how long each tool took last.
    """

    tools: Tools
    approval: Approval
    monitor: Monitor
    config: Config
    begun: Callable[[ToolCall], None] | None = None
    liars: set[str] = set()
    took_s: dict[str, float] = {}

    async def run_round(self, calls: Sequence[ToolCall], deliver: Callable[[Message], None]) -> None:
        """Run the calls of a round; deliver each result once, in call order and as early as that allows."""
        with self.monitor.span("tool_round"):
            await Round(self, calls, deliver).run()


class Job(Struct, eq=False):
    """One call on its way to its result, ``text``; ``blamed`` is the call that failed: this one, or one before it.

    ``tail_s`` is how long the call is expected to take, with the longest chain of calls behind it. ``admitted``, of a
    call that is not allowed just so, is set when the question may be put.
    """

    number: int
    call: ToolCall
    tool: Any = None
    arguments: dict[str, Any] = {}
    access: Access = NOTHING
    admitted: asyncio.Event | None = None
    before: list["Job"] = []
    after: list["Job"] = []
    waits: int = 0
    tail_s: float = 0.0
    ready_s: float = 0.0
    took_s: float = 0.0
    text: str | None = None
    text_if_cancelled: str = "not run: cancelled"
    blamed: "Job | None" = None

    def fail(self, text: str) -> None:
        self.text, self.blamed = text, self


class Round:
    """One round: `run` starts what may run, and hears from the tasks that do it."""

    def __init__(self, execution: Execution, calls: Sequence[ToolCall], deliver: Callable[[Message], None]) -> None:
        self._by, self._deliver, self._monitor = execution, deliver, execution.monitor
        self._jobs = [Job(number, call) for number, call in enumerate(calls)]
        self._open = deque(self._jobs)
        self._ready: list[tuple[float, int, Job]] = []
        self._running: set[Job] = set()
        self._news: asyncio.Queue[Job | BaseException] = asyncio.Queue()

    async def run(self) -> None:
        """Run all calls; each result is delivered whatever happens."""
        try:
            for job in self._jobs:
                self._prepare(job)
            self._link()
            async with asyncio.TaskGroup() as group:
                if any(job.admitted for job in self._jobs):
                    group.create_task(self._ask_one_by_one())
                self._go_on([job for job in self._jobs if not job.waits and self._admit(job)])
                while self._open:
                    while self._ready and len(self._running) < self._by.config.max_parallel:
                        *_, job = heappop(self._ready)
                        self._running.add(job)
                        group.create_task(self._do(self._work, job))
                    news = await self._news.get()
                    if isinstance(news, BaseException):
                        raise news
                    self._running.discard(news)
                    self._go_on([news])
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            while self._open:
                with suppress(Exception):  # Of two failures the first one counts.
                    self._hand_over()
        self._monitor.record("critical_path", max([job.took_s for job in self._jobs], default=0.0))

    def _prepare(self, job: Job) -> None:
        name, tools = job.call.name, self._by.tools
        try:
            if name not in tools:
                raise ValueError(f"there is no tool {name!r}; available: {', '.join(tools) or 'none'}")
            job.tool, job.arguments = tools[name], parse_arguments(job.call.arguments)
        except ValueError as error:
            job.text = f"error: {error}"
            return
        job.access = EVERYTHING if name in self._by.liars else declared(job.tool, job.arguments)
        job.admitted = None if self._by.approval.allows(job.tool) else asyncio.Event()
        job.tail_s = getattr(job.tool, "expected_s", None) or self._by.took_s.get(name, 1.0)

    def _link(self) -> None:
        for job, before in zip(self._jobs, order([each.access for each in self._jobs]), strict=True):
            job.before = [self._jobs[number] for number in before]
            awaited = job.before if self._by.config.parallel else self._jobs[: job.number][-1:]
            job.waits = len(awaited)
            for each in awaited:
                each.after.append(job)
        for job in reversed(self._jobs):
            job.tail_s += max([each.tail_s for each in job.after], default=0.0)

    def _go_on(self, jobs: list[Job]) -> None:
        """Go on with jobs that nothing holds up: one that has its text makes way for others, any other may run."""
        for job in jobs:
            if job.text is None:
                job.ready_s = asyncio.get_running_loop().time()
                heappush(self._ready, (-job.tail_s, job.number, job))
                continue
            job.took_s += max([each.took_s for each in job.before], default=0.0)  # The critical path up to here.
            for each in job.after:
                each.waits -= 1
                if not each.waits and self._admit(each):
                    jobs.append(each)
        while self._open and self._open[0].text is not None:
            self._hand_over()

    def _admit(self, job: Job) -> bool:
        """Take up a job when those before it are done; return whether it can go on without a question."""
        failed = [each.blamed for each in job.before if each.blamed is not None]
        if failed and self._by.config.on_failure == "skip":
            job.blamed = min(failed, key=lambda each: each.number)
            job.text = f"not run: depends on call {job.blamed.call.id} ({job.blamed.call.name}), which failed"
        if job.admitted is not None:
            job.admitted.set()
        return job.admitted is None or job.text is not None

    def _hand_over(self) -> None:
        job = self._open.popleft()
        text = bounded(job.text_if_cancelled if job.text is None else job.text, self._by.config.max_result_chars)
        self._deliver(Message(role="tool", content=text, tool_call_id=job.call.id))

    async def _do(self, step: Callable[[Job], Awaitable[None]], job: Job) -> None:
        """Do one step of a job in a task, and tell; what would stop the event loop from there is raised in `run`."""
        try:
            await step(job)
            self._news.put_nowait(job)
        except BaseException as error:
            job.fail(job.text_if_cancelled)
            self._news.put_nowait(job if isinstance(error, asyncio.CancelledError) else error)

    async def _ask_one_by_one(self) -> None:
        await asyncio.sleep(0)  # A question may block the event loop: let others start before it.
        for job in self._jobs:
            if job.admitted is not None:
                await job.admitted.wait()
                if job.text is None:
                    await self._do(self._ask, job)

    async def _ask(self, job: Job) -> None:
        if (refusal := await self._by.approval.refusal(job.call, job.tool)) is not None:
            job.fail(f"denied: {refusal}")

    async def _work(self, job: Job) -> None:
        name, now = job.call.name, asyncio.get_running_loop().time
        accesses: set[tuple[str, bool]] = set()
        touched.set(accesses)
        started_s = now()
        self._monitor.record("queue_wait", started_s - job.ready_s, about=name)
        with self._monitor.span("tool_execution", name) as span:
            try:
                if self._by.begun is not None:
                    self._by.begun(job.call)
                job.text_if_cancelled = "cancelled: outcome unknown"
                limit_s = getattr(job.tool, "timeout_s", None) or self._by.config.tool_timeout_s
                job.text = as_text(await within(limit_s, self._attempts(job)))
            except (Exception, asyncio.CancelledError, GeneratorExit) as error:
                span.fail(type(error).__qualname__)
                if isinstance(error, asyncio.CancelledError) and (task := asyncio.current_task()) and task.cancelling():
                    raise  # The turn was cancelled. A tool that raises this by itself has failed.
                self._monitor.error(f"tool {name}", error)
                job.fail(f"error: {f'{error}, outcome unknown' if isinstance(error, TimedOut) else describe(error)}")
        job.took_s = self._by.took_s[name] = now() - started_s
        if beyond := undeclared(job.access, accesses):
            self._by.liars.add(name)
            self._monitor.error(f"the audit of tool {name}", RuntimeError(f"undeclared: {', '.join(beyond)}"))

    async def _attempts(self, job: Job) -> object:
        for _ in range(RETRIES if getattr(job.tool, "idempotent", False) else 0):
            try:
                return await run_tool(job.tool, job.arguments)
            except Exception as error:
                self._monitor.error(f"tool {job.call.name}, which is run again,", error)
        return await run_tool(job.tool, job.arguments)


def parse_arguments(text: str) -> dict[str, Any]:
    """Return the arguments that the model wrote, where no text is none; raises ValueError with what is wrong."""
    try:  # Not msgspec's JSON, which refuses half of a surrogate pair: models write such text.
        return msgspec.convert(json.loads(text.strip() or "{}", parse_constant=_refuse), dict[str, Any])
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise ValueError(f"the arguments are not a JSON object: {error}") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def as_text(value: object) -> str:
    """Return a tool's result as text: text as it is, the rest as JSON, and what JSON cannot hold by its type.

    The type alone, because the usual text of an object names its address, which differs from run to run.
    """
    try:
        return value if isinstance(value, str) else json.dumps(value, allow_nan=False, ensure_ascii=False)
    except Exception:  # Not only TypeError and ValueError: dumps runs the value's own code.
        return f"<unserialisable object of type {type(value).__qualname__}>"


def bounded(text: str, max_chars: int) -> str:
    """Return *text* in at most *max_chars* characters that can all be encoded; a cut names the full size."""
    if len(text) > max_chars:
        mark = f"\n[cut: the full result has {len(text)} characters]"
        text = text[: max_chars - len(mark)] + mark
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
