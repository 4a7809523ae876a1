import pytest

from jobs.circuit_breaker import (
    CALLS_WITHOUT_ANSWER,
    CHECK_PAUSE_SECONDS,
    DEFAULT_REST_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LONGEST_REST_SECONDS,
    PROBE_SECONDS,
    REFUSED_PAUSE_SECONDS,
    SHORTEST_PAUSE_SECONDS,
    Breaker,
    BreakerState,
)

NOW = 1_000_000.0


def longest(_low: float, high: float) -> float:
    return high


def shortest(low: float, _high: float) -> float:
    return low


def silent(breaker: Breaker, *, now: float = NOW, subject: str = "") -> Breaker:
    return breaker.after_silence(now, "No answer.", subject=subject, dice=longest)


def opened(now: float = NOW) -> Breaker:
    breaker = Breaker()
    for _ in range(CALLS_WITHOUT_ANSWER):
        breaker = silent(breaker, now=now)
    assert breaker.state is BreakerState.OPEN
    return breaker


def probing(breaker: Breaker, now: float) -> Breaker:
    after = breaker.admit(now)
    assert after is not None
    assert after.state is BreakerState.HALF_OPEN
    return after


def test_it_opens_after_five_calls_in_a_row_without_an_answer() -> None:
    breaker = Breaker()
    for _ in range(CALLS_WITHOUT_ANSWER - 1):
        breaker = silent(breaker)
        assert breaker.admit(NOW) is not None
    breaker = silent(breaker)
    assert (breaker.state, breaker.since, breaker.reason) == (BreakerState.OPEN, NOW, "No answer.")
    assert breaker.admit(NOW) is None


def test_any_answer_between_begins_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(CALLS_WITHOUT_ANSWER - 1):
            breaker = silent(breaker)
        breaker = breaker.after_answer(NOW)
    assert breaker == Breaker()


def test_one_job_that_never_answers_does_not_speak_for_its_provider() -> None:
    breaker = Breaker()
    for _ in range(100):
        breaker = silent(breaker, subject="/v1/trainings/poison")
    assert breaker.state is BreakerState.CLOSED
    assert silent(breaker, subject="/v1/trainings/another").state is BreakerState.OPEN


def test_one_job_that_is_forbidden_does_not_speak_for_the_token() -> None:
    breaker = Breaker()
    for _ in range(100):
        breaker = breaker.after_refusal(NOW, "Forbidden.", subject="/v1/trainings/poison")
    assert breaker.state is BreakerState.CLOSED
    assert breaker.after_refusal(NOW, "Forbidden.", subject="/v1/trainings/b").state is BreakerState.REFUSED


def test_exactly_one_call_tries_when_the_pause_is_over() -> None:
    breaker = opened()
    assert breaker.until is not None
    assert breaker.admit(breaker.until - 0.001) is None
    probe = probing(breaker, breaker.until)
    assert probe.admit(breaker.until + 1) is None
    assert probe.after_answer(breaker.until) == Breaker()


def test_probe_whose_sender_died_is_given_up() -> None:
    breaker = opened()
    probe = probing(breaker, NOW + 100)
    assert probe.admit(NOW + 100 + PROBE_SECONDS - 1) is None
    assert probe.admit(NOW + 100 + PROBE_SECONDS) is not None


def test_pauses_double_up_to_five_minutes_and_the_first_moment_is_remembered() -> None:
    breaker, now, pauses = opened(), NOW, []
    for _ in range(12):
        assert breaker.until is not None
        pauses.append(breaker.until - now)
        now = breaker.until
        breaker = silent(probing(breaker, now), now=now)
    assert pauses[:4] == [5.0, 10.0, 20.0, 40.0]
    assert max(pauses) == pauses[-1] == LONGEST_PAUSE_SECONDS
    assert breaker.since == NOW


def test_jitter_may_shorten_a_pause_to_two_seconds_and_not_to_nothing() -> None:
    breaker = Breaker()
    for _ in range(CALLS_WITHOUT_ANSWER):
        breaker = breaker.after_silence(NOW, "x", subject="", dice=shortest)
    assert breaker.until == NOW + SHORTEST_PAUSE_SECONDS


def test_calls_that_were_under_way_do_not_prolong_the_pause() -> None:
    breaker = opened()
    assert silent(breaker, now=NOW + 3) == breaker


def test_refused_token_is_tried_ever_more_rarely_and_stays_refused() -> None:
    refused = Breaker().after_refusal(NOW, "Refused.", subject="")
    now, pauses = NOW, []
    for _ in range(5):
        assert refused.state is BreakerState.REFUSED
        assert refused.until is not None
        pauses.append(refused.until - now)
        now = refused.until
        assert refused.admit(now - 1) is None
        probe = refused.admit(now)
        assert probe is not None
        assert probe.state is BreakerState.REFUSED
        assert probe.admit(now + 1) is None
        assert probe.after_answer(now) == Breaker()
        refused = probe.after_refusal(now, "Refused.", subject="")
    assert pauses == [120.0, 240.0, 480.0, REFUSED_PAUSE_SECONDS, REFUSED_PAUSE_SECONDS]
    assert refused.since == NOW


def test_calls_that_were_under_way_do_not_prolong_a_refusal() -> None:
    refused = Breaker().after_refusal(NOW, "Refused.", subject="")
    assert refused.after_refusal(NOW + 1, "Refused.", subject="") == refused


def test_person_may_check_a_refused_token_at_once_but_not_again_and_again() -> None:
    refused = Breaker().after_refusal(NOW, "Refused.", subject="")
    later = NOW + CHECK_PAUSE_SECONDS
    assert refused.admit(later) is None
    checked = refused.admit(later, is_check=True)
    assert checked is not None
    assert checked.admit(later + 1, is_check=True) is None
    assert checked.admit(later + CHECK_PAUSE_SECONDS, is_check=True) is not None


def test_person_does_not_disturb_a_probe() -> None:
    assert probing(opened(), NOW + 100).admit(NOW + 101, is_check=True) is None


@pytest.mark.parametrize(
    ("said", "seconds"), [(None, DEFAULT_REST_SECONDS), (7.0, 7.0), (86_400.0, LONGEST_REST_SECONDS)]
)
def test_provider_that_asks_for_rest_gets_it(said: float | None, seconds: float) -> None:
    resting = Breaker().after_slow_down(NOW, said)
    assert resting.admit(NOW + seconds - 0.001) is None
    assert resting.admit(NOW + seconds - 0.001, is_check=True) is None
    assert resting.admit(NOW + seconds) is not None


def test_of_two_rests_the_longer_one_holds_and_an_answer_to_an_earlier_call_ends_none() -> None:
    resting = Breaker().after_slow_down(NOW, 60).after_slow_down(NOW, 5).after_answer(NOW + 1)
    assert resting.admit(NOW + 59) is None
    assert resting.after_answer(NOW + 61) == Breaker()


def test_slow_down_is_a_sign_of_life() -> None:
    assert probing(opened(), NOW + 100).after_slow_down(NOW + 100, 5).state is BreakerState.CLOSED


@pytest.mark.parametrize(
    "breaker",
    [
        Breaker(),
        opened(),
        silent(Breaker(), subject="/v1/trainings/a"),
        Breaker().after_refusal(NOW, "Refused “é”.", subject="").after_slow_down(NOW, 3),
    ],
)
def test_it_survives_being_stored(breaker: Breaker) -> None:
    assert Breaker.from_json(breaker.to_json()) == breaker


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"state": "ajar"}', '{"state": "open", "colour": "red"}'])
def test_what_another_version_stored_holds_nothing_back(text: str) -> None:
    assert Breaker.from_json(text) == Breaker()


def test_breaker_that_holds_nothing_back_is_stored_as_nothing() -> None:
    assert Breaker().to_json() == ""
    assert Breaker.from_json(None) == Breaker.from_json("") == Breaker()
