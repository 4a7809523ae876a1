"""``manage.py heartbeat worker``: whether one of this machine is alive. For the health checks of containers."""

import socket
import sys
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandParser

from jobs.services import heartbeats
from jobs.services.heartbeats import Role


class Command(BaseCommand):
    """Ends with 0 if a process of that role on this host was heard of within the last seconds, else with 1."""

    help = "Tells by its exit code whether the worker or beat of this host is alive."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("role", choices=[role.value for role in Role])

    def handle(self, *_args: object, role: str, **_options: Any) -> None:
        try:
            alive = heartbeats.alive(heartbeats.heartbeats(), Role(role))
        except redis.RedisError as error:
            # A worker that cannot reach Redis is not mended by being started again.
            self.stdout.write(f"not known: Redis does not answer ({error})")
            return
        here = [heartbeat for heartbeat in alive if heartbeat.host == socket.gethostname()]
        for heartbeat in here:
            self.stdout.write(f"{role} {heartbeat.pid} was heard of {heartbeat.age_seconds:.0f} s ago")
        if not here:
            self.stdout.write(f"no {role} of {socket.gethostname()} is alive")
            sys.exit(1)
