"""What the tests of SimpleTuner's command line use."""

import pytest

from tests.cli.command_line import CommandLine
from tests.sandbox_server import RunningSandbox


@pytest.fixture
def cli(web: str, sandbox: RunningSandbox) -> CommandLine:
    """The command line in front of the running product, behind which is the sandbox."""
    return CommandLine(web)
