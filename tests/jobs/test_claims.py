"""Jobs that were started elsewhere: whose they become, and what bills without an owner (jobs.services.claiming)."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from jobs.access import CANCEL_ALL, MANAGE_ACCOUNTS, RESEARCHER, VIEW_ALL, VIEW_OWN, Actor
from jobs.models import AuditEntry, Membership, Team, UnifiedJob
from jobs.presentation.unclaimed import unclaimed_strip
from jobs.services import claiming
from jobs.services.actors import owner_actor
from jobs.services.lookup import InvalidState, JobNotFound
from tests.conftest import MakeJob

pytestmark = pytest.mark.django_db

H100_PER_HOUR = Decimal("0.001525") * 3600


def user(name: str, *permissions: str, team: str = "") -> Actor:
    account = get_user_model().objects.create_user(name)
    if team:
        Membership.objects.create(user=account, team=Team.objects.get_or_create(name=team)[0])
    return Actor(account.pk, name, frozenset(permissions) | {VIEW_OWN}, "session")


def lead(name: str = "lead", **arguments: str) -> Actor:
    return user(name, VIEW_ALL, CANCEL_ALL, **arguments)


def known(job: UnifiedJob) -> UnifiedJob:
    job.refresh_from_db()
    return job


def test_claimed_job_is_its_claimers_and_their_teams(make_job: MakeJob) -> None:
    job, actor = make_job(ignored_at=timezone.now()), lead(team="blue")
    claiming.claim_job(actor, job.job_id)
    assert known(job).owner_id == actor.user_id
    assert job.team is not None
    assert (job.team.name, job.ignored_at) == ("blue", None)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.details) == ("job.claim", {"owner": "lead"})


def test_who_comes_second_is_told_and_who_asks_twice_is_not(make_job: MakeJob) -> None:
    job, first, second = make_job(), lead("first"), lead("second")
    for _ in range(2):
        claiming.claim_job(first, job.job_id)
    with pytest.raises(InvalidState, match="somebody else"):
        claiming.claim_job(second, job.job_id)
    assert known(job).owner_id == first.user_id
    assert AuditEntry.objects.count() == 1


def test_job_is_claimed_for_another_by_leads_and_by_who_manages_accounts(make_job: MakeJob) -> None:
    worker = user("worker", *RESEARCHER)
    for actor in (lead(), user("clerk", VIEW_ALL, MANAGE_ACCOUNTS)):
        job = claiming.claim_job(actor, make_job().job_id, user="worker")
        assert job.owner_id == worker.user_id
    with pytest.raises(claiming.UnknownUser, match="'nobody'"):
        claiming.claim_job(lead("another"), make_job().job_id, user="nobody")


def test_unclaimed_jobs_are_not_there_for_whoever_sees_only_their_own(make_job: MakeJob) -> None:
    job = make_job()
    for act in (claiming.claim_job, claiming.ignore_job, claiming.unignore_job):
        with pytest.raises(JobNotFound):
            act(user(f"r-{act.__name__}", *RESEARCHER), job.job_id)
        with pytest.raises(PermissionDenied):
            act(user(f"v-{act.__name__}", VIEW_ALL), job.job_id)
    assert known(job).owner_id is None
    assert set(AuditEntry.objects.values_list("outcome", flat=True)) == {"refused"}


def test_ignored_job_is_not_warned_of_until_it_is_watched_again(make_job: MakeJob) -> None:
    job, actor = make_job(), lead()
    now = timezone.now()
    assert claiming.unclaimed_cost(actor, now) is not None
    claiming.ignore_job(actor, job.job_id)
    assert claiming.unclaimed_cost(actor, now) is None
    claiming.unignore_job(actor, job.job_id)
    assert claiming.unclaimed_cost(actor, now) is not None
    assert known(job).status == "running"


@pytest.mark.parametrize("fields", [{"origin": "submitted"}, {"owner": True}])
def test_job_that_belongs_here_cannot_be_ignored(make_job: MakeJob, fields: dict[str, Any]) -> None:
    if "owner" in fields:
        fields = {"owner_id": user("someone").user_id}
    with pytest.raises(InvalidState):
        claiming.ignore_job(lead(), make_job(**fields).job_id)


def test_what_bills_without_an_owner_is_counted_and_priced(make_job: MakeJob) -> None:
    for hardware in ("gpu-h100", "gpu-h100", None):
        make_job(hardware_type=hardware, started_at=timezone.now() - timedelta(hours=1))
    make_job(status="queued")
    make_job(status="completed")
    make_job(ignored_at=timezone.now())
    make_job(owner_id=lead("other").user_id)
    make_job(origin="submitted")
    found = claiming.unclaimed_cost(lead(), timezone.now())
    assert found is not None
    assert (found.count, found.unpriced, found.providers) == (3, 1, ("replicate",))
    assert found.usd_per_hour == 2 * H100_PER_HOUR
    assert claiming.unclaimed_cost(user("worker", *RESEARCHER), timezone.now()) is None


def test_many_are_claimed_at_once_and_no_others(make_job: MakeJob) -> None:
    actor, other = lead(), lead("other")
    shown = [make_job() for _ in range(3)]
    taken, later = make_job(owner_id=other.user_id), make_job()
    assert claiming.claim_jobs(actor, [job.job_id for job in (*shown, taken)] + ["nope"]) == 3
    assert {known(job).owner_id for job in shown} == {actor.user_id}
    assert (known(taken).owner_id, known(later).owner_id) == (other.user_id, None)
    assert AuditEntry.objects.filter(action="job.claim").count() == 3
    with pytest.raises(PermissionDenied):
        claiming.claim_jobs(user("onlooker", VIEW_ALL), [later.job_id])


def test_strip_tells_what_bills_and_goes_with_one_press(client: Client, make_job: MakeJob) -> None:
    jobs = [make_job(hardware_type="gpu-h100") for _ in range(2)]
    make_job(status="completed")
    words = "2 jobs at Replicate are billing and nobody here claims them (≈ $10.98/h)."
    for address in ("/", "/fragments/notices", f"/jobs/{jobs[0].job_id}", "/spend"):
        html = client.get(address).content.decode()
        assert words in html
        assert "strip-info" in html
    client.post("/unclaimed/claim", {"job_id": [job.job_id for job in jobs]})
    assert {known(job).owner_id for job in jobs} == {owner_actor().user_id}
    assert "nobody here claims" not in client.get("/").content.decode()
    make_job(hardware_type=None)
    assert (
        "1 job at Replicate is billing and nobody here claims it (at a price that is not known)."
        in client.get("/fragments/notices").content.decode()
    )


def test_strip_is_put_away_for_a_day_and_only_by_a_form(client: Client, make_job: MakeJob) -> None:
    make_job()
    client.get("/unclaimed/snooze")
    assert "nobody here claims" in client.get("/").content.decode()
    answer = client.post("/unclaimed/snooze", {"next": "https://evil.example/"})
    assert answer.headers["Location"] == "/"
    assert answer.cookies["unclaimed_snoozed"]["max-age"] == 86_400
    assert "nobody here claims" not in client.get("/").content.decode()
    assert "Needs attention" in client.get("/").content.decode()


def test_strip_is_a_warning_where_several_share_an_account(make_job: MakeJob, settings: Settings) -> None:
    make_job()
    settings.SINGLE_USER = False
    strip = unclaimed_strip(lead(), is_snoozed=False)
    assert strip is not None
    assert (strip.is_warning, strip.can_claim) == (True, True)
    onlooker = unclaimed_strip(user("onlooker", VIEW_ALL), is_snoozed=False)
    assert onlooker is not None
    assert onlooker.can_claim is False


def test_list_shows_what_is_unclaimed_and_active(client: Client, make_job: MakeJob) -> None:
    wanted = make_job(config_name="wanted")
    make_job(config_name="owned-run", owner_id=owner_actor().user_id)
    make_job(config_name="over", status="failed")
    html = client.get("/?attention=unclaimed&status=failed").content.decode()
    assert "wanted" in html
    assert "owned-run" not in html
    assert "over</bdi>" not in html
    assert 'Unclaimed <span class="chip-count">1<' in html
    claiming.ignore_job(owner_actor(), wanted.job_id)
    html = client.get("/").content.decode()
    assert "Unclaimed <span" not in html
    assert "There is no filter “sleepy”" in client.get("/?attention=sleepy").content.decode()
    assert "No job matches" in client.get("/?attention=unclaimed").content.decode()


def test_job_page_offers_to_claim_or_ignore_what_is_nobodys(client: Client, make_job: MakeJob) -> None:
    job = make_job()
    page = f"/jobs/{job.job_id}"
    assert f'action="{page}/claim"' in client.get(page).content.decode()
    client.post(f"{page}/ignore")
    assert f'action="{page}/unignore"' in client.get(page).content.decode()
    client.post(f"{page}/unignore")
    client.post(f"{page}/claim")
    html = client.get(page).content.decode()
    assert known(job).owner_id == owner_actor().user_id
    assert "/claim" not in html
    assert "/ignore" not in html
