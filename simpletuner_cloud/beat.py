"""Beat's scheduler: any number of beats may run, and each due tick is sent once.

Who ticks first within a period takes it, by a key in Redis that lives for most of the period. A second beat is thus a
standby: if the first one dies, the next tick that is due is sent by the other. The keys also replace beat's file of
last runs: a beat that is started sends everything at once that no other one has sent within the period.
"""

from datetime import timedelta
from typing import Any

import redis
import structlog
from celery.beat import ScheduleEntry, Scheduler

from jobs import coordination
from simpletuner_cloud.celery import note_tick

logger = structlog.get_logger(__name__)

# Of a period. Beats that tick at different moments stay within it, and the same beat's next tick is behind it even if
# this one was late.
TAKEN_FOR = 0.9


class SharedScheduler(Scheduler):
    """Celery's scheduler without its file, sharing its ticks with other beats."""

    def setup_schedule(self) -> None:
        """Take over the schedule, all of it due now."""
        super().setup_schedule()
        for entry in self.schedule.values():
            entry.last_run_at = entry.default_now() - timedelta(days=365)

    def apply_entry(self, entry: ScheduleEntry, producer: Any = None) -> None:
        """Send a tick, unless another beat has done so within its period."""
        if _takes(entry):
            super().apply_entry(entry, producer=producer)
        else:
            # Looking after the schedule is a standby's work.
            note_tick()
            logger.debug("tick left to another beat", entry=entry.name)


def _takes(entry: ScheduleEntry) -> bool:
    # A crontab, such as Celery's own for results, which are not kept here, has no period.
    every = getattr(entry.schedule, "run_every", timedelta(hours=1))
    milliseconds = int(every.total_seconds() * 1000 * TAKEN_FOR)
    try:
        return bool(coordination.client().set(coordination.key(f"beat:{entry.name}"), "1", nx=True, px=milliseconds))
    except redis.RedisError as error:
        # A message cannot be sent either while Redis is away; one too many after its return does no harm, since what
        # it asks for is done under a lease.
        logger.debug("tick not shared: Redis is away", error=str(error))
        return True
