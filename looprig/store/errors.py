"""What can be wrong with a store: each error says what, where, why, and what to do."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be used."""


class StoreMissing(StoreError):
    """There is no store yet, and none was to be made."""


class StoreDamaged(StoreError):
    """What is in the store is not what was written there."""


class StoreForeign(StoreError):
    """The file says that it is another program's, or a newer looprig's."""
