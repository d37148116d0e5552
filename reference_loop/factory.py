"""Loops from options, for whoever configures by name."""

from typing import Any

from reference_loop.config import Config
from reference_loop.errors import ConfigError, did_you_mean
from reference_loop.loop import Model, ReferenceLoop
from reference_loop.tools import Tools


def make_loop(model: Model, tools: Tools, **options: Any) -> ReferenceLoop:
    """Return a fresh loop; where the tools have an ``approve``, it is asked.

    The options are the fields of `Config`. Raises ConfigError for an option or a value that is not known.
    """
    for name in options:
        if name not in Config.__struct_fields__:
            raise ConfigError(f"unknown option {name!r}{did_you_mean(name, Config.__struct_fields__)}")
    return ReferenceLoop(model, tools, Config(**options), approve=getattr(tools, "approve", None))
