"""Token counts: what they count, and what is said where they cannot."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from looprig.tokens import (
    OVERHEAD_PER_MESSAGE,
    TIKTOKEN_FILES,
    TokenizerMissing,
    best,
    counter,
    estimate,
    message_tokens,
)

TEXT = st.text(st.characters(codec=None))


@given(TEXT)
def test_estimate(text: str):
    """
    The estimate is a quarter of the UTF-8 bytes, rounded up; a lone surrogate counts for its three.
    """
    assert -(-len(text.encode("utf-8", "surrogatepass")) // 4) == estimate(text)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("é", 1), ("日本語", 3), ("\ud83d", 1)]
)
def test_estimate_by_hand(text: str, tokens: int):
    """
    The estimate of short texts.
    """
    assert tokens == estimate(text)


@given(TEXT, TEXT)
def test_estimate_of_a_longer_text(text: str, more: str):
    """
    A longer text never costs less, and two texts apart never less than together.
    """
    assert estimate(text) <= estimate(text + more) <= estimate(text) + estimate(more)


def test_message():
    """
    A message costs its text, its calls' names and arguments, and a fixed overhead; ids are free.
    """
    calls = (ToolCall(id="x" * 100, name="abcd", arguments="abcdefgh"), ToolCall(id="", name="n", arguments=""))
    message = Message(role="assistant", content="abc", tool_calls=calls, name="somebody")

    assert OVERHEAD_PER_MESSAGE + 1 + (1 + 2) + (1 + 0) == message_tokens(message, estimate)
    assert OVERHEAD_PER_MESSAGE + 3 + (4 + 8) + 1 == message_tokens(message, len)
    assert OVERHEAD_PER_MESSAGE == message_tokens(Message(role="user"), estimate)


def test_names():
    """
    The estimate is the counter of that name.
    """
    assert counter("estimate") is estimate


@pytest.mark.parametrize("name", ["", "gpt2", "Estimate", "o200k_base"])
def test_unknown(name: str):
    """
    An unknown counter is refused with those that there are.
    """
    with pytest.raises(TokenizerMissing) as caught:
        counter(name)

    assert f"unknown token counter {name!r}: use estimate, o200k or cl100k" == str(caught.value)


@pytest.mark.parametrize("name", ["o200k", "cl100k"])
def test_tokenizer_not_installed(name: str, monkeypatch: pytest.MonkeyPatch):
    """
    A tokenizer that is not installed is refused with the command that installs it.
    """
    monkeypatch.setitem(sys.modules, "bpe_openai", None)

    with pytest.raises(TokenizerMissing) as caught:
        counter(name)

    assert (
        f"the token counter {name} needs bpe-openai: pip install 'looprig[tokens]' "
        "(or tiktoken, with its data in TIKTOKEN_CACHE_DIR)"
    ) == str(caught.value)


class _Tiktoken(ModuleType):
    """Stands in for tiktoken, whose data is not ours to carry: a token a word."""

    def get_encoding(self, name: str) -> SimpleNamespace:
        assert name in ("o200k_base", "cl100k_base")
        return SimpleNamespace(encode=lambda text, disallowed_special: text.split())


@pytest.mark.parametrize("name", ["o200k", "cl100k"])
def test_tiktoken_with_its_data(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """
    Where bpe-openai is missing, tiktoken counts, if its data is there: it is never asked to fetch them.
    """
    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    monkeypatch.setitem(sys.modules, "tiktoken", _Tiktoken("tiktoken"))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))

    with pytest.raises(TokenizerMissing):
        counter(name)

    (tmp_path / TIKTOKEN_FILES[name]).touch()
    assert 3 == counter(name)("three short words")

    monkeypatch.setitem(sys.modules, "tiktoken", None)
    with pytest.raises(TokenizerMissing):
        counter(name)


def test_best(monkeypatch: pytest.MonkeyPatch):
    """
    The best counter is a tokenizer where there is one, and goes by the name of the estimate where it is that.
    """
    assert "o200k" == best()

    monkeypatch.setitem(sys.modules, "bpe_openai", None)
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    assert "estimate" == best()


@pytest.mark.parametrize(("name", "tokens"), [("o200k", [0, 1, 2, 6]), ("cl100k", [0, 1, 2, 6])])
def test_tokenizer(name: str, tokens: list[int]):
    """
    The tokenizers count as OpenAI's do.
    """
    pytest.importorskip("bpe_openai", reason="the extra looprig[tokens] is not installed")
    count = counter(name)

    assert tokens == [count(text) for text in ("", "hello", "hello world", "The quick brown fox jumps.")]


@pytest.mark.parametrize("name", ["o200k", "cl100k"])
@given(text=TEXT)
def test_tokenizer_on_any_text(name: str, text: str):
    """
    A tokenizer counts every text, also one with lone surrogates or with the names of special tokens.
    """
    pytest.importorskip("bpe_openai", reason="the extra looprig[tokens] is not installed")
    count = counter(name)

    assert (text != "") <= count(text) <= 4 * len(text)
    assert count("<|endoftext|>" + text) > 0
