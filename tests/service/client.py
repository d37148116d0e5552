"""A user of the service, over real HTTP."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx2 as httpx

from looprig.scenario import PlannedCall, Round, Scenario, Turn, user_text
from looprig.service.app import Service
from looprig.service.settings import Bounds, Settings
from looprig.serving.running import Running, serving
from tests.service.loops import Plain

WAIT_S = 60.0
"""A test waits so long for what it knows will come."""


def talk(turns: int = 6, rounds: Mapping[int, int] | None = None, **more: Any) -> Scenario:
    """Return a scenario with so many rounds of two calls in some of its turns."""
    rounds = {1: 2} if rounds is None else rounds
    made = tuple(
        Turn(
            say=user_text(0, number, f"question {number}"),
            answer=f"this is the answer to question {number}",
            rounds=tuple(
                Round(
                    calls=tuple(
                        PlannedCall(name="read_file", inputs={"path": f"{at}{call}.md"}, result="found")
                        for call in range(2)
                    )
                )
                for at in range(rounds.get(number, 0))
            ),
            **more,
        )
        for number in range(turns)
    )
    return Scenario(name="talk", seed=1, turns=made)


class User:
    """One client, which may have several sessions."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=WAIT_S, trust_env=False)

    def open(self, **wanted: Any) -> str:
        """Open a session, and return its id."""
        response = self.http.post("/v1/sessions", json=wanted)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def say(self, session: str, text: str) -> list[tuple[str, Any]]:
        """Say something, and return the events."""
        response = self.http.post(f"/v1/sessions/{session}/turns", json={"text": text})
        assert response.status_code == 200, response.text
        return events_of(response.text)

    def turn(self, session: str, text: str) -> Any:
        """Say something, and return what the end event tells."""
        name, data = self.say(session, text)[-1]
        assert name == "end", data
        return data

    def stats(self) -> Any:
        """Return what the service tells of itself."""
        return self.http.get("/v1/stats").json()

    def until(self, holds: Callable[[Any], bool]) -> Any:
        """Wait until the service's statistics are so, and return them."""
        import time

        end = time.monotonic() + WAIT_S
        while not holds(told := self.stats()):
            assert time.monotonic() < end, told
            time.sleep(0.01)
        return told


def events_of(text: str) -> list[tuple[str, Any]]:
    """Read server-sent events as the standard has them; comments are passed over."""
    found: list[tuple[str, Any]] = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        fields = dict(line.split(": ", 1) for line in lines)
        assert sorted(fields) == ["data", "event"], block
        found.append((fields["event"], json.loads(fields["data"])))
    return found


def shown(events: Sequence[tuple[str, Any]]) -> str:
    """Return the text that a user reads while it comes."""
    return "".join(data["delta"] for name, data in events if name == "text")


def service(factory: Callable[..., Any] = Plain, scenario: Scenario | None = None, **given: Any) -> Service:
    """Return a service that plays a scenario of the test's own, or one by its name."""
    from looprig.content import make_scenario

    own = scenario or talk()
    bounds = Bounds(**{name: given.pop(name) for name in tuple(given) if name in Bounds.__dataclass_fields__})

    def make(name: str, seed: int, parameters: Mapping[str, str]) -> Scenario:
        return own if name == own.name else make_scenario(name, seed, parameters)

    given = {"scenario": own.name, "spec": "tests.service.loops:Plain", **given}
    return Service(Settings(factory=factory, make=make, bounds=bounds, **given))


@contextlib.contextmanager
def served(app: Service) -> Iterator[tuple[User, Running[Service]]]:
    """Serve as long as the block lasts."""
    with serving(app) as running:
        user = User(running.url)
        try:
            yield user, running
        finally:
            user.http.close()
