"""Chat Completions: OpenAI's own client talks to the loop."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from looprig.service.chat import BadRequest, place, read
from looprig.target import find
from tests.service import loops
from tests.service.client import User, served, service

KEY = "no-real-key"


def client(user: User) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{str(user.http.base_url).rstrip('/')}/v1", api_key=KEY, max_retries=0)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("factory", [loops.Plain, loops.Synchronous, find("reference").make()])
def test_conversation(factory: Any, stream: bool):
    """
    A conversation over several requests is one session of one loop, which runs its tools itself; nothing breaks.
    """
    history: list[Any] = [{"role": "system", "content": "be brief"}] if factory is not loops.Synchronous else []
    with served(service(factory)) as (user, _), client(user) as openai_client:
        for turn in range(4):
            history.append({"role": "user", "content": f"[#s0t{turn}] question {turn}"})
            asked: Any = {"model": "any", "messages": history}
            if stream:
                with openai_client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as events:
                    completion: Any = events.get_final_completion()
            else:
                completion = openai_client.chat.completions.create(**asked)
            assert "stop" == completion.choices[0].finish_reason
            assert completion.usage.completion_tokens > 5 < completion.usage.prompt_tokens
            history.append({"role": "assistant", "content": completion.choices[0].message.content})
        told = user.stats()

    assert [f"[#s0t{turn}] this is the answer to question {turn}" for turn in range(4)] == [
        each["content"] for each in history if each["role"] == "assistant"
    ]
    assert (1, 4, {}) == (told["sessions"]["opened"], told["turns"]["finished"], told["violations"])


def test_conversation_that_nobody_knows():
    """
    A request may bring a conversation that was held elsewhere: the loop is brought to where it is, and goes on.
    """
    history = []
    for turn in range(3):
        history += [
            {"role": "user", "content": f"what is {turn}?"},
            {"role": "assistant", "content": f"[#s44t{turn}] it is {turn}"},
        ]
    asked: Any = {"model": "any", "messages": [*history, {"role": "user", "content": "and now?"}]}
    with served(service()) as (user, running), client(user) as openai_client:
        answers = [openai_client.chat.completions.create(**asked).choices[0].message.content for _ in range(2)]
        told = user.stats()
        said = [message.content for message in next(iter(running.app.sessions)).loop.history]

    assert [f"[#s{number}t3] this is the answer to question 3" for number in range(2)] == answers
    assert "[#s0t1] what is 1?" == said[2]
    assert "[#s0t1] it is 1" == said[3]
    assert ({}, 2, 0) == (told["violations"], told["turns"]["finished"], told["sessions"]["mixed"])


def test_conversations_make_way():
    """
    Where sessions are full, a conversation that any request can bring along again is the first to go.
    """
    with served(service(sessions=2)) as (user, _), client(user) as openai_client:
        for number in range(4):
            asked: Any = [{"role": "user", "content": f"[#s0t0] {number}"}]
            openai_client.chat.completions.create(model="any", messages=asked)
        told = user.stats()

    assert (2, 4, 0) == tuple(told["sessions"][key] for key in ("open", "opened", "refused"))


def test_failure_in_the_middle():
    """
    A turn that fails is an error to OpenAI's client, at once and in a stream.
    """
    asked: Any = {"model": "any", "messages": [{"role": "user", "content": "[#s0t0] question 0 fail"}]}
    with served(service(loops.Raising)) as (user, _), client(user) as openai_client:
        with pytest.raises(openai.InternalServerError, match="it went wrong"):
            openai_client.chat.completions.create(**asked)
        with pytest.raises(openai.APIError, match="it went wrong"):
            list(openai_client.chat.completions.create(**asked, stream=True))


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "the last message has to be the user's"),
        ([{"role": "assistant", "content": "hi"}], "the last message has to be the user's"),
        (
            [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}, {"role": "user", "content": "c"}],
            "out of",
        ),
        (
            [{"role": "user", "content": "a"}, {"role": "tool", "content": "b"}, {"role": "user", "content": "c"}],
            "out of turn",
        ),
        ([{"role": "nobody", "content": "a"}], "role is one of"),
        ([{"role": "user", "content": 3}], "content is text"),
    ],
)
def test_what_is_refused(messages: Any, said: str):
    """
    A conversation that the loop cannot be brought to is refused with the reason.
    """
    with served(service()) as (user, _), client(user) as openai_client:
        with pytest.raises(openai.BadRequestError, match=said):
            openai_client.chat.completions.create(model="any", messages=messages)
        assert 0 == user.stats()["sessions"]["open"]


def test_system_message_for_a_loop_that_takes_none():
    """
    A loop without add_system is not handed a system message: that is told, and no session stays behind.
    """
    asked: Any = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}]
    with served(service(loops.Synchronous)) as (user, _), client(user) as openai_client:
        with pytest.raises(openai.InternalServerError, match="takes no system messages"):
            openai_client.chat.completions.create(model="any", messages=asked)
        assert 0 == user.stats()["sessions"]["open"]


def test_body_that_is_none():
    """
    A body that is no request is refused in OpenAI's words.
    """
    with pytest.raises(BadRequest, match="no chat completion request"):
        read(b'{"messages": 3}')


def test_places_differ():
    """
    Texts that run together differently are different conversations.
    """
    assert 4 == len({place(b"", "a", "bc"), place(b"", "ab", "c"), place(b"", "abc"), place(place(b"", "a"), "bc")})
