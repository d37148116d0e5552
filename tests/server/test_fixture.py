"""The fixture ``strict_model`` in a user's tests."""

from __future__ import annotations

import pytest

pytest_plugins = ("pytester",)

TEST = """
import json, os, urllib.error, urllib.request

def ask(messages):
    body = json.dumps({"model": "gpt-4o", "messages": messages}).encode()
    request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body)
    try:
        with urllib.request.urlopen(request) as response:
            return json.load(response)["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code

def test_sound(strict_model):
    (first, *_) = strict_model.play("long_conversation", turns=5)
    assert ask([{"role": "user", "content": first}]).startswith("[#s0t0] ")
    assert strict_model.journal()["requests"] == 1
    assert strict_model.verdict().splitlines()[-1].startswith("PASSED")
    strict_model.check()

def test_broken(strict_model):
    assert ask([{"role": "tool", "tool_call_id": "x", "content": "?"}]) == 400
    strict_model.check()

def test_fresh(strict_model):
    assert strict_model.journal()["requests"] == 0
    assert os.environ["ANTHROPIC_BASE_URL"] == strict_model.url

def test_silent(strict_model):
    strict_model.check()
"""


def test_fixture(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """
    Each test gets a server without a past; ``check`` fails a test that broke something, or that asked nothing.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(TEST)

    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "looprig.pytest_plugin")

    result.assert_outcomes(passed=2, failed=2)
    result.stdout.fnmatch_lines(["*C1 refused: 1 time*", "*sent: T*", "FAILED  *", "NOTHING  *"])
