"""The recorded commands as such."""

from pathlib import Path

import pytest

from tests.cli.command_line import ABSENT, COMMANDS, TYPES

TESTS = Path(__file__).parent


def reads(command: str) -> list[str]:
    steps = COMMANDS[command]["steps"]
    conditional = [case for step in steps for cases in step.get("reads_if", {}).values() for case in cases.values()]
    return [kinds for found in [*(step["reads"] for step in steps), *conditional] for kinds in found.values()]


@pytest.mark.parametrize("command", COMMANDS)
def test_recorded_types_are_known(command: str) -> None:
    assert {kind for kinds in reads(command) for kind in kinds.split("|")} <= TYPES.keys() | {ABSENT}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_replayed_somewhere(command: str) -> None:
    text = "".join(
        path.read_text(encoding="utf-8") for path in TESTS.glob("test_*.py") if path.name != "test_recorded.py"
    )
    families = ("jobs list", "jobs submit", "config set-token", "config delete-token")
    assert f'"{command}"' in text or command.startswith(families)
