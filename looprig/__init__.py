"""Looprig: a test rig for chat loops.

The public names are few: values to write scenarios with, and `run` to play one. Users' own tests need only
`looprig.testing`, or the ``rig`` fixture that the pytest plugin brings.
"""

from looprig.version import __version__

__all__ = ["__version__"]
