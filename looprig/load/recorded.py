"""What the processes of a load run recorded: counts that add up, histograms that merge, and series by second.

Workers send it to the master as `msgspec.to_builtins` makes it; merging is exact, whoever counted what.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Tally(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A process's record, or the merged record of several.

    ``counts``: offered, started, finished, failed, cancelled, dropped, good (turns that are complete, correct and keep
    every SLO), sessions, tokens_in, tokens_out, server_violations; and ``failed/REASON``, ``cancelled/REASON``, by
    reason. Turns are counted, where nothing else is said.

    ``histograms``: by metric, or ``metric{turn=10+}`` by the turn's bucket (1, 2-4, 5-9, 10+), in seconds unless the
    metric is a length: ttft, ttft_send, ttfo, icl, tpot, e2e, queue, tool_chain, trim_pause, think, history_messages,
    history_chars, tool_rounds; and of the generator gen.send_lag and gen.beat. Each is the builtins of a
    `looprig.load.histogram.Histogram`.

    ``series``: by the second of the run as text ("0", "1" …), counts such as offered, finished, failed, tokens_out.

    ``facts``: by process, what adds up to nothing: locust's version, CPU share, the limit of open files.
    """

    counts: dict[str, int] = {}
    histograms: dict[str, Any] = {}
    series: dict[str, dict[str, int]] = {}
    facts: dict[str, dict[str, Any]] = {}
    workers_seen: int = 1
    workers_lost: int = 0
    began_at: float = 0.0
    """Seconds since 1970, of the earliest process."""
    lasted_s: float = 0.0
