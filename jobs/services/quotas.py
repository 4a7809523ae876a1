"""Whether a job that is submitted now has to wait, in words."""

from jobs.access import Actor
from jobs.models import QueueEntry, QueueLimits
from jobs.models.queue import SLOT_HOLDERS


def reasons_to_wait(actor: Actor, team_id: int | None) -> tuple[str, ...]:
    """One sentence for each limit that is used up; none if the job can go next."""
    limits = QueueLimits.objects.filter(pk=QueueLimits.KEY).first() or QueueLimits()
    holders = QueueEntry.objects.filter(status__in=SLOT_HOLDERS)
    reasons = []
    mine = holders.filter(job__owner_id=actor.user_id).count() if actor.user_id is not None else 0
    if mine >= limits.user_max_concurrent:
        reasons.append(f"You have {mine} of {limits.user_max_concurrent} jobs running; this one waits.")
    if limits.enable_fair_share and team_id is not None:
        ours = holders.filter(job__team_id=team_id).count()
        if ours >= limits.team_max_concurrent:
            reasons.append(f"Your team has {ours} of {limits.team_max_concurrent} jobs running; this one waits.")
    everybodys = holders.count()
    if everybodys >= limits.max_concurrent:
        reasons.append(f"{everybodys} of {limits.max_concurrent} jobs are running in all; this one waits.")
    return tuple(reasons)
