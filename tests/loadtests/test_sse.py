"""The reader of streams hands events out when they arrive, whole, and knows a cut stream from one that ended.

It rests on a part of geventhttpclient that nobody promises, so these are its contract.
"""

from __future__ import annotations

import time
from contextlib import closing, contextmanager

import pytest
from geventhttpclient import HTTPClient

from looprig.content import load
from looprig.load.turns import End, Reasoning, Text, ToolCall, TurnFailed
from tests.loadtests.rig import LOADTESTS, get, known_service, truth

sse = load(LOADTESTS / "_sse.py")
protocols = load(LOADTESTS / "_protocols.py")

TEXT = "你好世界 — grüße 🙂" * 3


@contextmanager
def reading(url: str, path: str = "/v1/sessions/n1/turns"):
    """Give a reader of the answer to one turn."""
    with closing(HTTPClient.from_url(url)) as client:
        response = client.post(path, b'{"text": "hello"}', {"Accept-Encoding": "identity"})
        try:
            yield sse.Reader(response)
        finally:
            response.release()


@pytest.mark.parametrize("options", [[], ["--crlf", "--pings", "2"], ["--split"], ["--crlf", "--split"]])
@pytest.mark.parametrize("path", ["/v1/sessions/n1/turns", "/v1/chat/completions"])
def test_streams_that_are_whole(options, path):
    """
    Both line ends, pings in between, and characters that came in two parts: every text arrives as it was sent.
    """
    meaning = protocols.session_events if "sessions" in path else protocols.completion_events

    with (
        known_service("--tokens", "4", "--ttft-ms", "5", "--text", TEXT, *options) as url,
        reading(url, path) as reader,
    ):
        *texts, end = meaning(reader)

    assert [Text(f"{number} {TEXT}") for number in range(4)] == texts
    assert isinstance(end, End)
    assert 4 == end.output_tokens


def test_events_come_out_when_they_arrive():
    """
    An event of some fifty bytes is handed out before the next is sent: here that one waits until the first was read.
    A reader that waits for more bytes would wait for ever.
    """
    with known_service("--tokens", "4", "--stepwise") as url, reading(url) as reader:
        names = []
        for event in reader:
            names.append(event.name)
            get(url, "/step")

    assert ["text"] * 4 + ["end"] == names


def test_what_arrives_together_has_one_time():
    """
    Events that arrived in one piece carry one time, so that no gap between chunks is made up by reading them.
    """
    with known_service("--tokens", "50", "--itl-ms", "0") as url, reading(url) as reader:
        while not truth(url)["ended"]:
            time.sleep(0.05)
        times = [reader.at for _ in reader]

    assert 51 == len(times)
    assert len(set(times)) <= 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cut", "broken stream"),
        ("no-end", "no end marker"),
        ("garbled", "undecodable text"),
        ("not-json", "unreadable event"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/sessions/n1/turns", "/v1/chat/completions"])
def test_streams_that_are_not(fault, reason, path):
    """
    A cut connection, a missing end marker, bytes that are no text and data that is no JSON each fail, and what came
    before was handed out.
    """
    meaning = protocols.session_events if "sessions" in path else protocols.completion_events
    came = []

    with (
        known_service("--fault", fault, "--tokens", "6") as url,
        reading(url, path) as reader,
        pytest.raises(TurnFailed) as caught,
    ):
        came.extend(meaning(reader))  # extend takes what comes before it raises

    assert reason == caught.value.reason
    assert (6 if fault == "no-end" else 3) == len(came)


@pytest.mark.parametrize(
    ("path", "reason"), [("/v1/sessions/n1/turns", "error loop"), ("/v1/chat/completions", "error server_error")]
)
def test_an_error_in_a_stream(path, reason):
    """
    An error that the service tells of in the stream, on status 200, is a failure with its type.
    """
    meaning = protocols.session_events if "sessions" in path else protocols.completion_events

    with (
        known_service("--fault", "error") as url,
        reading(url, path) as reader,
        pytest.raises(TurnFailed, match="it raised") as caught,
    ):
        list(meaning(reader))

    assert reason == caught.value.reason


def test_what_a_chat_completion_says():
    """
    Reasoning, tool calls in parts, and several choices' deltas are told apart; an empty role chunk is no content.
    """
    chunks = [
        '{"choices": [{"delta": {"role": "assistant", "content": ""}}]}',
        '{"choices": [{"delta": {"reasoning_content": "hm"}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "search", "arguments": ""}}]}}]}',
        '{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]}',
        '{"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}',
        '{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}',
        "[DONE]",
    ]

    events = list(protocols.completion_events([sse.ServerEvent("message", chunk) for chunk in chunks]))

    assert [Reasoning("hm"), ToolCall("search"), End(input_tokens=3, output_tokens=2)] == events
