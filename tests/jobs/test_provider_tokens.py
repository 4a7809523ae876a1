"""Tokens that people store: kept encrypted, used by every process, and never mixed between the stores."""

import dataclasses
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from jobs import token_cipher, waiting_token
from jobs.access import SYSTEM
from jobs.circuit_breaker import BreakerState
from jobs.models import AuditEntry, ProviderCredential
from jobs.presentation.notices import notices
from jobs.services import health, provider_accounts, provider_tokens, sync, token_source
from jobs.services.call_governor import breaker_state
from jobs.services.lookup import InvalidState
from jobs.services.provider_tokens import TokenRefused, TokenSource, set_token, token_standing
from jobs.token_text import last_four
from providers import registry
from providers.errors import ProviderAuthError, ProviderNotConfigured, UnknownProvider
from tests.jobs.conftest import REAL_TOKEN
from tests.sandbox_server import RunningSandbox

pytestmark = pytest.mark.django_db

OTHER_TOKEN = "r8_AnotherTokenThatNobodyKnows0000abcd"


def put_row(token: str = REAL_TOKEN, **fields: object) -> None:
    """Store a token as another process does: this one is not told."""
    ProviderCredential.objects.update_or_create(
        provider="replicate",
        defaults={"ciphertext": token_cipher.encrypt(token), "last_four": last_four(token), **fields},
    )


@pytest.fixture
def later() -> Callable[[], None]:
    """Let so much time pass that every process has looked again."""

    def pass_time() -> None:
        for provider, held in list(token_source._held.items()):
            token_source._held[provider] = dataclasses.replace(held, looked_at=held.looked_at - 2.0)

    return pass_time


# Live


def test_without_a_token_the_live_store_says_everywhere_that_it_is_not_configured(live: RunningSandbox) -> None:
    assert token_standing("replicate").origin is TokenSource.NONE
    with pytest.raises(ProviderNotConfigured, match="no API token is set"):
        sync.discover_jobs("replicate")
    assert [found.is_configured for found in provider_accounts.overviews()] == [False]
    assert provider_accounts.validate("replicate").error == "Replicate is not configured: no API token is set."
    assert "Replicate is not configured: no API token is set." in [notice.message for notice in notices(SYSTEM)]
    assert live.requests()["total"] == 0


def test_token_is_stored_encrypted_and_used_at_once(live: RunningSandbox) -> None:
    with pytest.raises(ProviderNotConfigured):
        registry.get_provider("replicate")
    change = set_token(SYSTEM, "replicate", f" {REAL_TOKEN}\n")
    assert change.last_four == "wxyz"
    assert "••••wxyz" in change.message
    row = ProviderCredential.objects.get()
    assert (row.last_four, row.set_by, str(row)) == ("wxyz", "system", "replicate ••••wxyz")
    assert REAL_TOKEN.encode() not in bytes(row.ciphertext)
    assert registry.get_provider("replicate").account().username
    assert token_standing("replicate") == provider_tokens.TokenStanding(origin=TokenSource.STORED, last_four="wxyz")
    assert health.Health.HEALTHY in [part.status for part in health.report().components if part.name == "replicate"]


def test_everybody_else_uses_a_changed_token_within_two_seconds(
    live: RunningSandbox, later: Callable[[], None]
) -> None:
    put_row(OTHER_TOKEN)
    before = registry.get_provider("replicate")
    with pytest.raises(ProviderAuthError):
        before.account()
    put_row(REAL_TOKEN)
    assert registry.get_provider("replicate") is before
    later()
    after = registry.get_provider("replicate")
    assert after is not before
    assert after.account().username
    ProviderCredential.objects.all().delete()
    later()
    with pytest.raises(ProviderNotConfigured):
        registry.get_provider("replicate")


def test_call_that_is_under_way_ends_with_the_token_that_it_began_with(live: RunningSandbox) -> None:
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    provider = registry.get_provider("replicate")
    set_token(SYSTEM, "replicate", OTHER_TOKEN, check=False)
    assert registry.get_provider("replicate") is not provider
    assert provider.account().username


def test_token_costs_one_query_in_two_seconds(
    live: RunningSandbox, django_assert_num_queries: DjangoAssertNumQueries, later: Callable[[], None]
) -> None:
    put_row()
    with django_assert_num_queries(1):
        for _ in range(50):
            registry.get_provider("replicate")
    later()
    with django_assert_num_queries(1):
        registry.get_provider("replicate")


def test_look_that_began_before_a_change_does_not_bring_the_old_token_back(
    live: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_row(OTHER_TOKEN)
    honest = token_cipher.decrypt

    def slow(ciphertext: bytes) -> str:
        found = honest(ciphertext)
        if found == OTHER_TOKEN:
            set_token(SYSTEM, "replicate", REAL_TOKEN)
        return found

    monkeypatch.setattr(token_source, "decrypt", slow)
    token_source.stored_token("replicate")
    assert token_source.stored_token("replicate") == REAL_TOKEN


def test_known_token_goes_on_while_the_database_is_away(
    live: RunningSandbox, later: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    put_row()
    assert registry.get_token("replicate") == REAL_TOKEN
    later()

    def away(*_: object, **__: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(ProviderCredential.objects, "filter", away)
    assert registry.get_token("replicate") == REAL_TOKEN
    token_source.forget_tokens()
    with pytest.raises(OperationalError):
        registry.get_token("replicate")


def test_refused_token_is_not_stored_and_the_old_one_stays(live: RunningSandbox) -> None:
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    with pytest.raises(TokenRefused, match="Nothing was changed") as caught:
        set_token(SYSTEM, "replicate", OTHER_TOKEN)
    assert OTHER_TOKEN not in str(caught.value)
    assert registry.get_token("replicate") == REAL_TOKEN
    assert breaker_state("replicate").state is BreakerState.CLOSED
    assert [(entry.action, entry.outcome, entry.details) for entry in AuditEntry.objects.order_by("pk")] == [
        ("provider.token.set", "done", {"last_four": "wxyz"}),
        ("provider.token.set", "refused", {"last_four": "abcd"}),
    ]


def test_refused_token_is_stored_for_whoever_wants_no_check(live: RunningSandbox) -> None:
    assert "not checked" in set_token(SYSTEM, "replicate", OTHER_TOKEN, check=False).message
    assert registry.get_token("replicate") == OTHER_TOKEN
    assert live.requests()["total"] == 0


def test_provider_that_cannot_be_asked_does_not_hinder_storing(live: RunningSandbox, settings: Settings) -> None:
    settings.LIVE_PROVIDERS = {"replicate": {"base_url": "http://127.0.0.1:1"}}
    change = set_token(SYSTEM, "replicate", OTHER_TOKEN)
    assert "could not be checked" in change.message
    assert registry.get_token("replicate") == OTHER_TOKEN


def test_new_token_is_tried_at_once_after_the_old_one_was_refused(live: RunningSandbox) -> None:
    set_token(SYSTEM, "replicate", OTHER_TOKEN, check=False)
    with pytest.raises(ProviderAuthError):
        registry.get_provider("replicate").account()
    assert breaker_state("replicate").state is BreakerState.REFUSED
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    assert breaker_state("replicate").state is BreakerState.CLOSED
    assert registry.get_provider("replicate").account().username


def test_token_that_was_refused_is_tried_again_once_it_is_set_again(live: RunningSandbox) -> None:
    set_token(SYSTEM, "replicate", OTHER_TOKEN, check=False)
    with pytest.raises(ProviderAuthError):
        registry.get_provider("replicate").account()
    set_token(SYSTEM, "replicate", OTHER_TOKEN, check=False)
    assert breaker_state("replicate").state is BreakerState.CLOSED


def test_forgotten_token_leaves_the_provider_unasked_and_the_next_start_to_the_sandbox(
    live: RunningSandbox, home: Path
) -> None:
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    assert waiting_token.exists_any(home / "live")
    change = provider_tokens.remove_token(SYSTEM, "replicate")
    assert "••••wxyz" in change.message
    with pytest.raises(ProviderNotConfigured):
        registry.get_provider("replicate")
    assert not waiting_token.exists_any(home / "live")
    assert "No token" in provider_tokens.remove_token(SYSTEM, "replicate").message
    assert AuditEntry.objects.filter(action="provider.token.delete").count() == 1


def test_shared_database_stays_the_live_stores_without_a_token(
    live: RunningSandbox, settings: Settings, home: Path
) -> None:
    settings.EACH_STORE_HAS_ITS_DATABASE = False
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    provider_tokens.remove_token(SYSTEM, "replicate")
    # Else the next start would be the sandbox's, and the database refuse it.
    assert waiting_token.exists_any(home / "live")


def test_environments_token_wins_and_is_changed_there_alone(live: RunningSandbox, settings: Settings) -> None:
    put_row(OTHER_TOKEN)
    settings.PROVIDERS = {"replicate": {"token": REAL_TOKEN, "base_url": live.url}}
    assert registry.get_token("replicate") == REAL_TOKEN
    assert token_standing("replicate") == provider_tokens.TokenStanding(
        origin=TokenSource.ENVIRONMENT, last_four="wxyz"
    )
    with pytest.raises(InvalidState, match="environment"):
        set_token(SYSTEM, "replicate", OTHER_TOKEN)
    with pytest.raises(InvalidState, match="environment"):
        provider_tokens.remove_token(SYSTEM, "replicate")


@pytest.mark.parametrize("key", ["", token_cipher.new_key()], ids=["lost", "another"])
def test_lost_or_wrong_key_leaves_the_provider_not_configured_and_says_why(
    live: RunningSandbox, home: Path, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    (home / "credentials_key").write_text(key) if key else (home / "credentials_key").unlink()
    token_source.forget_tokens()
    provider_tokens.prepare_tokens()
    with pytest.raises(ProviderNotConfigured, match=r"SIMPLETUNER_CREDENTIALS_KEY.*or store the token again"):
        registry.get_provider("replicate")
    standing = token_standing("replicate")
    assert (standing.origin, standing.last_four) == (TokenSource.STORED, "wxyz")
    assert any("cannot be read" in notice.message for notice in notices(SYSTEM))
    assert REAL_TOKEN not in caplog.text
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    assert registry.get_provider("replicate").account().username


def test_key_that_comes_back_heals_it_without_a_restart(
    live: RunningSandbox, home: Path, later: Callable[[], None]
) -> None:
    put_row()
    key = (home / "credentials_key").read_text()
    (home / "credentials_key").unlink()
    assert not registry.is_configured("replicate")
    (home / "credentials_key").write_text(key)
    later()
    assert registry.is_configured("replicate")


def test_start_encrypts_with_the_first_key_so_that_older_ones_can_go(live: RunningSandbox, settings: Settings) -> None:
    old, new = token_cipher.new_key(), token_cipher.new_key()
    settings.CREDENTIALS_KEYS = (old,)
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    settings.CREDENTIALS_KEYS = (new, old)
    provider_tokens.prepare_tokens()
    settings.CREDENTIALS_KEYS = (new,)
    token_source.forget_tokens()
    assert registry.get_token("replicate") == REAL_TOKEN


def test_home_that_cannot_be_written_is_told_and_nothing_is_stored(
    live: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(waiting_token, "mark", full)
    with pytest.raises(InvalidState, match="No space left on device"):
        set_token(SYSTEM, "replicate", REAL_TOKEN)
    assert not ProviderCredential.objects.exists()


@pytest.mark.parametrize("token", ["", "  ", "r8_a b", "r8_é", "r8_\x00", "r8_a\nb", "x" * 513])
def test_what_is_no_token_is_refused_without_being_repeated(live: RunningSandbox, token: str) -> None:
    with pytest.raises(ValueError, match=r"must not be empty|no token has|longer than") as caught:
        set_token(SYSTEM, "replicate", token)
    assert not token.strip() or token not in str(caught.value)
    assert not AuditEntry.objects.exists()


def test_unknown_provider_has_no_token(live: RunningSandbox) -> None:
    with pytest.raises(UnknownProvider):
        set_token(SYSTEM, "nobody", REAL_TOKEN)
    with pytest.raises(UnknownProvider):
        token_standing("nobody")


def test_of_a_short_token_nothing_is_told(live: RunningSandbox) -> None:
    change = set_token(SYSTEM, "replicate", "r8_secret", check=False)
    assert change.last_four == ""
    assert token_standing("replicate").masked == "••••"
    assert AuditEntry.objects.get().details == {"last_four": ""}


# Sandbox


def test_sandbox_keeps_a_real_token_for_the_next_start_and_goes_on(account: RunningSandbox, home: Path) -> None:
    change = set_token(SYSTEM, "replicate", REAL_TOKEN)
    assert "until the next start" in change.message
    assert registry.get_token("replicate") != REAL_TOKEN
    assert not ProviderCredential.objects.exists()
    standing = token_standing("replicate")
    assert (standing.origin, standing.is_waiting, standing.masked) == (TokenSource.STORED, True, "••••wxyz")
    file = home / "live" / "replicate-token.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert REAL_TOKEN not in file.read_text()


def test_sandbox_refuses_a_token_that_the_real_account_refuses(account: RunningSandbox, home: Path) -> None:
    with pytest.raises(TokenRefused):
        set_token(SYSTEM, "replicate", OTHER_TOKEN)
    assert not waiting_token.exists_any(home / "live")


def test_waiting_token_can_be_forgotten(account: RunningSandbox, home: Path) -> None:
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    assert "the sandbox goes on" in provider_tokens.remove_token(SYSTEM, "replicate").message
    assert not waiting_token.exists_any(home / "live")
    assert token_standing("replicate").origin is TokenSource.NONE


def test_sandbox_whose_database_is_the_only_one_takes_no_real_token(
    account: RunningSandbox, settings: Settings
) -> None:
    settings.EACH_STORE_HAS_ITS_DATABASE = False
    with pytest.raises(InvalidState, match="SIMPLETUNER_STORE=live"):
        set_token(SYSTEM, "replicate", REAL_TOKEN)


def test_live_store_takes_in_the_token_that_waited(account: RunningSandbox, settings: Settings, home: Path) -> None:
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    settings.IS_SANDBOX = False
    settings.PROVIDERS = {"replicate": {"token": "", "base_url": account.url}}
    provider_tokens.prepare_tokens()
    assert registry.get_provider("replicate").account().username
    row = ProviderCredential.objects.get()
    assert (row.last_four, row.set_by) == ("wxyz", "system")
    # The fact stays, and selects the live store at every start; the token itself is in the database alone.
    assert (home / "live" / "replicate-token.json").read_text() == "{}"
    provider_tokens.prepare_tokens()
    assert AuditEntry.objects.filter(action="provider.token.adopt").count() == 1


def test_newer_token_of_another_machine_is_kept(live: RunningSandbox, home: Path) -> None:
    waiting_token.keep(
        home / "live",
        "replicate",
        waiting_token.WaitingToken(
            ciphertext=token_cipher.encrypt(OTHER_TOKEN).decode(),
            last_four="abcd",
            set_at=(timezone.now() - timedelta(hours=1)).isoformat(),
            set_by="owner",
        ),
    )
    put_row(REAL_TOKEN)
    provider_tokens.prepare_tokens()
    assert registry.get_token("replicate") == REAL_TOKEN


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"ciphertext": "x"}', "null"])
def test_spoiled_file_hinders_no_start(live: RunningSandbox, home: Path, content: str) -> None:
    (home / "live").mkdir()
    (home / "live" / "replicate-token.json").write_text(content)
    provider_tokens.prepare_tokens()
    assert waiting_token.exists_any(home / "live")
    assert not registry.is_configured("replicate")


def test_token_that_waits_but_cannot_be_read_any_more_hinders_no_start(
    account: RunningSandbox, settings: Settings, home: Path
) -> None:
    set_token(SYSTEM, "replicate", REAL_TOKEN)
    (home / "credentials_key").unlink()
    settings.IS_SANDBOX = False
    settings.PROVIDERS = {"replicate": {"token": "", "base_url": account.url}}
    provider_tokens.prepare_tokens()
    assert "cannot be read" in token_standing("replicate").problem
