"""What a load run is to do, as frozen values: `looprig load` writes a plan, the locust files read it.

The plan goes to locust's processes, on whatever machine, as one JSON file; so all of them draw the same from one seed.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Stage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A stretch of time, over which the rate (or the number of users) goes straight from one value to another.

    An open loop's values are sessions that arrive per second; a closed loop's are users.
    """

    duration_s: Annotated[float, Meta(gt=0)]
    start: Annotated[float, Meta(ge=0)]
    end: Annotated[float, Meta(ge=0)]


class Arrivals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gaps between the arrivals of an open loop; gamma's have a coefficient of variation of 1/sqrt(shape)."""

    kind: Literal["poisson", "gamma", "constant"] = "poisson"
    shape: Annotated[float, Meta(gt=0)] = 1.0
    in_flight_most: Annotated[int, Meta(ge=1)] | None = None
    """Sessions at one time; one that arrives beyond is counted as dropped, and never delayed."""


class Think(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a user thinks before the next message: lognormal, with a cap; ``scale`` shortens all of them."""

    median_s: Seconds = 18.0
    sigma: Annotated[float, Meta(ge=0)] = 1.25
    most_s: Seconds = 300.0
    scale: Annotated[float, Meta(ge=0)] = 1.0


class Talk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the users say: the user messages of a scenario; session number n has the seed ``seed + n``.

    ``turns`` are the most of a session; None plays the scenario to its end. ``abandon`` is the share of turns whose
    user leaves while the answer still comes.
    """

    scenario: str = "long_conversation"
    parameters: dict[str, str] = {}
    turns: Annotated[int, Meta(ge=1)] | None = None
    think: Think = Think()
    abandon: Share = 0.0


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A load run: see the module. Times are seconds; limits inside ``thresholds`` and ``slos`` are in their own units.

    ``users``: open (sessions arrive by a schedule, and latency counts from the moment that was due), closed (each
    user waits for the answer), replay (the arrivals of a trace). ``protocol``: session is looprig's own service
    (`looprig serve loop`), chat-completions any OpenAI-compatible URL.
    """

    url: str
    seed: int = 1
    users: Literal["open", "closed", "replay"] = "open"
    protocol: Literal["session", "chat-completions"] = "session"
    model: str = "looprig"
    stages: tuple[Stage, ...] = ()
    arrivals: Arrivals = Arrivals()
    trace: str | None = None
    trace_scale: Annotated[float, Meta(gt=0)] = 1.0
    talk: Talk = Talk()
    warmup_s: Seconds = 0.0
    cooldown_s: Seconds = 0.0
    stop_timeout_s: Seconds = 30.0
    workers: Annotated[int, Meta(ge=1)] = 1
    """Processes that make load, over all machines."""
    slos: dict[str, Annotated[float, Meta(gt=0)]] = {}
    """Limits that a good turn keeps, of metrics of one turn, such as ``{"ttft": 0.8, "tpot": 0.05}`` in seconds."""
    thresholds: tuple[str, ...] = ()
    give_up_below: Share | None = None
    """The run ends early when, in three stages in a row, fewer of the turns that ended were good."""
    folder: str = ".looprig/load"
    """Where each process writes what it recorded, and the first of them the summary."""

    @property
    def duration_s(self) -> float:
        """How long new sessions arrive."""
        return sum(stage.duration_s for stage in self.stages)
