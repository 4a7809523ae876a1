"""The command line where people have accounts: with a key, without one, with a wrong one, with one that may little."""

import pytest

from tests.cli.command_line import COMMANDS, CommandLine
from tests.conftest import MakeAccount, MakeJob, MakeKey
from tests.sandbox_server import RunningSandbox

ARGUMENTS = {
    "status": "running",
    "provider": "replicate",
    "config": "portrait",
    "job_id": "nothere",
    "key": "webhook_url",
    "value": "https://your-server.example/x",
    "profile": "h100",
    "token": "r8_TheTokenOfTheRealAccount000000wxyz",
    "amount": 5.0,
    "period": "daily",
    "action": "warn",
}
ABOUT_NOTHING_IN_PARTICULAR = [command for command in COMMANDS if "JOB" not in command and "CONFIG" not in command]
CHANGES = ("cost-limit disable", "config set KEY VALUE", "config delete-token")

pytestmark = pytest.mark.usefixtures("with_accounts")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("key", ["", "stc_12345678_nonsense"], ids=["no key", "a wrong key"])
def test_without_a_key_that_is_known_it_is_told_how_to_get_one(
    web: str, sandbox: RunningSandbox, command: str, key: str
) -> None:
    outcome = CommandLine(web, api_key=key).run(command, **ARGUMENTS)
    assert (outcome.exit_code, outcome.error) == (1, "Authentication required")


@pytest.mark.parametrize("command", ABOUT_NOTHING_IN_PARTICULAR)
def test_key_of_an_admin_opens_every_command(
    web: str, sandbox: RunningSandbox, make_account: MakeAccount, make_key: MakeKey, command: str
) -> None:
    cli = CommandLine(web, api_key=make_key(make_account("ada", "admin")))
    # The sandbox's token is not ours to keep: whatever is refused, it is not for want of rights.
    outcome = cli.run(command, **ARGUMENTS)
    assert outcome.error != "Authentication required"
    assert "permission" not in outcome.error


def test_key_of_a_viewer_shows_own_jobs_and_changes_nothing(
    web: str, sandbox: RunningSandbox, make_account: MakeAccount, make_key: MakeKey, make_job: MakeJob
) -> None:
    viewer = make_account("vera", "viewer")
    cli = CommandLine(web, api_key=make_key(viewer))
    own, other = make_job(owner=viewer), make_job()
    assert [job["job_id"] for job in cli.run("jobs list").answers["list"]["jobs"]] == [own.job_id]
    assert cli.run("jobs get JOB", job_id=other.job_id).exit_code == 1
    for command in CHANGES:
        outcome = cli.run(command, **ARGUMENTS)
        assert outcome.exit_code == 1
        assert outcome.error not in ("", "Authentication required")
