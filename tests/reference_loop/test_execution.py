"""One tool call: found, parsed, approved, run, and turned into text, each with what can go wrong."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from reference_loop import tool
from reference_loop.approval import DEFAULT_APPROVAL, Approval, Approve, Decision
from reference_loop.config import Config
from reference_loop.execution import Execution, as_text, bounded, parse_arguments
from reference_loop.monitor import Monitor


def run(
    each: Any,
    arguments: str = "{}",
    *,
    name: str = "t",
    approval: dict[str, Decision] | None = None,
    approve: Approve | None = None,
    limit_s: float | None = None,
    monitor: Monitor | None = None,
) -> str:
    """Run one call of the tool *each*, which is known as ``t``."""
    monitor = monitor or Monitor()
    decided = Approval(DEFAULT_APPROVAL if approval is None else approval, approve, monitor)
    execution = Execution({"t": each}, decided, monitor, Config(tool_timeout_s=limit_s, max_result_chars=200))
    results: list[Message] = []
    asyncio.run(execution.run_round([ToolCall(id="c1", name=name, arguments=arguments)], results.append))
    (result,) = results
    return result.content


def returning(value: object, category: str = "read") -> Any:
    async def give() -> object:
        return value

    return tool(category=category)(give)


def raising(error: BaseException) -> Any:
    async def fail() -> None:
        raise error

    return tool(category="read")(fail)


class Ran(list[str]):
    """A tool that notes that it ran."""

    name = "t"
    category = "read"

    async def arun(self, arguments: dict[str, Any]) -> str:
        self.append(json.dumps(arguments))
        return "ok"


# before it is run ---------------------------------------------------------------------------------


def test_unknown_tool():
    """
    A tool that does not exist never runs, and the result says which do.
    """
    ran = Ran()

    assert "error: there is no tool 'x'; available: t" == run(ran, name="x")
    assert [] == ran


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not a JSON object: Expecting property name"),
        ('{"a": NaN}', "not a JSON object: NaN is not JSON"),
        ("[1]", "not a JSON object: Expected `object`, got `array`"),
        ("null", "not a JSON object: Expected `object`, got `null`"),
        ('{"a": ' + "[" * 100_000, "not a JSON object: maximum recursion depth exceeded"),
        ('{"a": ' + "9" * 5000 + "}", "not a JSON object: Exceeds the limit"),
    ],
    ids=["cut off", "NaN", "list", "null", "nested", "huge number"],
)
def test_malformed_arguments(text: str, says: str):
    """
    Arguments that are no JSON object are explained to the model; the tool does not run.
    """
    ran = Ran()
    result = run(ran, text)

    assert result.startswith("error: the arguments ")
    assert says in result
    assert [] == ran


@pytest.mark.parametrize("text", ["", "  \n", "{}"])
def test_no_arguments(text: str):
    """
    A call without arguments runs.
    """
    ran = Ran()

    assert "ok" == run(ran, text)
    assert ["{}"] == ran


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_arguments_fuzz(text: str):
    """
    Whatever the model writes is an object or is refused.
    """
    outcome: object
    try:
        outcome = parse_arguments(text)
    except ValueError as refused:
        outcome = str(refused)

    assert isinstance(outcome, dict) or str(outcome).startswith("the arguments ")


# approval -----------------------------------------------------------------------------------------


async def later(*_: str) -> bool:
    return True


def failing(*_: str) -> bool:
    raise OSError("nobody at the desk")


NOT_ALLOWED, NOBODY = "the policy does not allow", "tools need approval, and there is nobody to ask"
ANSWERS: dict[str, tuple[Approve | None, str | None]] = {
    "nobody": (None, NOBODY),
    "yes": (lambda *_: True, None),
    "no": (lambda *_: False, "not approved"),
    "yes later": (later, None),
    "perhaps": (lambda *_: 1, "not approved"),  # type: ignore[dict-item]
    "fails": (failing, "the question for approval failed"),
}


@pytest.mark.parametrize("category", ["read", "write", "network", "destructive", "unheard of"])
@pytest.mark.parametrize("decision", ["allow", "deny", "ask", "default"])
@pytest.mark.parametrize("asked", ANSWERS)
def test_approval(category: str, decision: Any, asked: str):
    """
    Category, decision and answer decide whether a tool runs; in doubt it does not.
    """
    approve, refusal = ANSWERS[asked]
    effective = DEFAULT_APPROVAL.get(category, "ask") if decision == "default" else decision
    says = {"allow": None, "deny": NOT_ALLOWED, "ask": refusal}[effective]
    ran = Ran()
    ran.category = category
    result = run(ran, approval=None if decision == "default" else {category: decision}, approve=approve)

    assert (says is None) == (["{}"] == ran) == (result == "ok")
    assert says is None or (result.startswith("denied: ") and says in result)


def test_question():
    """
    Who is asked hears the call's id, the tool's name and the arguments as the model wrote them.
    """
    asked: list[tuple[str, ...]] = []

    def approve(*question: str) -> bool:
        asked.append(question)
        return False

    run(returning(1, "destructive"), ' {"a":1}', approve=approve)

    assert [("c1", "t", ' {"a":1}')] == asked


def test_tool_without_category():
    """
    A tool that does not say what it does is treated as destructive.
    """

    class Bare:
        async def arun(self, arguments: dict[str, Any]) -> str:
            return "ran"

    assert f"denied: destructive {NOBODY}" == run(Bare())


def test_failing_question_is_logged(caplog: pytest.LogCaptureFixture):
    """
    A question that fails is logged with its traceback.
    """
    run(returning(1, "destructive"), approve=failing)

    assert ["nobody at the desk"] == [str(record.exc_info[1]) for record in caplog.records if record.exc_info]


# while it runs ------------------------------------------------------------------------------------


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("no"), "error: ValueError: no"),
        (KeyError("k"), "error: KeyError: 'k'"),
        (OSError(2, "gone"), "error: FileNotFoundError: [Errno 2] gone"),
        (TimeoutError(), "error: TimeoutError"),
        (MemoryError(), "error: MemoryError"),
        (RecursionError("deep"), "error: RecursionError: deep"),
        (ExceptionGroup("two", [ValueError()]), "error: ExceptionGroup: two (1 sub-exception)"),
        (StopIteration(), "error: RuntimeError: coroutine raised StopIteration"),
        (Unspeakable(), "error: Unspeakable: <its text cannot be read>"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_tool_error(error: Exception, says: str, caplog: pytest.LogCaptureFixture):
    """
    A tool's exception becomes a result with its type and text, and a record at ERROR with a traceback.
    """
    monitor = Monitor()

    assert says == run(raising(error), monitor=monitor)
    (record,) = caplog.records
    assert (logging.ERROR, "tool t failed") == (record.levelno, record.message)
    assert "Traceback" in caplog.text
    figures = monitor.statistics()
    assert (1, 1, 1) == tuple(
        figures[name] for name in ("tool_execution.count", "tool_execution.failures", "errors_with_traceback")
    )


def test_tool_timeout():
    """
    A tool that takes too long is given up, and the result does not pretend to know what it did.
    """

    @tool(category="read")
    async def hang() -> None:
        await asyncio.sleep(60)

    assert "error: timed out after 0.01 s, outcome unknown" == run(hang, limit_s=0.01)


def test_tool_in_a_thread():
    """
    A tool that knows no async runs in a thread, and a StopIteration there does not hang the turn.
    """

    class Plain:
        name, category = "t", "read"

        def run(self, arguments: dict[str, Any]) -> str:
            if arguments:
                raise StopIteration
            return threading.current_thread().name

    def plain() -> str:
        return threading.current_thread().name

    assert run(Plain()).startswith("tool_")
    assert run(tool(category="read")(plain)).startswith("tool_")
    assert "error: RuntimeError: the tool raised StopIteration" == run(Plain(), '{"a": 1}')


def test_unexpected_argument():
    """
    An argument that the function does not have is the model's mistake, and it is told.
    """
    assert "unexpected keyword argument 'b'" in run(returning(1), '{"b": 1}')


# results ------------------------------------------------------------------------------------------


class Odd:
    pass


class Lying(dict[str, int]):
    def items(self) -> Any:
        raise LookupError("no items")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        ({"ü": [1]}, '{"ü": [1]}'),
        ((1, 2), "[1, 2]"),
        (Odd(), "<unserialisable object of type Odd>"),
        ({1, 2}, "<unserialisable object of type set>"),
        (b"x", "<unserialisable object of type bytes>"),
        (math.nan, "<unserialisable object of type float>"),
        ({"a": math.inf}, "<unserialisable object of type dict>"),
        ({(1, 2): 3}, "<unserialisable object of type dict>"),
        (Lying(a=1), "<unserialisable object of type Lying>"),
        ("half \ud800", "half ?"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:12],
)
def test_result(value: object, text: str):
    """
    A result is text: strings as they are, the rest as JSON, and what JSON cannot hold by the name of its type.
    """
    assert text == run(returning(value))


def test_circular_result():
    """
    A result that holds itself does not end the turn.
    """
    circle: list[object] = []
    circle.append(circle)

    assert "<unserialisable object of type list>" == run(returning(circle))


anything_s = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary() | st.builds(Odd),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.frozensets(st.integers()),
)


@given(anything_s)
def test_result_fuzz(value: object):
    """
    Every value has one text, the same every time, without addresses, and it can be encoded.
    """
    text = bounded(as_text(value), 200)

    assert text == bounded(as_text(value), 200)
    assert len(text.encode()) >= len(text)
    assert isinstance(value, str) or "0x" not in text or "unserialisable" not in text


@given(st.text(alphabet=st.characters(exclude_categories=[])), st.integers(100, 200))
def test_bounded(text: str, max_chars: int):
    """
    A text that is too long is cut to the limit and says how long it was; any other stays, but for what has no encoding.
    """
    long = text * 50
    cut = bounded(long, max_chars)

    assert len(cut) <= max_chars
    assert cut == long.encode("utf-8", "replace").decode() or f"the full result has {len(long)} characters]" in cut


def test_huge_result():
    """
    Megabytes are cut, with a mark.
    """
    result = run(returning("x" * 3_000_000))

    assert 200 == len(result)
    assert result.endswith("x\n[cut: the full result has 3000000 characters]")


def test_schema():
    """
    A tool's schema is its function's signature.
    """

    @tool(category="network")
    def fetch(url: str, tries: int = 3, anything: object = None) -> None:
        """Fetch a page."""

    assert ("fetch", "Fetch a page.", "network") == (fetch.name, fetch.description, fetch.category)
    assert {
        "type": "object",
        "properties": {"url": {"type": "string"}, "tries": {"type": "integer"}, "anything": {}},
        "required": ["url"],
        "additionalProperties": False,
    } == fetch.parameters
