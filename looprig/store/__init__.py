"""Every run is kept: raw values, where and from what they came, and what was said of them.

`open_store` opens a file or a PostgreSQL database. `record` says what a run is, `schema` how it lies in tables,
`series` how a metric went from run to run, `made` turns what commands find into records.
"""

from looprig.store.errors import StoreDamaged, StoreError, StoreForeign, StoreMissing
from looprig.store.record import Part, RunRecord, Sample, machine_key, setup_of
from looprig.store.series import Point, Series
from looprig.store.store import DEFAULT, Run, Store, check_address, is_server, open_store

__all__ = [
    "DEFAULT",
    "Part",
    "Point",
    "Run",
    "RunRecord",
    "Sample",
    "Series",
    "Store",
    "StoreDamaged",
    "StoreError",
    "StoreForeign",
    "StoreMissing",
    "check_address",
    "is_server",
    "machine_key",
    "open_store",
    "setup_of",
]
