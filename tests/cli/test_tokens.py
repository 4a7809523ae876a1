"""Commands about the provider's token: config set-token and delete-token, in their new and their earlier form."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.cli.command_line import COMMANDS, CommandLine
from tests.sandbox_server import RunningSandbox, running_sandbox

SETS = [command for command in COMMANDS if command.startswith("config set-token")]
DELETES = [command for command in COMMANDS if command.startswith("config delete-token")]
TOKEN = "r8_TheTokenOfTheRealAccount000000wxyz"


@pytest.fixture
def account(settings: Settings, tmp_path: Path) -> Iterator[RunningSandbox]:
    """The real account, which takes ``TOKEN`` alone, and a store of it that was started without a token."""
    settings.HOME = tmp_path
    settings.LIVE_STORE_DIR = tmp_path / "live"
    settings.CREDENTIALS_KEYS = ()
    settings.CREDENTIALS_KEY_FILE = tmp_path / "credentials_key"
    settings.EACH_STORE_HAS_ITS_DATABASE = True
    settings.IS_SANDBOX = False
    with running_sandbox(token=TOKEN) as server:
        settings.LIVE_PROVIDERS = {"replicate": {"base_url": server.url}}
        settings.PROVIDERS = {"replicate": {"token": "", "base_url": server.url}}
        yield server


@pytest.fixture
def live(web: str, account: RunningSandbox) -> CommandLine:
    """The command line in front of the store of the real account."""
    return CommandLine(web)


@pytest.mark.parametrize("command", SETS)
def test_token_is_set_and_shown_by_its_end_alone(live: CommandLine, command: str) -> None:
    assert live.run(command, provider="replicate", token=TOKEN).exit_code == 0
    config = live.run("config show", provider="replicate").answers["config"]["config"]
    assert (config["token_source"], config["token_last_four"]) == ("stored", "wxyz")
    assert TOKEN not in str(config)


@pytest.mark.parametrize("command", SETS)
def test_token_that_the_provider_refuses_is_told_in_words(live: CommandLine, command: str) -> None:
    outcome = live.run(command, provider="replicate", token="r8_AnotherTokenThatNobodyKnows0000abcd")
    assert outcome.exit_code == 1
    assert "refused" in outcome.error
    assert live.run("config show", provider="replicate").answers["config"]["config"]["token_source"] == "none"


@pytest.mark.parametrize("command", DELETES)
def test_token_is_deleted(live: CommandLine, command: str) -> None:
    live.run(SETS[0], provider="replicate", token=TOKEN)
    for _ in range(2):
        assert live.run(command, provider="replicate").exit_code == 0
    assert live.run("config show", provider="replicate").answers["config"]["config"]["token_source"] == "none"


@pytest.mark.parametrize("command", [*SETS, *DELETES])
def test_token_of_the_environment_cannot_be_changed_from_here(
    live: CommandLine, account: RunningSandbox, settings: Settings, command: str
) -> None:
    settings.PROVIDERS = {"replicate": {"token": TOKEN, "base_url": account.url}}
    outcome = live.run(command, provider="replicate", token=TOKEN)
    assert outcome.exit_code == 1
    assert "REPLICATE_API_TOKEN" in outcome.error
