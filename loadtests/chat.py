"""Conversations over HTTP: with `looprig serve loop`, or with any OpenAI-compatible URL.

    LOOPRIG_LOAD_PLAN=plan.json locust --headless -f loadtests/chat.py

Finds out how a service answers when many people talk to it at once, each in a conversation that goes on: what they
wait for the first word and between words, what fails, and which invariants break. The plan says how many come, when,
and what they say; `looprig load` writes one, starts locust with it, and judges what comes out of it.

Does not find out what a turn costs by itself: that is `looprig run` and `looprig compare`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from looprig.content import load

# Locust imports this file under a name of its own, so that the files beside it are loaded by their path.
_users = load(Path(__file__).with_name("users.py"))

try:
    _plan = _users.read_plan()
except _users.PlanError as error:
    print(f"looprig load: {error}", file=sys.stderr)
    sys.exit(2)


class Chat(_users.SessionChat if _plan.protocol == "session" else _users.DirectChat):  # type: ignore[misc]
    """A user of the service that the plan names."""

    abstract = False
