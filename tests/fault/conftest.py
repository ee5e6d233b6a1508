import subprocess

import pytest

from stub import ROOT


@pytest.fixture(scope="session", autouse=True)
def tools():
    subprocess.run(["make", "-s", "-C", str(ROOT), "fault-programs"], check=True, timeout=300)
