"""Commands that set: config set, cost-limit set and disable."""

from decimal import Decimal

import pytest

from jobs.services import cost_limits, provider_config
from tests.cli.command_line import CommandLine, Outcome

URL = "https://your-server.example/api/webhooks/replicate"


def typed(value: str) -> object:
    """What the command line makes of a word that somebody types."""
    words: dict[str, object] = {"true": True, "false": False, "null": None, "none": None}
    if value.lower() in words:
        return words[value.lower()]
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def config_set(cli: CommandLine, key: str, value: str) -> Outcome:
    return cli.run("config set KEY VALUE", provider="replicate", key=key, value=typed(value))


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("webhook_url", URL, URL),
        ("cost_limit_amount", "50", 50.0),
        ("cost_limit_amount", "12.5", 12.5),
        ("cost_limit_enabled", "false", False),
        ("cost_limit_period", "daily", "daily"),
        ("cost_limit_action", "block", "block"),
    ],
)
def test_one_setting_is_set_by_its_name(cli: CommandLine, key: str, value: str, told: object) -> None:
    outcome = config_set(cli, key, value)
    assert outcome.exit_code == 0
    assert outcome.answers["config"]["config"][key] == told
    assert cli.run("config show", provider="replicate").answers["config"]["config"][key] == told


def test_null_clears_a_setting(cli: CommandLine) -> None:
    config_set(cli, "webhook_url", URL)
    assert provider_config.provider_config("replicate").webhook_url == URL
    assert config_set(cli, "webhook_url", "null").answers["config"]["config"]["webhook_url"] == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("webhok_url", URL),
        ("webhook_url", "http://your-server.example"),
        ("webhook_url", "5"),
        ("cost_limit_amount", "much"),
        ("cost_limit_amount", "true"),
        ("cost_limit_enabled", "perhaps"),
        ("cost_limit_period", "yearly"),
        ("hardware_info", "none"),
    ],
)
def test_what_cannot_be_set_is_refused_by_its_name(cli: CommandLine, key: str, value: str) -> None:
    outcome = config_set(cli, key, value)
    assert outcome.exit_code == 1
    assert outcome.error.startswith(f"{key}: ")


def test_limit_is_set_shown_and_disabled(cli: CommandLine) -> None:
    assert cli.run("cost-limit set --amount AMOUNT", provider="replicate", amount=50.0).exit_code == 0
    shown = cli.run("cost-limit show", provider="replicate").answers["config"]["config"]
    assert (shown["cost_limit_enabled"], shown["cost_limit_amount"]) == (True, 50.0)
    assert (shown["cost_limit_period"], shown["cost_limit_action"]) == ("monthly", "warn")
    check = cost_limits.check("replicate")
    assert check is not None
    assert check.limit_usd == Decimal(50)
    assert cli.run("cost-limit disable", provider="replicate").exit_code == 0
    shown = cli.run("cost-limit show", provider="replicate").answers["config"]["config"]
    assert (shown["cost_limit_enabled"], shown["cost_limit_amount"]) == (False, 50.0)
    assert cost_limits.check("replicate") is None


@pytest.mark.parametrize("period", ["daily", "weekly", "monthly"])
@pytest.mark.parametrize("action", ["warn", "block"])
def test_every_period_and_action_is_taken(cli: CommandLine, period: str, action: str) -> None:
    command = "cost-limit set --amount AMOUNT --period PERIOD --action ACTION"
    outcome = cli.run(command, provider="replicate", amount=5.0, period=period, action=action)
    assert outcome.exit_code == 0
    config = outcome.answers["config"]["config"]
    assert (config["cost_limit_period"], config["cost_limit_action"]) == (period, action)


def test_approvals_are_refused_in_words_because_nobody_could_give_them(cli: CommandLine) -> None:
    command = "cost-limit set --amount AMOUNT --period PERIOD --action ACTION"
    outcome = cli.run(command, provider="replicate", amount=5.0, period="daily", action="require_approval")
    assert outcome.exit_code == 1
    assert outcome.error.startswith("cost_limit_action: ")
