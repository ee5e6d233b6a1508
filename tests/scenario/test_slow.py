"""Thousands of slow connections do not slow a good client.  This is a slice:
tests/bench/slow/run measures ten thousand against its bound."""

import itertools
import time

import pytest

import slow
from proc import Process
from system import wait_for

COUNT = 2000
# The machine's own noise is far above what they cost; a server that walked its
# connections, or waited for one of them, would be far above this, and each time.
GENEROUS = 3
LEAST_US = 3000
TIMES = 3


@pytest.fixture(scope="module")
def row(system):
    return min(system.processes("intake"), key=lambda one: one["name"])


@pytest.fixture(scope="module")
def port(row):
    return row["port"]


@pytest.fixture(scope="module")
def intake(row):
    return Process(row["pid"])


def test_slow_connections_slow_nobody(intake, port, organization):
    def bad():
        cost = slow.measure(port, organization.key, COUNT, rounds=3, requests=1000)
        within = all(cost.median("with", part)
                     <= max(cost.median("without", part) * GENEROUS, LEAST_US)
                     for part in (0.5, 0.99))
        return None if within else cost.rounds

    seen = list(itertools.takewhile(bool, (bad() for _ in range(TIMES))))
    assert len(seen) < TIMES, seen
    intake.check_alive()


def test_slow_connections_cost_little_and_leave_nothing(intake, port, organization):
    """A connection is a few kilobytes, and gone when it is gone."""
    with slow.Crowd(port, organization.key, COUNT):
        time.sleep(1)
    wait_for("they are gone", 20, lambda: intake.descriptors() < 500)
    memory_kib, descriptors = intake.memory_kib(), intake.descriptors()

    with slow.Crowd(port, organization.key, COUNT):
        wait_for("they are there", 20, lambda: intake.descriptors() > COUNT * 0.9)
        assert intake.memory_kib() - memory_kib <= COUNT * 8
    wait_for("they are gone", 20, lambda: intake.descriptors() <= descriptors + 5)
    assert intake.memory_kib() <= memory_kib + 2048
    intake.check_alive()


def test_idle_connections_take_no_time(intake, port, organization):
    """The processor time of an intake that only holds them: next to none."""
    with slow.Crowd(port, organization.key, COUNT, drip_s=1000):
        wait_for("they are there", 20, lambda: intake.descriptors() > COUNT * 0.9)
        time.sleep(1)
        before = intake.processor_s()
        time.sleep(3)
        took = intake.processor_s() - before

    assert took < 0.3, f"{took} s of processor time in 3 s"
