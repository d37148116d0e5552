"""The reference chat loop: what looprig tests by default, and a loop to read.

Start with `reference_loop.loop`; `make_loop` is the way in for everybody else.
"""

from reference_loop.config import Config as Config
from reference_loop.errors import ConfigError as ConfigError
from reference_loop.errors import InputError as InputError
from reference_loop.loop import ReferenceLoop as ReferenceLoop
from reference_loop.loop import make_loop as make_loop
from reference_loop.mock_llm import MockModel as MockModel
from reference_loop.mock_tools import mock_tools as mock_tools
from reference_loop.policies import POLICIES as POLICIES
from reference_loop.tools import tool as tool
