import itertools

import httpx
import pytest

pytest.register_assert_rewrite("crowd", "jobs", "proc", "slow", "traffic", "wire")

from system import System  # noqa: E402

# What the stub does under each name.
MODELS = {
    "fast": "lat=1",
    "acme/nested-model": "lat=1",
    "slow": "lat=3000",
    "later": "lat=500",
    "large": "lat=1:pad=200000",
    "huge": "lat=1:pad=1990000",
    "broken": "err=1:status=500",
    "refuses": "err=1:status=400",
    "unprocessable": "err=1:status=422",
    "locked": "err=1:status=401",
    "limited": "429=1:ra=1",
    "sometimes": "429=0.3:ra=1:lat=1",
    "cut": "cut=1",
    "cut-body": "cutbody=1",
}
numbers = itertools.count(1)


# Those that start installations of their own.
OWN = ("test_cut_log", "test_kill", "test_rebalance", "test_run", "test_stores",
       "test_straggler")


def pytest_addoption(parser):
    parser.addoption("--worlds", choices=("own", "common"), help=(
        "only tests with installations of their own, or only the others"))


def pytest_collection_modifyitems(config, items):
    """The common installation stays until the end: it does not run beside
    those that some tests have for themselves."""
    parts = {"own": [], "common": []}
    for item in items:
        parts["own" if item.module.__name__ in OWN else "common"].append(item)
    wanted = config.getoption("worlds")
    items[:] = parts["own"] + parts["common"] if wanted is None else parts[wanted]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if outcome.get_result().failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, System):
                value.failed = True


@pytest.fixture(scope="session")
def system():
    with System(MODELS) as one:
        one.scale("intake", 2)
        yield one


@pytest.fixture(scope="module")
def organization(system):
    """One that nobody else uses, for each module."""
    return system.organization(f"scenario {next(numbers)}")


@pytest.fixture(scope="module")
def stranger(system):
    """Another one."""
    return system.organization(f"stranger {next(numbers)}")


def client(url, key):
    return httpx.Client(
        base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60)


@pytest.fixture(scope="module")
def api(system, organization):
    with client(system.urls[0], organization.key) as one:
        yield one


@pytest.fixture(scope="module")
def other_api(system, organization):
    """The same organization at the other intake."""
    with client(system.urls[1], organization.key) as one:
        yield one


@pytest.fixture(scope="module")
def strange_api(system, stranger):
    with client(system.urls[0], stranger.key) as one:
        yield one
