"""What a turn came to is what its events and their times say."""

from __future__ import annotations

import pytest

from looprig.load.turns import End, Reasoning, Stopwatch, Text, ToolCall, ToolResult, end_of


def watched(*events, due=1.0, send=1.5):
    watch = Stopwatch(due, send)
    for at, event in events:
        watch.note(event, at)
    return watch


def test_a_plain_answer():
    """
    Three tokens, the first half a second after sending, then a quarter of a second between two.
    """
    watch = watched(
        (2.0, Text("a")), (2.25, Text("b")), (2.5, Text("c")), (2.75, End(output_tokens=3, history_messages=2))
    )

    assert {
        "queue": 0.5,
        "ttft": 1.0,
        "ttft_send": 0.5,
        "ttfo": 1.0,
        "tpot": 0.25,
        "e2e": 1.75,
        "history_messages": 2.0,
    } == watch.metrics()
    assert [0.25, 0.25] == watch.icl


def test_what_came_in_one_piece_has_no_gap():
    """
    Events of one arrival have one time: no gap between chunks is counted, and tokens still count for TPOT.
    """
    watch = watched((2.0, Text("a")), (2.0, Text("b")), (3.0, Text("c")), (3.0, Text("d")), (3.0, End()))

    assert [1.0] == watch.icl
    assert pytest.approx(1 / 3) == watch.metrics()["tpot"]
    assert 4 == watch.pieces


def test_several_tokens_in_a_piece():
    """
    Where the service counted the tokens, they are divided by, and not the pieces.
    """
    watch = watched((2.0, Text("a")), (3.0, Text("b")), (3.0, End(output_tokens=11)))

    assert 0.1 == watch.metrics()["tpot"]


@pytest.mark.parametrize("pieces", [0, 1])
def test_short_answers_have_no_time_per_token(pieces):
    """
    One token, or none, has no time between tokens; none has no first one either.
    """
    watch = watched(*[(2.0, Text("a"))] * pieces, (2.5, End()))
    metrics = watch.metrics()

    assert "tpot" not in metrics
    assert bool(pieces) == ("ttft" in metrics)
    assert 1.5 == metrics["e2e"]


def test_reasoning_is_the_first_content_but_not_the_first_output():
    """
    TTFT counts what the model thinks aloud, TTFO does not.
    """
    metrics = watched((2.0, Reasoning("hm")), (3.0, Text("a")), (4.0, End())).metrics()

    assert (1.0, 2.0) == (metrics["ttft"], metrics["ttfo"])


def test_tool_chain():
    """
    The chain lasts from the first call to the answer after the last one; neither gaps nor time per token go over it.
    """
    watch = watched(
        (2.0, Text("Let me see.")),
        (2.1, ToolCall("search")),
        (2.4, ToolResult("search")),
        (2.6, Text("And now")),
        (2.7, ToolCall("read")),
        (5.0, ToolResult("read")),
        (6.0, Text("It")),
        (6.5, Text("is.")),
        (6.6, End(rounds=2, output_tokens=99)),
    )
    metrics = watch.metrics()

    assert pytest.approx(3.9) == metrics["tool_chain"]
    assert [0.5] == watch.icl
    assert 0.5 == metrics["tpot"]
    assert 2 == metrics["tool_rounds"]


def test_a_call_is_content():
    """
    Where the model calls a tool before it says anything, the call is the first content.
    """
    metrics = watched((2.0, ToolCall("x")), (2.5, ToolResult("x")), (4.0, Text("a")), (4.0, End())).metrics()

    assert (1.0, 1.0) == (metrics["ttft"], metrics["ttfo"])
    assert 2.0 == metrics["tool_chain"]


def test_a_chain_without_an_answer():
    """
    A turn that ends with its tools has no chain time: nothing followed.
    """
    assert "tool_chain" not in watched((2.0, Text("a")), (2.1, ToolCall("x")), (3.0, End())).metrics()


def test_nothing_counts_after_the_end():
    """
    What comes after the end marker changes nothing.
    """
    watch = watched((2.0, Text("a")), (2.5, End()))
    before = watch.metrics()
    watch.note(Text("b"), 9.0)
    watch.note(End(rounds=4), 9.0)

    assert before == watch.metrics()


def test_no_metrics_before_the_end():
    """
    A turn that has not come to its end has no metrics.
    """
    with pytest.raises(ValueError, match="end marker"):
        watched((2.0, Text("a"))).metrics()


@pytest.mark.parametrize(
    ("data", "end"),
    [
        ({}, End()),
        ("no object", End()),
        (
            {"rounds": 2, "trim_pause_s": 0.5, "violations": ["LR121"]},
            End(rounds=2, trim_pause_s=0.5, violations=("LR121",)),
        ),
        ({"rounds": -1, "trim_pause_s": float("nan"), "input_tokens": "7", "history_chars": True}, End()),
        ({"trim_pause_s": None, "violations": "LR121", "more": 1}, End()),
    ],
)
def test_what_a_service_tells(data, end):
    """
    Figures that cannot be are left out, as if the service had not told them.
    """
    assert end == end_of(data)
