"""The tables, as the steps that lead to them: one list of SQL texts for SQLite and PostgreSQL.

A step that was released is never changed; a change is a further step, and `tests/store/versions/` gets a file of
the version before it.
"""

from __future__ import annotations

from collections.abc import Sequence

MIGRATIONS: Sequence[Sequence[str]] = (
    (
        # One row a command. The columns are for finding a run; its record has everything but the parts.
        """create table looprig_run (
            id {serial},
            at text not null,
            kind text not null,
            verdict text not null,
            revision text,
            dirty integer,
            machine text not null,
            parts integer not null,
            record text not null,
            digest text not null
        )""",
        # One row for each scenario and loop of a run, with its samples.
        """create table looprig_part (
            run_id bigint not null references looprig_run (id),
            number integer not null,
            scenario text not null,
            loop text not null,
            record text not null,
            digest text not null,
            primary key (run_id, number)
        )""",
    ),
)
"""What leads from each version to the next.

``{serial}`` is a column that numbers its rows and never gives a number again.
"""

VERSION = len(MIGRATIONS)
