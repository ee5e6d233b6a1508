"""Thousands of jobs of many organizations through two of everything: each
ends with one result, and all books agree.

SYNQ_TEST_JOBS sets how many (20,000), SYNQ_TEST_ORGANIZATIONS of whom (64).
"""

import os

import pytest

from crowd import Books, Crowd
from system import System

JOBS = int(os.environ.get("SYNQ_TEST_JOBS", "20000"))
ORGANIZATIONS = int(os.environ.get("SYNQ_TEST_ORGANIZATIONS", "64"))


@pytest.fixture(scope="module")
def pair():
    """Two intakes, two dispatchers, two recorders."""
    with System({"fast": "lat=1-20"}) as system:
        for program in ("intake", "dispatcher", "recorder"):
            system.scale(program, 2)
        system.organizations = [
            system.organization(f"org {n}") for n in range(ORGANIZATIONS)]
        yield system


@pytest.mark.timeout(240)
def test_every_job_ends_once_and_the_books_agree(pair):
    crowd = Crowd(pair.ports, pair.organizations, JOBS, "fast", keyed=False)
    crowd.run()
    print(f"{JOBS} jobs in {crowd.submitted_s:.1f} of {crowd.took_s:.1f} s, repeated: {dict(crowd.repeated)}")

    books = Books(pair, crowd)
    books.check_all_succeeded_once()
    books.check_calls_are_on_record()
    assert books.repeats() == 0
    assert books.unsent() == set()
    assert set(crowd.repeated) <= {202}, "nothing was to be refused"
    assert {row[2] for row in books.attempts.values()} == {"succeeded"}
    assert [row["restarts"] for row in pair.processes()] == [0] * 9
