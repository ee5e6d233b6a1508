import subprocess

import pytest

from stub import ROOT


# What would take a busy machine for a fault.
ALONE = ("test_slice",)


def pytest_addoption(parser):
    parser.addoption("--worlds", choices=("alone", "beside"), help=(
        "only tests that have the machine to themselves, or only the others"))


def pytest_collection_modifyitems(config, items):
    wanted = config.getoption("worlds")
    if wanted is not None:
        items[:] = [item for item in items
                    if (item.module.__name__ in ALONE) == (wanted == "alone")]


@pytest.fixture(scope="session", autouse=True)
def tools():
    subprocess.run(["make", "-s", "-C", str(ROOT), "fault-programs"], check=True, timeout=300)
