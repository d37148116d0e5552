"""The reference chat loop: what looprig tests by default, and a loop to read.

Start with `reference_loop.loop`; `make_loop` is the way in for everybody else.
"""

from reference_loop.config import Config
from reference_loop.context import MockRetriever, Retriever
from reference_loop.errors import (
    ConfigError,
    ControlCharacters,
    EmptyInput,
    InputError,
    InputTooLong,
    LoneSurrogates,
    LoopClosed,
    TimedOut,
    TurnInProgress,
)
from reference_loop.facade import SyncReferenceLoop
from reference_loop.factory import make_loop
from reference_loop.history import History, HistoryListener
from reference_loop.loop import Model, ReferenceLoop
from reference_loop.mock_llm import MockModel, Replies
from reference_loop.mock_tools import mock_tools
from reference_loop.policies import POLICIES, HistoryPolicy
from reference_loop.tools import FunctionTool, Tool, Tools, tool

__all__ = [
    "POLICIES",
    "Config",
    "ConfigError",
    "ControlCharacters",
    "EmptyInput",
    "FunctionTool",
    "History",
    "HistoryListener",
    "HistoryPolicy",
    "InputError",
    "InputTooLong",
    "LoneSurrogates",
    "LoopClosed",
    "MockModel",
    "MockRetriever",
    "Model",
    "ReferenceLoop",
    "Replies",
    "Retriever",
    "SyncReferenceLoop",
    "TimedOut",
    "Tool",
    "Tools",
    "TurnInProgress",
    "make_loop",
    "mock_tools",
    "tool",
]
