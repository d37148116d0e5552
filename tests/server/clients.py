"""Clients for tests: one that talks to the application without a network, and chat loops, sound and broken, over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from looprig.scenario import PlannedCall, Round, Scenario, Turn, user_text
from looprig.server.app import App, Asked
from looprig.server.settings import Settings
from looprig.serving.ready import Ready

Body = dict[str, Any]
Trim = Callable[[list[Body]], list[Body]]

TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {"path": {"type": "string"}}}},
    }
    for name in ("search", "read_file", "write_file", "list_files", "fetch_url", "delete_file", "run_command")
]


def read(path: str = "a.md") -> PlannedCall:
    return PlannedCall(name="read_file", inputs={"path": path}, result="found")


def talk(turns: int = 4, rounds: Mapping[int, int] | None = None, width: int = 2, **more: Any) -> Scenario:
    """Return a scenario whose turns have so many rounds, each of *width* calls; others are answered at once."""
    rounds = {1: 2} if rounds is None else rounds
    made = tuple(
        Turn(
            say=user_text(0, number, f"question {number}"),
            answer=f"answer {number}",
            rounds=tuple(
                Round(calls=tuple(read(f"{at}{call}") for call in range(width))) for at in range(rounds.get(number, 0))
            ),
            **more,
        )
        for number in range(turns)
    )
    return Scenario(name="talk", seed=1, turns=made)


def served(scenario: Scenario | None = None, **settings: Any) -> App:
    return App(Settings(scenario=scenario or talk(), **settings))


def post(app: App, path: str, body: Any, **headers: str) -> Ready:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    told = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    path, _, query = path.partition("?")
    return app.answer(Asked("POST", path, query, told, raw))


def get(app: App, path: str) -> Any:
    path, _, query = path.partition("?")
    ready = app.answer(Asked("GET", path, query, {}, b""))
    assert ready.status == 200, ready
    return ready.body.decode() if path == "/metrics" else json.loads(ready.body)


def chat(app: App, messages: Sequence[Body], *, tools: bool = True, **more: Any) -> Ready:
    """Ask for a chat completion; what is no field of the body goes into a header."""
    headers = {name: more.pop(name) for name in list(more) if name.startswith(("x_", "auth"))}
    offered = {"tools": TOOLS} if tools else {}
    return post(
        app, "/v1/chat/completions", {"model": "gpt-4o", "messages": list(messages), **offered, **more}, **headers
    )


def head(ready: Ready) -> str:
    """Return the headers of a response, one a line."""
    return "".join(f"{name.decode()}: {value.decode()}\n" for name, value in ready.headers)


def said(ready: Ready) -> Body:
    """Return the message of a chat completion as a client sends it back."""
    assert ready.status == 200, ready.body
    message = json.loads(ready.body)["choices"][0]["message"]
    return {
        key: value for key, value in message.items() if key in ("role", "content", "tool_calls") and value is not None
    }


def results(message: Body) -> list[Body]:
    """Return the results of all calls of a message."""
    return [{"role": "tool", "tool_call_id": call["id"], "content": "done"} for call in message.get("tool_calls", ())]


def user(text: str) -> Body:
    return {"role": "user", "content": text}


class Loop:
    """A chat loop that sends what *trim* leaves of its history, at most *patience* times a turn."""

    def __init__(self, app: App, trim: Trim = list, patience: int = 300, **more: Any) -> None:
        self.app = app
        self.trim = trim
        self.patience = patience
        self.more = more
        self.history: list[Body] = []
        self.statuses: list[int] = []

    def turn(self, text: str) -> Iterator[None]:
        """Play one turn; pauses behind each request."""
        self.history.append(user(text))
        for _ in range(self.patience):
            ready = chat(self.app, self.trim(self.history), **self.more)
            self.statuses.append(ready.status)
            yield
            if ready.status != 200:
                return
            message = said(ready)
            self.history += [message, *results(message)]
            if "tool_calls" not in message:
                return

    def send(self, text: str) -> str:
        """Play one turn; return the answer."""
        for _ in self.turn(text):
            pass
        return str(self.history[-1]["content"])

    def play(self, session: int = 0) -> Iterator[None]:
        """Play all turns of the scenario in a session."""
        for turn in self.app.play.typed(session):
            yield from self.turn(turn["say"])


def through(loop: Loop, session: int = 0) -> Loop:
    """Play the whole scenario."""
    for _ in loop.play(session):
        pass
    return loop


def broken(app: App) -> dict[str, int]:
    """End what goes on; return what is broken and refused."""
    app.finish()
    seen = app.seen()
    return {**seen["broken"], **seen["refused"]}
