"""Hardware profiles: SimpleTuner's names, the trainer models and the machines that are billed."""

from datetime import UTC, datetime

import pytest

from providers.profiles import PROFILES, find_profile
from providers.replicate.mapping import snapshot


@pytest.mark.parametrize("profile_id", PROFILES["replicate"])
def test_a_profiles_hardware_is_what_its_trainers_jobs_are_billed_as(profile_id: str) -> None:
    profile = PROFILES["replicate"][profile_id]
    payload = {"id": "abcdefghijklmnopqrstuvwxyz", "status": "starting", "model": profile.model}
    assert snapshot(payload, as_of=datetime(2026, 11, 1, tzinfo=UTC)).hardware == profile.hardware


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, "h100"),
        ("", "h100"),
        ("L40S", "l40s"),
        ("h100_x2", "h100-x2"),
        ("1xh100", "h100"),
        ("l40s-x1", "l40s"),
        ("advanced-trainer-l40s-x8", "l40s-x8"),
    ],
)
def test_profiles_are_understood_as_people_write_them(written: str | None, meant: str) -> None:
    assert find_profile("replicate", written).profile_id == meant


@pytest.mark.parametrize("written", ["a100", "h100-x3", "h100; drop"])
def test_an_unknown_profile_is_refused_with_those_that_there_are(written: str) -> None:
    with pytest.raises(ValueError, match=r"known: h100, h100-x2"):
        find_profile("replicate", written)
