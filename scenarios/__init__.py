"""Here for mypy only, which needs it to follow ``from ._text import``; never imported by this name."""
