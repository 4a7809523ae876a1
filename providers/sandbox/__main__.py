"""`python -m providers.sandbox`: run the sandbox until told to stop."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import uvicorn

from .options import Options
from .server import create_app, uvicorn_config

ENVIRONMENT_PREFIX = "SANDBOX_"


def parser() -> argparse.ArgumentParser:
    """Every flag can be given as an environment variable too: `--retention-seconds` as SANDBOX_RETENTION_SECONDS."""
    usual = Options()
    result = argparse.ArgumentParser(
        prog="python -m providers.sandbox",
        description="A Replicate-compatible server with a simulated account.",
        epilog=f"Each flag may also be set by an environment variable {ENVIRONMENT_PREFIX}FLAG_NAME.",
    )
    result.add_argument("--host", default="127.0.0.1")
    result.add_argument("--port", type=int, default=8899, help="0 takes a free one")
    result.add_argument("--state", type=Path, default=usual.state, help="file that keeps the account; none: in memory")
    result.add_argument("--speed", type=float, default=usual.speed, help="simulated seconds that pass in a real one")
    result.add_argument("--population", default=usual.population, help="demo, none, or a number of finished jobs")
    result.add_argument("--token", default=usual.token)
    result.add_argument("--seed", type=int, default=usual.seed, help="of everything that is invented")
    result.add_argument("--latency", type=float, default=usual.latency_seconds, help="seconds before every answer")
    result.add_argument("--retention-seconds", type=float, default=usual.retention_seconds)
    result.add_argument("--allow-webhooks-anywhere", action="store_true", help="not to this machine only")
    _take_environment(result)
    return result


def options_from(arguments: argparse.Namespace) -> Options:
    return Options(
        token=arguments.token,
        speed=arguments.speed,
        population=arguments.population,
        state=arguments.state,
        seed=arguments.seed,
        latency_seconds=arguments.latency,
        retention_seconds=arguments.retention_seconds,
        allow_webhooks_anywhere=arguments.allow_webhooks_anywhere,
    )


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        listener = socket.create_server((arguments.host, arguments.port))
        origin = f"http://{arguments.host}:{listener.getsockname()[1]}"
        app = create_app(replace(options_from(arguments), public_url=origin))
    except (ValueError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    # The socket is listening already, so whoever reads this line can connect; uvicorn answers a moment later.
    print(f"sandbox ready at {origin}/v1", flush=True)
    uvicorn.Server(uvicorn_config(app)).run(sockets=[listener])
    return 0


def _take_environment(result: argparse.ArgumentParser) -> None:
    """Let variables replace the defaults. As text, so that argparse converts and checks them like flags."""
    for action in result._actions:
        value = os.environ.get(f"{ENVIRONMENT_PREFIX}{action.dest.upper()}")
        if value is None or not action.option_strings or action.dest == "help":
            continue
        if action.const is True:
            value = value.lower()
            if value not in ("", "0", "1", "false", "true"):
                result.error(f"{ENVIRONMENT_PREFIX}{action.dest.upper()}: 1 or 0")
            result.set_defaults(**{action.dest: value in ("1", "true")})
        else:
            result.set_defaults(**{action.dest: value})


if __name__ == "__main__":
    sys.exit(main())
