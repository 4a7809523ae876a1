"""What a sandbox is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import DEFAULT_TOKEN

DEFAULT_SPEED = 6.0
"""Makes the demo's jobs last about three to eight minutes."""


@dataclass(frozen=True)
class Options:
    """`population` is "demo", "none" or a number of ended jobs; a state file that exists outweighs it."""

    token: str = DEFAULT_TOKEN
    speed: float = DEFAULT_SPEED
    population: str = "demo"
    state: Path | None = None
    seed: int = 20
    latency_seconds: float = 0.0
    retention_seconds: float = 3600.0
    allow_webhooks_anywhere: bool = False
    public_url: str = "http://127.0.0.1:8899"
    """Origin of the links in webhooks; answers to requests have that of the request."""

    def __post_init__(self) -> None:
        if not self.token:
            raise ValueError("token: must not be empty")
        if self.speed <= 0:
            raise ValueError("speed: must be above 0")
        if self.latency_seconds < 0:
            raise ValueError("latency: must not be negative")
        if self.retention_seconds < 0:
            raise ValueError("retention-seconds: must not be negative")
        if self.population not in ("demo", "none") and not self.population.isdecimal():
            raise ValueError('population: must be "demo", "none" or a number')
