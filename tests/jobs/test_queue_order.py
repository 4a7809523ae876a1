"""Who is next: priority, age, limits."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from jobs.queue_order import (
    HIGHEST_PRIORITY,
    Limits,
    Obstacle,
    Places,
    Waiting,
    choose,
    effective_priority,
    in_order,
    obstacle,
)

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
LIMITS = Limits(5, 2, 3, has_teams=True, ageing_minutes=6)


def waiting(
    pk: int, base: int = 10, age_minutes: float = 0.0, owner: int | None = None, team: int | None = None
) -> Waiting:
    queued_at = NOON - timedelta(minutes=age_minutes)
    return Waiting(pk=pk, job_pk=pk, base=base, queued_at=queued_at, owner_id=owner, team_id=team, provider="replicate")


def order(*entries: Waiting) -> list[int]:
    return [entry.pk for entry in in_order(entries, NOON, 6)]


def test_higher_priority_goes_first_and_then_the_older_one() -> None:
    assert order(waiting(1), waiting(2, base=20), waiting(3, age_minutes=1)) == [2, 3, 1]


def test_waiting_raises_by_one_in_so_many_minutes_up_to_the_highest() -> None:
    ages = {0: 10, 5.9: 10, 6: 11, 60: 20, 120: 30, 100_000: 30}
    for minutes, expected in ages.items():
        assert effective_priority(10, NOON - timedelta(minutes=minutes), NOON, 6) == expected


def test_clock_that_was_set_back_takes_no_priority_away() -> None:
    assert effective_priority(10, NOON + timedelta(hours=2), NOON, 6) == 10


def test_old_low_priority_passes_a_new_high_one_in_the_end() -> None:
    assert order(waiting(1, base=0, age_minutes=180), waiting(2, base=30)) == [1, 2]


@given(
    base=st.integers(0, HIGHEST_PRIORITY),
    ageing=st.integers(1, 60),
    newcomers=st.lists(st.tuples(st.integers(0, HIGHEST_PRIORITY), st.floats(0, 5000)), max_size=40),
)
def test_nobody_starves(base: int, ageing: int, newcomers: list[tuple[int, float]]) -> None:
    """After as many steps as there are priorities, nobody who came later goes first, however high they stand."""
    patience = timedelta(minutes=ageing * (HIGHEST_PRIORITY + 1))
    patient = Waiting(pk=1, job_pk=1, base=base, queued_at=NOON - patience)
    late = [
        Waiting(pk=pk, job_pk=pk, base=base, queued_at=patient.queued_at + timedelta(seconds=1 + seconds))
        for pk, (base, seconds) in enumerate(newcomers, start=2)
    ]
    assert in_order([*late, patient], NOON, ageing)[0] is patient


@given(
    entries=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from([None, 1, 2, 3]), st.sampled_from([None, 7, 8])), max_size=30
    ),
    held=st.lists(st.tuples(st.sampled_from([None, 1, 2, 3]), st.sampled_from([None, 7, 8])), max_size=8),
    total=st.integers(1, 8),
    own=st.integers(1, 4),
    team=st.integers(1, 4),
)
def test_no_limit_is_passed_and_no_place_is_left_to_who_could_have_it(
    entries: list[tuple[int, int | None, int | None]],
    held: list[tuple[int | None, int | None]],
    total: int,
    own: int,
    team: int,
) -> None:
    limits = Limits(total, own, team, has_teams=True, ageing_minutes=6)
    places = Places()
    for owner_id, team_id in held:
        places.give(owner_id, team_id)
    before = (places.total, dict(places.owners), dict(places.teams))
    ordered = in_order((waiting(pk, base, 0, *who) for pk, (base, *who) in enumerate(entries)), NOON, 6)
    chosen = choose(ordered, places, limits)
    assert places.total <= max(total, before[0])
    assert all(count <= max(own, before[1].get(owner, 0)) for owner, count in places.owners.items())
    assert all(count <= max(team, before[2].get(name, 0)) for name, count in places.teams.items())
    left = [entry for entry in ordered if entry not in chosen]
    assert all(obstacle(entry, places, limits) is not None for entry in left)


def test_job_at_its_owners_limit_holds_up_nobody_behind_it() -> None:
    places = Places()
    entries = in_order([waiting(pk, owner=1, age_minutes=9) for pk in (1, 2, 3)] + [waiting(4, owner=2)], NOON, 6)
    assert [entry.pk for entry in choose(entries, places, LIMITS)] == [1, 2, 4]
    assert obstacle(entries[2], places, LIMITS) is Obstacle.OWNER


def test_team_counts_only_with_fair_share() -> None:
    entries = [waiting(pk, owner=pk, team=7) for pk in range(1, 6)]
    assert len(choose(entries, Places(), LIMITS)) == 3
    without = Limits(5, 2, 3, has_teams=False, ageing_minutes=6)
    assert len(choose(entries, Places(), without)) == 5


def test_provider_that_is_being_tried_gets_one_job_and_one_that_rests_none() -> None:
    entries = [waiting(1, owner=1), waiting(2, owner=2)]
    assert len(choose(entries, Places(doors={"replicate": 1}), LIMITS)) == 1
    assert choose(entries, Places(doors={"replicate": 0}), LIMITS) == []
