"""Looprig: a test rig for chat loops.

Users' own tests need only `looprig.testing`, or the ``rig`` fixture that the pytest plugin brings; users' own
scenarios need `looprig.scenario`. The package itself holds its version and imports nothing else, because every
pytest run of whoever installs looprig loads it.
"""

from looprig.version import __version__

__all__ = ["__version__"]
