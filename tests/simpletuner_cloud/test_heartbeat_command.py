"""``manage.py heartbeat``: the health check of a container."""

import pytest
from django.core.management import call_command

from jobs.services import heartbeats
from jobs.services.heartbeats import Pulse, Role


def test_it_ends_well_only_if_that_role_of_this_host_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    Pulse(Role.WORKER).beat()
    call_command("heartbeat", "worker")
    with pytest.raises(SystemExit) as ended:
        call_command("heartbeat", "beat")
    assert ended.value.code == 1
    monkeypatch.setattr("simpletuner_cloud.management.commands.heartbeat.socket.gethostname", lambda: "elsewhere")
    with pytest.raises(SystemExit):
        call_command("heartbeat", "worker")


def test_a_process_whose_heart_stopped_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    Pulse(Role.WORKER).beat()
    monkeypatch.setattr(heartbeats, "ALIVE_SECONDS", -1)
    with pytest.raises(SystemExit):
        call_command("heartbeat", "worker")
