"""Ten thousand sessions interleaved at random against one server process: in step, and in memory that stays flat."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import psutil

from looprig import content
from looprig.scenario import Scenario, Turn
from tests.perf.http_client import Connection
from tests.perf.serving import Server, running
from tests.perf.targets import Section, Target, section, table

SESSIONS = 10_000
CONNECTIONS = 32
SETTINGS = {"messages": "40", "tool_every": "4"}
SEED = 1


@dataclass(slots=True)
class Client:
    """One session's loop, which checks each reply against the script."""

    number: int
    scenario: Scenario
    messages: list[dict[str, Any]] = field(default_factory=list)
    turn: int = 0
    round: int = 0

    @property
    def over(self) -> bool:
        """Whether all turns are answered."""
        return self.turn >= len(self.scenario.turns)

    @property
    def plan(self) -> Turn:
        """The turn that comes next."""
        return self.scenario.turns[self.turn]

    def request(self) -> bytes:
        """Return what the loop sends next."""
        if not self.messages:
            self.messages.append({"role": "system", "content": "You are helpful."})
        if self.round == 0:
            said = self.plan.say.replace("[#s0t", f"[#s{self.number}t")
            self.messages.append({"role": "user", "content": said})
        return json.dumps({"model": "gpt-4o", "messages": self.messages}).encode()

    def take(self, reply: dict[str, Any]) -> bool:
        """Take the reply into the history, and say whether it is the one that the script has here."""
        message = reply["choices"][0]["message"]
        self.messages.append({key: message[key] for key in ("role", "content", "tool_calls") if message.get(key)})
        if self.round < len(self.plan.rounds):
            expected = [
                f"call_s{self.number}t{self.turn}r{self.round}c{call}"
                for call in range(len(self.plan.rounds[self.round].calls))
            ]
            asked = [call["id"] for call in message.get("tool_calls") or ()]
            self.messages += [
                {"role": "tool", "tool_call_id": each, "content": f"[#{each[5:]}] found"} for each in asked
            ]
            self.round += 1
            return asked == expected
        in_step = message["content"] == f"[#s{self.number}t{self.turn}] {self.plan.answer}"
        self.turn, self.round = self.turn + 1, 0
        return bool(in_step)


def serving(judge: bool) -> Server:
    """Return the server with the scenario."""
    settings = [word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "looprig", "serve", "model", "--port", "PORT", "--scenario", "long_conversation"]
    return Server("looprig", [*command, "--seed", str(SEED), *settings, *([] if judge else ["--no-judge"])])


async def _play(port: int, clients: list[Client], process: psutil.Process) -> tuple[int, int, list[tuple[int, float]]]:
    """Return requests, replies out of step, and the server's memory in MB after so many requests."""
    order = Random(SEED)
    waiting = list(clients)
    total = sum(_requests(client.scenario) for client in clients)
    done = wrong = 0
    memory: list[tuple[int, float]] = []

    async def work() -> None:
        nonlocal done, wrong
        connection = Connection(port)
        while waiting:
            index = order.randrange(len(waiting))
            waiting[index], waiting[-1] = waiting[-1], waiting[index]
            client = waiting.pop()
            status, body = await connection.post("/v1/chat/completions", client.request())
            if status != 200:
                raise RuntimeError(f"session {client.number} got {status}: {body.decode()}")
            wrong += not client.take(json.loads(body))
            done += 1
            if done % (total // 20) == 0:
                memory.append((done, process.memory_info().rss / 1e6))
                print(f"{done} of {total}", file=sys.stderr)
            if not client.over:
                waiting.append(client)
        await connection.close()

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return done, wrong, memory


def _requests(scenario: Scenario) -> int:
    return sum(len(turn.rounds) + 1 for turn in scenario.turns)


def _clients(count: int) -> Iterator[Client]:
    file = content.find_scenario("long_conversation")
    made = file.make(SEED, SETTINGS)
    scenario = Scenario(name=made.name, seed=made.seed, params=made.params, turns=tuple(made.turns))
    return (Client(number, scenario) for number in range(count))


def measure(count: int = SESSIONS) -> Section:
    """Play, and judge."""
    with running(serving(judge=True)) as (port, process):
        requests, wrong, memory = asyncio.run(_play(port, list(_clients(count)), process))
        with urlopen(f"http://127.0.0.1:{port}/journal") as answer:
            verdict = json.load(answer)["verdict"]
    half = [size for done, size in memory if done > requests / 2]
    growth = half[-1] / half[0] - 1
    targets = [
        Target(f"replies out of step, of {requests:,}", f"{wrong:,}", "0", wrong == 0),
        Target("invariants broken", f"{len(verdict['broken'])}", "0", not verdict["broken"]),
        Target("memory at the end, by that at half of the requests", f"{growth:+.1%}", "5 %", growth <= 0.05),
    ]
    tables = [
        f"The server's memory, while {count:,} sessions of long_conversation take their turns at random:",
        table(["requests", "MB"], [[f"{done:,}", f"{size:.0f}"] for done, size in memory[::3]]),
    ]
    return Section(f"{count:,} sessions at once", "python -m tests.perf.sessions", targets, tables)


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    print(section(measure()))
