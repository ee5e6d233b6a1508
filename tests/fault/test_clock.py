"""A dispatcher's clock that is set, while its provider tells it to wait: what
was taken from the new clock before the step was noticed must not wait for as
long as the step."""

import random
import time

import pytest

from crowd import uuid_of
from system import wait_for
from traffic import Traffic, with_result
from world import World

STEPS = 6
HOUR_S = 3600


@pytest.fixture
def world():
    with World({"fast": "cut=0.2:429=0.002:ra=1"}) as one:
        one.organizations = [one.organization(f"org {n}") for n in range(16)]
        yield one


@pytest.mark.timeout(180)
def test_a_clock_that_is_set_and_set_back_holds_nothing_up(world):
    rand = random.Random(1)
    with Traffic([world.client_ports["intake-1"]], world.organizations, pause_s=0.005) as traffic:
        for _ in range(STEPS):
            time.sleep(0.5 + rand.random() / 2)
            world.switches.step_clock("dispatcher-1", HOUR_S)
            time.sleep(0.5 + rand.random() / 2)
            world.switches.step_clock("dispatcher-1", 0)
        time.sleep(1)

    accepted = {uuid_of(one) for one in traffic.accepted()}
    assert len(accepted) > 500
    wait_for(f"{len(accepted)} have a result", 60,
             lambda: len(with_result(world, accepted)) == len(accepted), 0.3)
