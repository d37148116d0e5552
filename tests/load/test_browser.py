"""What a load run shows in a browser: locust's web UI with our metrics, and the report, which fetches nothing."""

from __future__ import annotations

import re
import signal

import pytest

from looprig.load.running import free_port
from tests.load.browser import browser, opened
from tests.load.started import Start

pytestmark = pytest.mark.skipif(browser() is None, reason="there is no Chromium here: apt-get install chromium")

TOOLS = [
    "--scenario",
    "working_day",
    "--rate",
    "20",
    "--turns",
    "3",
    "--think",
    "50ms",
    "--ttft",
    "1ms",
    "--itl",
    "1ms",
]


def rows(html: str) -> dict[str, list[str]]:
    """Return the cells of each row of a page's tables, under the first of them that has a name."""
    found = {}
    for row in re.findall(r"<tr.*?</tr>", html, re.DOTALL):
        cells = [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", row, re.DOTALL)]
        found[cells[1] if cells[0] in ("metric", "turn") else cells[0]] = cells
    return found


def test_pages(start: Start):
    """
    While a run goes on, locust's page has a row for each of our metrics; after it the report has them too, in tables
    and drawings, and the browser has nothing to complain of in it.
    """
    port = free_port()
    run = start(*TOOLS, "--for", "300s", "--late-most", "60s", "--web", "--web-port", str(port))
    assert run.under_way()

    live = rows(opened(f"http://127.0.0.1:{port}/").html)
    run.process.send_signal(signal.SIGINT)
    code, out, errors = run.end()
    report = opened((run.folder / "out" / "report.html").as_uri())

    assert {"ttft", "tpot", "e2e", "tool_chain", "trim_pause", "working_day"} <= live.keys()
    assert int(live["ttft"][2].replace(",", "")) > 0
    assert live["ttft"][0] == "metric"
    assert code == 130, out + errors
    assert {"ttft", "e2e", "tool_chain"} <= rows(report.html).keys()
    assert report.html.count("<svg") == 2
    assert not report.complaints
    assert not re.search(r"""(?:src|href)=["']?http""", report.html)
    assert run.nothing_left()
