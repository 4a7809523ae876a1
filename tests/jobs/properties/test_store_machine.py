"""Poll, list and webhook facts make one row, whatever comes late, twice, garbled or never (SPEC B2)."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.jobs.properties.machine import FactsMachine, StoreMachine

pytestmark = pytest.mark.django_db


def run(machine: type[FactsMachine], *, share: float) -> None:
    """Try some of as many histories as the profile allows."""
    examples = int(settings().max_examples * share)
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=10))


def test_facts_in_any_order_make_one_row_with_an_unbroken_history() -> None:
    run(FactsMachine, share=0.4)


def test_store_is_never_wrong_whoever_brings_the_facts_and_whatever_fails() -> None:
    run(StoreMachine, share=0.5)
