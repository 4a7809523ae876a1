"""The short form of ``make chaos``: half a minute of faults against the whole system. docs/testing.md tells of both."""

import os

import pytest

from tests.chaos import schedule
from tests.chaos.run import run
from tests.chaos.system import SQLITE

SEED = 1
SECONDS = 25.0


# It waits for real processes, and the machine may be busy with the rest of the suite.
@pytest.mark.timeout(240)
def test_whole_system_is_never_wrong_and_loses_nothing_under_half_a_minute_of_faults() -> None:
    report = run(schedule.make(SEED, SECONDS), database=os.environ.get("TEST_DATABASE", SQLITE), say=print)
    assert report.is_good, report.to_text()
