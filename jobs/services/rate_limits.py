"""How often something may be tried, counted in Redis over all processes.

Without Redis nothing is limited: a limiter that is broken must not lock everybody out. The log says so.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import redis
import structlog

from jobs import coordination

logger = structlog.get_logger(__name__)

# While Redis is away each question would cost its time limit.
PAUSE_AFTER_FAILURE_SECONDS = 5.0
_away_until = 0.0

# A window begins with its first use. Returns the milliseconds to wait, 0 if there is room.
TAKE = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if count <= tonumber(ARGV[1]) then return 0 end
return math.max(redis.call('PTTL', KEYS[1]), 1)
"""
# Each try counts before its outcome is known, so that many at once are no way around the pause. A name whose pause is
# not over is refused, and that counts nowhere. KEYS: a counter and a pause for each name; ARGV: first pause, longest
# pause, memory (all in milliseconds), then how many tries each name has.
TRY = """
local wait = 0
for index = 1, #KEYS, 2 do wait = math.max(wait, redis.call('PTTL', KEYS[index + 1])) end
if wait > 0 then return wait end
for index = 1, #KEYS, 2 do
  local over = redis.call('INCR', KEYS[index]) - tonumber(ARGV[4 + (index - 1) / 2])
  redis.call('PEXPIRE', KEYS[index], ARGV[3])
  if over >= 0 then
    local pause = math.min(tonumber(ARGV[1]) * 2 ^ math.min(over, 20), tonumber(ARGV[2]))
    redis.call('SET', KEYS[index + 1], '1', 'PX', math.floor(pause))
  end
end
return 0
"""


@dataclass(frozen=True, slots=True)
class Growing:
    """After so many failures in a row each further one doubles the pause before the next try."""

    first_pause_seconds: float
    longest_pause_seconds: float
    remembered_seconds: float


@dataclass(frozen=True, slots=True)
class Counted:
    """Whose tries are counted, and how many of them are free."""

    name: str
    tries: int


def take(name: str, limit: int, seconds: float) -> float | None:
    """Count one use of ``name``; the seconds to wait if ``limit`` of them have been within ``seconds``."""
    wait = _ask(TAKE, [_key(f"uses:{name}")], [limit, math.ceil(seconds * 1000)])
    return wait or None


def begin_try(counted: list[Counted], growing: Growing) -> float | None:
    """Count a try that may fail; the seconds to wait if it must not be made now. Tell of its success by ``forgive``."""
    keys = [key for one in counted for key in _keys_of(one.name)]
    pauses = (growing.first_pause_seconds, growing.longest_pause_seconds, growing.remembered_seconds)
    wait = _ask(TRY, keys, [*(math.ceil(seconds * 1000) for seconds in pauses), *(one.tries for one in counted)])
    return wait or None


def forgive(name: str) -> None:
    """Forget all tries of a name: one was right."""
    _quietly(lambda client: client.delete(*_keys_of(name)))


def give_back(name: str) -> None:
    """Take one try back that was right; what failed before still counts."""
    counter, pause = _keys_of(name)

    def undo(client: "redis.Redis") -> object:
        pipeline = client.pipeline()
        pipeline.decr(counter)
        pipeline.delete(pause)
        return pipeline.execute()

    _quietly(undo)


def _ask(script: str, keys: list[str], arguments: list[int]) -> float:
    """What a script answers, in seconds; 0 while Redis is away."""
    answer = _quietly(lambda client: client.eval(script, len(keys), *keys, *map(str, arguments)))
    return cast("int", answer or 0) / 1000


def _quietly(ask: Callable[["redis.Redis"], object]) -> object:
    global _away_until
    if time.monotonic() < _away_until:
        return None
    try:
        return ask(coordination.hasty_client())
    except redis.RedisError as error:
        _away_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
        logger.warning("nothing is limited for now: Redis is away", error=str(error))
        return None


def forget_outage() -> None:
    """Ask Redis again at once."""
    global _away_until
    _away_until = 0.0


def _keys_of(name: str) -> tuple[str, str]:
    return _key(f"tries:{name}"), _key(f"pause:{name}")


def _key(name: str) -> str:
    return coordination.key(f"limit:{name}")
