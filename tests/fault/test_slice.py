"""A slice of make chaos: a minute and a half of faults.  The seed is always the
same, so that a run fails for what was changed; make chaos draws its own."""

import os

import pytest

from chaos import Chaos
from nemesis import DECK, plan

FAULTS = len(DECK)
SLICE_S = int(os.environ.get("SYNQ_TEST_FAULT_S", "90"))
RATE = 80


def test_a_plan_follows_from_its_seed():
    assert plan(7, 40) == plan(7, 40)
    assert plan(7, 40) != plan(8, 40)
    # A longer run begins like a shorter one, up to the pair at its end.
    assert plan(7, 40)[:20] == plan(7, 80)[:20]


def test_a_plan_deals_the_whole_deck():
    faults = [fault for one in plan(3, len(DECK)) for fault in one]

    assert [fault.number for fault in faults] == list(range(len(DECK)))
    assert {fault.kind for fault in faults} == {
        "kill", "stop", "restart", "scale", "disk", "clock",
        "latency", "cut", "blackhole", "slice", "half"}


@pytest.mark.timeout(480)
def test_a_slice_of_faults_breaks_no_promise():
    seed = int(os.environ.get("SYNQ_TEST_SEED", "4"))
    lines = []

    def tell(line):
        lines.append(line)
        print(line, flush=True)

    chaos = Chaos(FAULTS, seed, RATE, SLICE_S, tell)

    assert chaos.run(), "\n".join(lines[-40:])
    assert chaos.nemesis.done >= 3
    assert chaos.verdict.figures["accepted"] > 1000
