"""What a load run comes to in numbers: the tally's counts and histograms as rules and reports read them.

Definitions: a turn that ended is finished or failed; ``error_rate`` is the share of those that failed. A good turn is
complete, correct and within every SLO; ``goodput`` is good turns per second (DistServe's notion), ``good_fraction``
good turns of those offered, so that a turn that never came to an end counts against it.

These are of the turns that came due in the window: after the warm-up, and before the cool-down and the end of arrivals.
Counts are of the whole run.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from looprig.load.giving_up import good_shares, last_good
from looprig.load.histogram import Histogram
from looprig.load.plan import Plan, Stage
from looprig.load.recorded import Tally
from looprig.load.thresholds import SCALARS


class Readings:
    """The numbers of one run."""

    def __init__(self, plan: Plan, tally: Tally) -> None:
        self.plan = plan
        self.tally = tally

    @cached_property
    def histograms(self) -> Mapping[str, Histogram]:
        """The histograms by name; those of a turn's bucket are named ``ttft{turn=10+}``."""
        made = {name: Histogram.from_builtins(data) for name, data in self.tally.histograms.items()}
        return {name: histogram for name, histogram in made.items() if histogram.count}

    @property
    def span_s(self) -> float:
        """Seconds that the window has; a run that was cut short has fewer."""
        plan, lasted = self.plan, self.tally.lasted_s
        end = min(plan.duration_s - plan.cooldown_s, lasted) if plan.duration_s else lasted
        return max(0.0, end - plan.warmup_s)

    @property
    def gave_up(self) -> str:
        """Why a staircase of load ended before its last step; an empty text where it did not."""
        return next((str(facts["gave_up"]) for facts in self.tally.facts.values() if facts.get("gave_up")), "")

    @cached_property
    def last_good(self) -> Stage | None:
        """The last stage that was good before the run was given up; None where none was, or nothing was given up."""
        below = self.plan.give_up_below
        if below is None or not self.gave_up:
            return None
        shares = good_shares(self.plan.stages, self.tally.series, self.tally.lasted_s)
        return last_good(self.plan.stages, shares, below)

    def count(self, name: str) -> int:
        """Return one of the tally's counts, of the whole run; what was never counted is 0."""
        return self.tally.counts.get(name, 0)

    def in_window(self, name: str) -> int:
        """Return one of the tally's counts, of the turns that came due in the window."""
        return self.tally.counts.get(f"window/{name}", 0)

    def samples(self, metric: str, bucket: str | None = None) -> Histogram | None:
        """Return a metric's values, None where there are none."""
        return self.histograms.get(f"{metric}{{turn={bucket}}}" if bucket else metric)

    def scalar(self, name: str) -> float | None:
        """Return one of `thresholds.SCALARS`; None where nothing was there to tell it from."""
        if SCALARS[name] == "count":
            return float(self.count(name))
        ended = self.in_window("finished") + self.in_window("failed")
        over, under = {
            "error_rate": (self.in_window("failed"), ended),
            "good_fraction": (self.in_window("good"), self.in_window("offered")),
            "goodput": (self.in_window("good"), self.span_s),
            "turns_per_s": (self.in_window("finished"), self.span_s),
            "tokens_per_s": (self.in_window("tokens_out"), self.span_s),
        }[name]
        return over / under if under else None

    def by_reason(self, kind: str) -> dict[str, int]:
        """Return why turns of *kind* (failed, cancelled) ended, the most frequent first."""
        prefix = f"{kind}/"
        found = {name.removeprefix(prefix): n for name, n in self.tally.counts.items() if name.startswith(prefix)}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
