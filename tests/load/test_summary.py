"""What a load run comes to: every outcome and its exit code, the gates before any verdict, the published schema."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

import looprig
from looprig.load.plan import Stage
from looprig.load.recorded import Tally
from looprig.load.summary import EXITS, Ended, Summary, schema, summarise
from looprig.load.validity import LATE_MOST_S, Counted, late_limit
from looprig.report import charts, html
from looprig.report import load as report
from looprig.report.results import as_json
from tests.load import making

SCHEMA = Path(looprig.__file__).parent / "load" / "summary.schema.json"


def summary(*, server: Counted | None = None, ended: Ended | None = None, **changes: Any) -> Summary:
    """Summarise a run in which all is well, but for the changes."""
    of_plan = {name: changes.pop(name) for name in list(changes) if name in making.plan().__struct_fields__}
    plan = making.plan(**of_plan)
    tally = making.tally(plan, **changes)
    return summarise(plan, tally, machine=making.MACHINE, server=server or making.counted(tally), ended=ended)


def test_pass():
    """
    A valid run that meets its thresholds passes, with exit code 0 and nothing to say.
    """
    made = summary()

    assert ("pass", 0, []) == (made.outcome, made.exit_code, list(made.because))
    assert {gate.held for gate in made.validity} == {True}
    assert made.scalars["error_rate"] == 0
    assert made.scalars["goodput"] == pytest.approx(10)
    assert made.metrics["ttft{turn=1}"].count == made.metrics["ttft{turn=2-4}"].count == 300
    assert made.metrics["ttft"].p99_9 is None
    assert report.verdict_line(made).startswith("PASSED  1 threshold met, no invariant broken; 600 turns")


def test_slo_missed():
    """
    A threshold that is missed gives exit code 3, and the sentence has the measured value and the limit.
    """
    made = summary(ttft_s=0.4)

    assert ("slo", 3) == (made.outcome, made.exit_code)
    (because,) = made.because
    assert because.startswith("ttft.p95 < 300ms: ")
    assert because.endswith("is not < 300 ms")
    assert "FAILED  missed: ttft.p95 < 300ms" in report.verdict_line(made)


def test_failed_turns_are_no_fault_of_the_run():
    """
    A service that fails one turn in three misses its error rate; the run that shows this is valid.
    """
    made = summary(failing=200, thresholds=("error_rate < 1%",))

    assert ("slo", 3) == (made.outcome, made.exit_code)
    assert made.failed == {"broken stream": 200}
    assert "33.3 % is not < 1 %" in made.because[0]
    assert "broken stream" in report.as_text(made)


def test_rule_without_data():
    """
    A threshold of something that never came is missed.
    """
    made = summary(thresholds=("tool_chain.p50 < 1s",))

    assert ("slo", 3) == (made.outcome, made.exit_code)
    assert "a rule without data is missed" in made.because[0]


def test_too_few():
    """
    A percentile of too few samples is neither pass nor miss: the run says too little for it, exit code 4; where
    another rule is missed, that comes first.
    """
    few = summary(thresholds=("ttft.p99.9 < 300ms",))
    assert ("invalid", 4) == (few.outcome, few.exit_code)
    assert "n too small: 600 samples, and p99.9 needs 5,000" in few.because[0]
    assert "(n too small)" in report.verdict_line(few)

    both = summary(thresholds=("ttft.p99.9 < 300ms", "goodput > 100"))
    assert ("slo", 3) == (both.outcome, both.exit_code)


def without(tally: Tally, *metrics: str) -> Tally:
    return msgspec.structs.replace(
        tally, histograms={name: data for name, data in tally.histograms.items() if name not in metrics}
    )


def with_counts(tally: Tally, **counts: int) -> Tally:
    return msgspec.structs.replace(tally, counts={**tally.counts, **counts})


PLAN = making.plan()
SOUND = making.tally(PLAN)

PLANTED = [
    ("gen.beat.p99", making.tally(PLAN, late_s=0.02), "the generator's heartbeat: "),
    ("gen.beat.p99", without(SOUND, "gen.beat"), "heartbeat: was not measured"),
    ("gen.send_lag.p99", without(SOUND, "gen.send_lag"), "were due: was not measured"),
    ("dropped", with_counts(SOUND, dropped=3), "3 arrivals were dropped"),
    ("workers", msgspec.structs.replace(SOUND, workers_lost=1), "1 of 1 processes made load, 1 were lost"),
    ("workers", msgspec.structs.replace(SOUND, workers_seen=0), "0 of 1 processes made load"),
    ("ended", with_counts(SOUND, offered=700), "600 of 700 offered turns came to an end (85.7 %)"),
    ("rate", with_counts(SOUND, sessions=250), "250 of 300 scheduled sessions arrived"),
    (
        "open files of process",
        msgspec.structs.replace(SOUND, facts={"process": {"open_files": 64}}, series={"0": {"in_flight": 600}}),
        "at most 64 may be open, and 964 are needed",
    ),
]


@pytest.mark.parametrize(("gate", "tally", "seen"), PLANTED)
def test_invalid(gate: str, tally: Tally, seen: str):
    """
    A fault of the generator makes the run invalid, exit code 4; no threshold is judged, and it says what to do.
    """
    made = summarise(PLAN, tally, machine=making.MACHINE, server=making.counted(tally))

    assert ("invalid", 4, []) == (made.outcome, made.exit_code, list(made.thresholds))
    assert gate in {each.name for each in made.validity if not each.held}
    (because,) = (text for text in made.because if seen in text)
    assert "; the limit is " in because
    assert gate in report.verdict_line(made)


@pytest.mark.parametrize(("theirs", "held"), [(600, True), (599, False), (601, False)])
def test_counts_of_the_service(theirs: int, held: bool):
    """
    Turns that finished here are those that finished there, to the turn.
    """
    made = summary(server=making.counted(SOUND, finished=theirs))

    assert held == (made.outcome == "pass")
    assert held or "turns finished here" in made.because[0]


def test_counts_of_turns_that_were_given_up():
    """
    What failed or was cancelled here may have ended well there, and no more than that.
    """
    tally = making.tally(PLAN, failing=10)

    def outcome(finished: int) -> str:
        server = making.counted(tally, finished=finished)
        return summarise(PLAN, tally, machine=making.MACHINE, server=server).outcome

    assert ["pass", "pass", "invalid"] == [outcome(n) for n in (590, 600, 601)]


def test_broken_invariant():
    """
    A broken invariant gives exit code 1, whatever the thresholds, the validity or the end of the run say.
    """
    server = making.counted(SOUND, violations={"LR121": 7})
    made = summary(server=server)
    assert ("violated", 1, {"LR121": 7}) == (made.outcome, made.exit_code, made.broken)
    assert "LR121: broken 7 times" in made.because

    late = making.tally(PLAN, late_s=1.0, ttft_s=2.0)
    for ended in (Ended(), Ended(how="interrupted"), Ended(how="error", because="x")):
        again = summarise(PLAN, late, machine=making.MACHINE, server=server, ended=ended)
        assert ("violated", 1) == (again.outcome, again.exit_code)


def test_turns_that_we_broke_off():
    """
    Turns that the end of the run broke off make it invalid; those whose user left do not.
    """

    def outcome(reason: str) -> str:
        counts = {"finished": 500, "cancelled": 100, f"cancelled/{reason}": 100}
        tally = with_counts(SOUND, **counts)
        return summarise(PLAN, tally, machine=making.MACHINE, server=making.counted(tally)).outcome

    assert ("pass", "invalid") == (outcome("abandoned"), outcome("unfinished"))


def test_mixed_sessions_and_end_events():
    """
    Sessions that were mixed, and violations that only the turns' end events told, are broken invariants too.
    """
    assert {"sessions mixed": 2} == summary(server=making.counted(SOUND, sessions_mixed=2)).broken

    told = with_counts(SOUND, **{"server_violations": 4, "server_violations/LR101": 4})
    made = summarise(PLAN, told, machine=making.MACHINE)
    assert ("violated", {"LR101": 4}) == (made.outcome, made.broken)


def test_cut_short():
    """
    A run that was interrupted, or broke off, has its own outcome and exit code, and what was seen until then.
    """
    made = summary(ended=Ended(how="interrupted", because="interrupted after 3 s"))
    assert ("interrupted", 130, "interrupted after 3 s") == (made.outcome, made.exit_code, made.because[0])
    assert made.counts["finished"] == 600

    made = summary(ended=Ended(how="error", because="the service ended"))
    assert ("error", 4) == (made.outcome, made.exit_code)


def test_nothing():
    """
    A run without a turn ran nothing, and says why that may be.
    """
    made = summarise(PLAN, Tally(), machine=making.MACHINE)

    assert ("nothing", 5) == (made.outcome, made.exit_code)
    assert "no turn was offered" in made.because[0]


def test_every_outcome_has_its_exit_code():
    """
    Exit codes are those of the design: 1 before 3 before 4.
    """
    assert {name: int(code) for name, code in EXITS.items()} == {
        "pass": 0,
        "violated": 1,
        "slo": 3,
        "invalid": 4,
        "error": 4,
        "nothing": 5,
        "interrupted": 130,
    }


def test_lateness_that_is_allowed():
    """
    5 ms, or a twentieth of the tightest limit of a latency; of TPOT, a mean in which lateness cancels, nothing.
    """
    assert late_limit(making.plan(thresholds=("ttft.p95 < 800ms",))) == LATE_MOST_S
    assert late_limit(making.plan(thresholds=("ttft.p95 < 40ms", "goodput > 5"))) == pytest.approx(0.002)
    assert late_limit(making.plan(slos={"e2e": 0.02})) == pytest.approx(0.001)
    assert late_limit(making.plan(slos={"tpot": 0.02}, thresholds=("ttft.min > 1ms",))) == LATE_MOST_S

    plan = making.plan()
    late = making.tally(plan, late_s=0.02)
    assert summarise(plan, late, machine=making.MACHINE, late_most_s=0.5).outcome == "pass"


def test_closed_users_have_no_schedule():
    """
    Of people who wait for their answers no arrivals can be late, dropped or missing.
    """
    plan = making.plan(users="closed")
    tally = with_counts(without(SOUND, "gen.send_lag"), sessions=5)

    assert summarise(plan, tally, machine=making.MACHINE).outcome == "pass"


def test_warmup_is_left_out():
    """
    Rates and percentiles are those of the window, while counts are of the whole run.
    """
    made = summary(warmup_s=20.0, cooldown_s=10.0)

    assert (made.counts["finished"], made.window["finished"], made.span_s) == (600, 300, 30.0)
    assert made.scalars["turns_per_s"] == pytest.approx(10)
    assert made.metrics["ttft"].count == 300


def test_schema():
    """
    The published schema is the one of the classes, and a second implementation finds a summary to keep it.
    """
    published = json.loads(SCHEMA.read_text())

    assert published == schema(), "make it anew: python -m looprig.load.summary > looprig/load/summary.schema.json"
    for made in (summary(), summary(ttft_s=0.4), summarise(PLAN, Tally(), machine=making.MACHINE)):
        written = json.loads(as_json(made))
        jsonschema.validate(written, published)
        assert msgspec.convert(written, Summary, strict=False).outcome == made.outcome
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**json.loads(as_json(summary())), "outcome": "fine"}, published)


# ---------------------------------------------------------------------------------------------------------------------
# Pages


class Reader(HTMLParser):
    """Collects what a page would fetch or run, its tags, and whether they are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag != "meta":
            self.open.append(tag)
        self.fetched += [name for name, _ in attrs if name in ("src", "href", "srcset", "data", "action")]
        self.fetched += [name for name, _ in attrs if name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader


@pytest.mark.parametrize(
    "made",
    [
        summary(),
        summary(ttft_s=0.4, failing=20),
        summarise(PLAN, Tally(), machine=making.MACHINE),
        summarise(PLAN, making.tally(PLAN, late_s=1), machine=making.MACHINE),
    ],
    ids=lambda made: made.outcome,
)
def test_page_stands_alone(made: Summary):
    """
    The report is one file of sound markup that fetches and runs nothing, with two charts where there is something
    to draw.
    """
    page = report.as_html(made)
    reader = read(page)

    assert not reader.fetched
    assert not {"script", "link", "img", "iframe", "object", "form"} & set(reader.seen)
    assert "url(" not in page
    assert "default-src 'none'" in page
    assert reader.seen.count("svg") == (2 if made.counts.get("offered") else 0)


def test_page_escapes():
    """
    Whatever a service writes as the reason of a failure stays text.
    """
    tally = with_counts(making.tally(PLAN, failing=1), **{"failed/<script>alert(1)</script>": 1})
    made = summarise(PLAN, tally, machine=making.MACHINE)

    assert "<script" not in report.as_html(made)
    assert "&lt;script&gt;" in report.as_html(made)
    assert "<script" not in report.as_markdown(made)


def test_text_and_markdown():
    """
    Text and Markdown have the same tables; the Markdown begins with the verdict.
    """
    made = summary(slos={"ttft": 0.3})
    text, markdown = report.as_text(made), report.as_markdown(made)

    for title in ("turns", "latencies", "thresholds", "is the run valid", "the service's own account"):
        assert title.upper() in text
        assert f"### {title}" in markdown
    assert "good: finished, correct, and ttft < 300 ms" in text
    assert markdown.startswith("## PASSED")
    assert "ttft, turn 2-4" in text


def test_stages_are_named():
    """
    The header says which load was asked for.
    """
    stages = (Stage(duration_s=30, start=2, end=2), Stage(duration_s=60, start=2, end=10))
    assert report.asked(making.plan(stages=stages)) == "2, 2 to 10 sessions/s, constant for 90 s"
    assert report.asked(making.plan(users="closed")) == "5 users for 60 s"
    assert report.asked(making.plan(users="replay", trace="t.csv")) == "arrivals of t.csv, 1 times as long, 60 s of it"


def test_charts():
    """
    A chart draws a point for each value, as means of neighbours where there are too many, and nothing without values.
    """
    assert charts.lines("t", "s", {"a": [1]}) == ""
    assert charts.percentiles("t", "ms", {"a": {"p50": None}}) == ""
    few = charts.lines("turns", "s", {"a": [0, 5, 10], "b": [1, 1, 1]})
    assert few.count("<polyline") == 2
    assert few.partition('points="')[2].partition('"')[0].count(",") == 3
    many = charts.lines("turns", "s", {"a": list(range(86_400))})
    assert many.partition('points="')[2].partition('"')[0].count(",") == charts.POINTS_MOST
    marks = charts.percentiles("ttft", "ms", {"turn 1": {"p50": 10, "p99": 30}, "turn 2-4": {"p50": 12, "p99": None}})
    assert marks.count("<circle") == 3
    assert "turn 1 p99: 30 ms" in marks
    for drawn in (few, many, marks):
        read(html.page("t", [drawn]))
