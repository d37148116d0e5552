"""The trimmers of frameworks: no codec loses anything, and what each framework is known for is seen again."""

from __future__ import annotations

import pytest

from looprig.conformance.jobs import environments
from looprig.trimmers import letters
from looprig.trimmers.contract import Subject
from looprig.trimmers.frameworks import BASELINE, FRAMEWORKS, subjects
from tests.trimmers.frameworks.checks import breaks, grows, round_trips

HERE = [name for name in FRAMEWORKS if environments(name)[0] == "newest" and name != BASELINE]

EVERY = {f"{name} {subject.name}": subject for name in HERE for subject in subjects(name)}

RUNS = ("pydantic-ai history processor in Agent.run", "openai-agents Runner + SessionSettings(limit)")
"""These begin with something to answer, so that not every history is one of theirs."""


@pytest.mark.parametrize("name", EVERY)
def test_codec_loses_nothing(name: str):
    """
    All short histories come back from the framework's messages as they went in.
    """
    held, unheld = round_trips(EVERY[name])

    assert 252 == held + unheld
    assert held >= (42 if name in RUNS else 252)


@pytest.mark.parametrize("name", EVERY)
def test_history_grows_message_by_message(name: str):
    """
    A result that arrives later joins the batch that it belongs to.
    """
    grows(EVERY[name].codec)


@pytest.mark.parametrize("name", EVERY)
def test_versions_are_known(name: str):
    """
    Each trimmer says which distributions it is from.
    """
    assert EVERY[name].packages


@pytest.mark.parametrize(
    ("name", "history", "limit", "broken"),
    [
        ("langchain trim_messages (recommended)", "S U C1 T", 20, {"LR102", "LR112", "LR113"}),
        ("langchain trim_messages (len)", "S A U A", 4, {"LR107"}),
        ("langgraph RemoveMessage(all but last n)", "U C2 T T", 2, {"LR102", "LR121"}),
        ("langchain SummarizationMiddleware", "U C1 T C1 T", 4, {"LR105", "LR109"}),
        ("llama-index ChatMemoryBuffer", "U C1 T", 20, {"LR121"}),
        ("autogen TokenLimitedChatCompletionContext", "U C1 T C1 T", 30, {"LR121"}),
        ("autogen HeadAndTailChatCompletionContext", "U C1 T", 2, {"LR112"}),
        ("semantic-kernel ChatHistoryTruncationReducer (threshold)", "S U C1", 2, {"LR103", "LR113"}),
        ("pydantic-ai history processor (keep last n)", "U C1 T", 2, {"LR102"}),
        ("strands SlidingWindowConversationManager", "U C1 T", 2, {"LR203"}),
        ("openai-agents SQLiteSession.get_items(limit)", "U C2 T T", 2, {"LR121"}),
        ("agno AgentSession.get_messages(limit)", "S U C1 T", 2, {"LR121"}),
        ("agno filter_tool_calls", "U C2 T T A U C3 T", 2, {"LR103", "LR114", "LR131"}),
        ("litellm trim_messages", "U C1 T C1 T", 20, {"LR121"}),
        ("ag2 SlidingWindowPolicy", "U C1 T", 2, {"LR102", "LR203"}),
        ("haystack SlidingWindowCompactor", "S U C1 T C1 T C1 T", 30, set()),
        ("google-adk ContextFilterPlugin", "U A U C1 T A U", 2, set()),
    ],
)
def test_what_a_framework_is_known_for(name: str, history: str, limit: int, broken: set[str]):
    """
    The short cases of the study break what they broke there, at least; and the careful ones keep everything.
    """
    found = breaks(EVERY[name], history, limit)

    assert broken <= found
    assert broken or not found


def test_recommended_trim_leaves_nothing_of_a_chain():
    """
    LangChain's recommended trim gives back the system message alone, once a turn is longer than the limit.
    """
    subject: Subject = EVERY["langchain trim_messages (recommended)"]
    codec = subject.codec
    history = codec.load(letters.build(letters.read("S U (C1 T)x30")))

    assert ["system"] == [message.role for message in codec.dump(subject.make(200)(history))]


def test_compactor_with_a_note_is_idempotent():
    """
    Haystack knows its note by the metadata of the message, so the very objects have to be handed back.
    """
    subject = EVERY["haystack SlidingWindowCompactor (note)"]

    assert "LR109" not in breaks(subject, "S U A U A U A U A", 30)
