"""The store: what is saved comes back, as a whole, from a file and from a server alike."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from looprig.store import (
    Part,
    RunRecord,
    Sample,
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreMissing,
    open_store,
    schema,
    setup_of,
)
from looprig.store import store as store_module
from looprig.store.record import machine_key, storable
from tests.perf.crash_records import record
from tests.store.records import odd_records

VERSIONS = Path(__file__).parent / "versions"


def test_what_is_saved_comes_back(place: str):
    """
    A run is loaded as it was saved, also by another process that opens the store later.
    """
    with open_store(place) as store:
        numbers = [store.save(record(number)) for number in (1, 2, 3)]

    with open_store(place) as store:
        assert [1, 2, 3] == numbers == [run.id for run in store.runs()]
        assert record(2) == store.load(2)
        store.check()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(record=odd_records)
def test_odd_records(tmp_path: Path, record: RunRecord):
    """
    Whatever is in a record's texts and numbers, what comes back is its storable form, which is its own.
    """
    with open_store(tmp_path / "odd.db") as store:
        assert storable(record) == store.load(store.save(record))
    assert storable(record) == storable(storable(record))


def test_odd_record_on_a_server(database: str):
    """
    What a server refuses in a text (a NUL, a lone surrogate) is written out, and the rest stays.
    """
    odd = record(command="a\0b \udc80 ' \" \\ ; -- é 🦊 :name %s %(x)s", parts=1)
    with open_store(database) as store:
        loaded = store.load(store.save(odd))

    assert "a\\x00b \\udc80 ' \" \\ ; -- é 🦊 :name %s %(x)s" == loaded.command
    assert odd.parts == loaded.parts


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_refused(tmp_path: Path, value: float):
    """
    A sample that is not finite is refused by name, and nothing of its run is kept.
    """
    odd = RunRecord(
        kind="run", at="", parts=(Part(scenario="s", loop="l", samples=(Sample(metric="m", value=value),)),)
    )
    with open_store(tmp_path / "history.db") as store:
        with pytest.raises(ValueError, match=r"s: m is (nan|inf); only finite numbers are kept"):
            store.save(odd)
        assert [] == store.runs()


def test_runs_are_chosen(place: str):
    """
    The newest runs, those of one command, and those of a revision that begins so, each oldest first.
    """
    with open_store(place) as store:
        for number in range(1, 6):
            store.save(record(number, kind="compare" if number == 3 else "run", revision=f"{number}abc" + "0" * 36))

        assert [4, 5] == [run.id for run in store.runs(last=2)]
        assert [3] == [run.id for run in store.runs(kind="compare")]
        assert [2] == [run.id for run in store.runs(revision="2ab")]
        assert [] == store.runs(revision="%")
        with pytest.raises(KeyError, match=r"there is no run 9 in .*looprig history runs"):
            store.load(9)


def with_parts(record: RunRecord, *parts: Part) -> RunRecord:
    return msgspec.structs.replace(record, parts=parts)


def test_series_of_unlike_machines(place: str):
    """
    Times of unlike machines are never one series; exact values are, and a patch release makes no unlike machine.
    """
    machines = [
        {"python": "3.11.7", "cpu": "A", "cores": 2},
        {"python": "3.11.9", "cpu": "A", "cores": 2},
        {"python": "3.11.9", "cpu": "B", "cores": 2},
        {"python": "3.12.0", "cpu": "B", "cores": 2},
    ]
    with open_store(place) as store:
        for number, machine in enumerate(machines, 1):
            samples = (Sample(metric="tokens", value=7.0, exact=True), Sample(metric="time", value=float(number)))
            store.save(with_parts(record(number, machine=machine), Part(scenario="s", loop="l", samples=samples)))
        tokens, *times = sorted(store.series("s"), key=lambda each: not each.exact)

    assert [1, 2, 3, 4] == [point.run for point in tokens.points]
    assert None is tokens.machine
    assert [[1.0, 2.0], [3.0], [4.0]] == [each.values for each in times]


def test_series_of_one_setup(place: str):
    """
    Parts with other parameters or seeds are other series; a filter takes one scenario, loop or metric.
    """

    def part(loop: str, turns: int, value: float, scenario: str = "s") -> Part:
        samples = (Sample(metric="tokens", value=value, exact=True), Sample(metric="trims", value=1.0, exact=True))
        return Part(scenario=scenario, loop=loop, setup=setup_of({"turns": turns}, [1]), samples=samples)

    with open_store(place) as store:
        for number in (1, 2, 3):
            parts = (part("a", 10, number), part("a", 20, 10 * number), part("b", 10, 5), part("a", 10, 9, "other"))
            store.save(with_parts(record(number), *parts))
        found = store.series("s", "tokens", "a")
        last = store.series("s", "tokens", "a", last=2)

    assert [("turns=10 seed 1", [1.0, 2.0, 3.0]), ("turns=20 seed 1", [10.0, 20.0, 30.0])] == [
        (each.setup, each.values) for each in found
    ]
    assert [[2.0, 3.0], [20.0, 30.0]] == [each.values for each in last]


def test_series_leaves_other_revisions_out(place: str):
    """
    A part of an older revision, measured today for a comparison, is no point of today's.
    """
    samples = (Sample(metric="tokens", value=1.0, exact=True),)
    parts = [
        Part(scenario="s", loop="l", side=side, revision=revision, samples=samples)
        for side, revision in (("before", "old"), ("after", "new"))
    ]
    with open_store(place) as store:
        store.save(with_parts(record(revision="new"), *parts))
        (series,) = store.series()

    assert ["new"] == [point.revision for point in series.points]


def test_series_is_in_order_of_time(place: str):
    """
    A run of an earlier day that is imported later stands where it belongs.
    """
    with open_store(place) as store:
        for number, day in ((1, 5), (2, 1), (3, 9)):
            part = Part(scenario="s", loop="l", samples=(Sample(metric="m", value=float(day), exact=True),))
            store.save(with_parts(record(number, at=f"2026-01-{day:02}T00:00:00Z"), part))
        (series,) = store.series()

    assert [1.0, 5.0, 9.0] == series.values


def test_prune(place: str):
    """
    Only what all limits let go is removed, nothing at all in a dry run, and no number is given again.
    """
    with open_store(place) as store:
        for number in range(1, 7):
            store.save(record(number, at=f"2026-01-0{number}T00:00:00Z"))

        assert [] == store.prune()
        assert [1, 2, 3, 4] == [run.id for run in store.prune(keep=2, dry=True)]
        assert 6 == len(store.runs())
        assert [1, 2] == [run.id for run in store.prune(keep=2, before="2026-01-03T00:00:00Z")]
        assert [3, 4, 5, 6] == [run.id for run in store.runs()]
        assert record(3, at="2026-01-03T00:00:00Z") == store.load(3)
        assert 4 == len(store.prune(keep=0))
        assert 7 == store.save(record(7))


def test_writers_at_the_same_time(place: str):
    """
    Many writers that all begin by making the store wait for one another: every run is there, and whole.
    """
    start = threading.Barrier(4)

    def write(writer: int) -> list[int]:
        start.wait()
        with open_store(place) as store:
            return [store.save(record(10 * writer + number, parts=5)) for number in range(5)]

    with ThreadPoolExecutor(4) as pool:
        numbers = [number for made in pool.map(write, range(4)) for number in made]

    with open_store(place) as store:
        assert sorted(numbers) == [run.id for run in store.runs()]
        commands = {store.load(number).command for number in numbers}
    assert {f"looprig run --seed {10 * writer + number}" for writer in range(4) for number in range(5)} == commands


def test_reader_sees_no_half_run(place: str):
    """
    While a run is being written, another process sees the runs before it and nothing of it.
    """
    with open_store(place) as writer, open_store(place) as reader:
        writer.save(record(1))
        with writer._database.writing():
            writer._database.insert(store_module.NEW_RUN, store_module._run_columns(record(2)))

            assert [1] == [run.id for run in reader.runs()]
            assert 12 == len(reader.series())
        with pytest.raises(StoreDamaged, match="run 2 has 0 of its 3 parts"):
            reader.load(2)  # this one was committed without its parts, which `save` never does


def test_a_run_that_fails_halfway_leaves_nothing(place: str, monkeypatch: pytest.MonkeyPatch):
    """
    An error after the run's row and before its parts undoes the row, and the store goes on working.
    """
    with open_store(place) as store:
        store.save(record(1))
        monkeypatch.setattr(store_module, "NEW_PART", "insert into looprig_no_such_table values (:run_id)")
        with pytest.raises(StoreError):
            store.save(record(2))
        monkeypatch.undo()

        assert [1] == [run.id for run in store.runs()]
        assert record(3) == store.load(store.save(record(3)))


# ---------------------------------------------------------------------------------------------------------------------
# Versions


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_older_versions_open(tmp_path: Path, version: int):
    """
    A file of every version that ever was is brought up to date, with every run as it was.
    """
    path = tmp_path / "history.db"
    connection = sqlite3.connect(path)
    connection.executescript((VERSIONS / f"{version}.sql").read_text())
    connection.close()

    with open_store(path) as store:
        assert [record(1), record(2)] == [store.load(run.id) for run in store.runs()]
        assert 3 == store.save(record(3))
        assert schema.VERSION == store._database.version()


def test_every_step_is_tested():
    """
    Each version has a file, so that none can be forgotten.
    """
    assert [f"{version}.sql" for version in range(1, schema.VERSION + 1)] == sorted(
        path.name for path in VERSIONS.glob("*.sql")
    )


def test_a_step_is_taken_once_and_as_a_whole(place: str, monkeypatch: pytest.MonkeyPatch):
    """
    A further step keeps every run; one that fails leaves the version before it, in working order.
    """
    with open_store(place) as store:
        store.save(record(1))
    good = ("alter table looprig_run add column note text",)
    bad = ("alter table looprig_run add column other text", "update looprig_no_such_table set a = 1")

    def released(*steps: Sequence[str]) -> None:
        monkeypatch.setattr(store_module, "MIGRATIONS", (*schema.MIGRATIONS, *steps))
        monkeypatch.setattr(store_module, "VERSION", schema.VERSION + len(steps))

    released(good, bad)
    with pytest.raises(StoreError):
        open_store(place)
    released(good)
    with open_store(place) as store:
        with store._database.reading():
            assert schema.VERSION + 1 == store._database.version()
        assert record(1) == store.load(1)
    with open_store(place) as store:  # and the step is not taken again
        assert 2 == store.save(record(2))


def test_newer_version(place: str, monkeypatch: pytest.MonkeyPatch):
    """
    A store of a newer looprig is refused and left alone.
    """
    open_store(place).close()
    monkeypatch.setattr(store_module, "VERSION", schema.VERSION - 1)

    with pytest.raises(StoreForeign, match=f"version {schema.VERSION}, .* a newer looprig made it"):
        open_store(place)


# ---------------------------------------------------------------------------------------------------------------------
# What can be wrong with a place


def test_no_store_yet(tmp_path: Path):
    """
    Who only wants to read is told that there is nothing yet, and nothing is made.
    """
    with pytest.raises(StoreMissing, match=r"no history yet at .*; `looprig run` keeps every run there"):
        open_store(tmp_path / "x" / "history.db", make=False)
    assert [] == list(tmp_path.iterdir())


def test_another_programs_file(tmp_path: Path):
    """
    Another program's database is not touched.
    """
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("create table mine (a)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreForeign, match="is a database of another program"):
        open_store(path)
    assert before == path.read_bytes()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_text("# Notes\n" * 200), "is damaged: file is not a database"),
        (lambda path: path.mkdir(), "cannot be opened: unable to open database file"),
        (lambda path: path.parent.joinpath("file").write_text(""), None),
    ],
    ids=["a text", "a folder", "fine"],
)
def test_odd_places(tmp_path: Path, make, said: str | None):
    """
    What cannot be a store is refused in one line that names it.
    """
    path = tmp_path / "history.db"
    make(path)

    if said is None:
        open_store(path).close()
        return
    with pytest.raises(StoreError, match=said) as caught:
        open_store(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_a_file(tmp_path: Path):
    """
    A folder that cannot be made is named, with the way out.
    """
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"cannot be made: .*; name another file with --store FILE"):
        open_store(tmp_path / "file" / "history.db")


def test_busy(tmp_path: Path):
    """
    A store that another process writes to for long is said to be busy, not damaged.
    """
    from looprig.store.sqlite import SQLite

    path = tmp_path / "history.db"
    open_store(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("begin immediate")
    store = store_module.Store(SQLite(path, wait_s=0.05))

    with pytest.raises(StoreError, match="locked; another process has been writing") as caught:
        store.save(record(1))
    assert not isinstance(caught.value, StoreDamaged)
    other.execute("rollback")
    other.close()
    assert 1 == store.save(record(1))
    store.close()


def test_full_disk(tmp_path: Path):
    """
    A run that does not fit is refused as a whole, and the runs before it stay.
    """
    with open_store(tmp_path / "history.db") as store:
        store.save(record(1))
        store._database.change("pragma max_page_count = 12")
        with pytest.raises(StoreError, match=r"cannot be written: .* full; look at the disk"):
            store.save(record(2, parts=50))

        assert [record(1)] == [store.load(run.id) for run in store.runs()]


def test_every_commit_is_synced(tmp_path: Path):
    """
    Write-ahead log, synchronous FULL: what is acknowledged is on the disk, and not only out of the process.
    """
    with open_store(tmp_path / "history.db") as store:
        assert [("wal",)] == list(store._database.rows("pragma journal_mode"))
        assert [(2,)] == list(store._database.rows("pragma synchronous"))


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://u:secret@h/d", "begins with postgresql://, not with mysql://"),
        ("postgresql://u:secret@127.0.0.1:1/d", "cannot be opened: .*(refused|failed)"),
        ("postgresql://u:secret@h:port/d", "address must read postgresql://USER@HOST:PORT/DATABASE"),
    ],
)
def test_odd_addresses(address: str, said: str):
    """
    An address that leads nowhere is refused in one line, without its password.
    """
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match=said) as caught:
        open_store(address)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_the_extra(tmp_path: Path):
    """
    A server's address without the packages for it names the extra; a file needs none of them.
    """
    code = (
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from looprig.store import open_store, StoreError\n"
        "open_store('history.db').close()\n"
        "try: open_store('postgresql://u@h/d')\n"
        "except StoreError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=os.environ)

    assert "a store on PostgreSQL needs further packages: pip install 'looprig[postgres]'\n" == done.stdout


def test_start_up_loads_no_server_packages():
    """
    Whoever keeps runs in a file does not pay for SQLAlchemy.
    """
    code = "import sys, looprig.store; assert not {'sqlalchemy', 'psycopg'} & set(sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", code]).returncode


@pytest.mark.parametrize(
    ("params", "seeds", "clock", "tokens", "said"),
    [
        ({}, [1], "virtual", "estimate", "seed 1"),
        ({"b": 2, "a": "x"}, range(1, 201), "virtual", "estimate", "a=x b=2 seeds 1-200"),
        ({}, [1, 3], "real", "o200k", "seeds 1,3 real time tokens by o200k"),
    ],
)
def test_setup(params, seeds: Sequence[int], clock: str, tokens: str, said: str):
    """
    A setup reads as what a user typed.
    """
    assert said == setup_of(params, list(seeds), clock, tokens)


def test_machine_key():
    """
    What makes times comparable is in the key; nothing known is no machine at all.
    """
    machine: dict[str, str | int] = {
        "python": "3.11.7",
        "implementation": "CPython",
        "system": "Linux",
        "processor": "x86_64",
        "cores": 2,
    }
    assert "CPython 3.11, Linux, x86_64, EPYC, 2 cores" == machine_key({**machine, "cpu": "EPYC"})
    assert "" == machine_key({})


def test_version_that_cannot_be(tmp_path: Path):
    """
    A version below nothing, which only damage writes, is damage.
    """
    path = tmp_path / "history.db"
    open_store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("pragma user_version = -7")
    connection.close()

    with pytest.raises(StoreDamaged, match="its version is -7"):
        open_store(path)
