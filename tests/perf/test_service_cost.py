"""What a loop costs as a service: the smoke size in every run, the full size with ``-m perf``."""

from __future__ import annotations

import pytest

from tests.perf import service
from tests.perf.service import Sizes

SMOKE, FULL = Sizes(turns=20, streams=3, sessions=3, rounds=1), Sizes()


@pytest.mark.parametrize("part", sorted(service.PARTS))
def test_smoke(part: str):
    """
    Each part measures what it says, on servers that end with it; so little work says nothing about ratios.
    """
    found = service.PARTS[part](SMOKE)

    assert found.targets[0].measured.split()[0].replace(".", "").lstrip("-").isdigit()
    assert found.tables


@pytest.mark.perf
@pytest.mark.parametrize("part", sorted(service.PARTS))
def test_targets(part: str):
    """
    A turn costs at most three times as much served, tokens are relayed at half the rate of a bare stream or better,
    and a session with 300 messages takes at most 100 kB.
    """
    found = service.PARTS[part](FULL)

    assert all(target.holds for target in found.targets), found
