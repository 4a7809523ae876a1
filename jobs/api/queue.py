"""``/api/queue``: jobs that wait for a place at a provider (SPEC B6)."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import queue_serializers as shapes
from jobs.api import serializers
from jobs.api.base import ApiView, checked
from jobs.api.cancelling import cancel_payload
from jobs.api.money_serializers import CancelResult
from jobs.queue_order import Limits
from jobs.services import audit, cancelling, queue_actions, queue_limits, queue_reading
from jobs.services.dispatch import processor
from jobs.services.lookup import InvalidState
from jobs.services.queue_reading import EntryView

PROBLEM = serializers.Problem
REFUSED = {401: PROBLEM, 403: PROBLEM}
OWN_JOBS_LISTED = 100


class QueueListView(ApiView):
    """``/api/queue``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(
        operation_id="queue_list",
        parameters=[shapes.QueueQuery],
        responses={200: shapes.QueueList, 400: PROBLEM, **REFUSED},
    )
    def get(self, request: Request) -> Response:
        """Entries: what is being handed over or runs, then what waits in its order, then, if asked for, what ended."""
        query = checked(shapes.QueueQuery, request.query_params)
        found, total = queue_reading.listing(self.actor, **query)
        return Response({"entries": [entry_payload(view) for view in found], "total": total})


class QueueStatsView(ApiView):
    """``/api/queue/stats``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(operation_id="queue_stats", responses={200: shapes.QueueStats, **REFUSED})
    def get(self, _request: Request) -> Response:
        """Numbers of everybody's jobs."""
        stats = queue_reading.stats(self.actor)
        limits = limits_payload(stats.limits)
        del limits["ageing_minutes"]
        return Response(
            {
                "queue_depth": stats.queue_depth,
                "running": stats.running,
                "dispatching": stats.dispatching,
                **limits,
                "avg_wait_seconds": stats.avg_wait_seconds,
                "by_status": stats.by_status,
                "by_user": stats.by_user,
            }
        )


class OwnQueueView(ApiView):
    """``/api/queue/me``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(operation_id="queue_me", responses={200: shapes.OwnQueue, **REFUSED})
    def get(self, _request: Request) -> Response:
        """The asker's own jobs, the first hundred of each kind."""
        own, waiting, running = queue_reading.own(self.actor, limit=OWN_JOBS_LISTED)
        return Response(
            {
                "pending_count": waiting,
                "running_count": running,
                "blocked_count": own.blocked,
                "best_position": own.best_position,
                "pending_jobs": [entry_payload(view) for view in own.waiting],
                "running_jobs": [entry_payload(view) for view in own.running],
            }
        )


class QueuePositionView(ApiView):
    """``/api/queue/position/{job_id}``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(operation_id="queue_position", responses={200: shapes.QueuePosition, 404: PROBLEM, **REFUSED})
    def get(self, _request: Request, job_id: str) -> Response:
        """Where one job is in the queue, and why it waits."""
        job = self.job(job_id)
        view = queue_reading.view_of(job.pk, self.actor)
        return Response(
            {
                "job_id": job.job_id,
                "position": view.standing.place if view and view.standing else None,
                "status": view.entry.status if view else None,
                "waiting_reason": (view.reason or None) if view else None,
                "estimated_wait_seconds": view.estimated_wait_seconds if view else None,
            }
        )


class QueueCancelView(ApiView):
    """``/api/queue/{job_id}/cancel``."""

    permissions = {"POST": access.CANCEL_OWN}

    @extend_schema(
        operation_id="queue_cancel",
        request=None,
        responses={
            200: CancelResult,
            404: PROBLEM,
            409: PROBLEM,
            429: PROBLEM,
            502: PROBLEM,
            503: PROBLEM,
            504: PROBLEM,
            **REFUSED,
        },
    )
    def post(self, _request: Request, job_id: str) -> Response:
        """End a job that waits; no provider is asked. One that is at its provider is cancelled there."""
        return Response(cancel_payload(cancelling.cancel_job(self.actor, job_id)))


class QueueSendAgainView(ApiView):
    """``/api/queue/{job_id}/send-again``."""

    permissions = {"POST": access.CHANGE_LIMITS}

    @extend_schema(
        operation_id="queue_send_again",
        request=None,
        responses={200: shapes.SendAgainResult, 404: PROBLEM, 409: PROBLEM, **REFUSED},
    )
    def post(self, _request: Request, job_id: str) -> Response:
        """Send a job once more of which nobody can tell whether it was started. Look at the provider before."""
        job = self.job(job_id)
        queue_actions.send_again(job.pk)
        audit.record(self.actor, "queue.send_again", job.job_id)
        return Response({"success": True, "job_id": job.job_id, "status": job.status})


class QueueConcurrencyView(ApiView):
    """``/api/queue/concurrency``."""

    permissions = {"GET": access.VIEW_OWN, "POST": access.CHANGE_LIMITS}

    @extend_schema(operation_id="queue_concurrency", responses={200: shapes.QueueConcurrency, **REFUSED})
    def get(self, _request: Request) -> Response:
        """How much may run at once."""
        return Response(limits_payload(queue_limits.current()))

    @extend_schema(
        operation_id="queue_concurrency_set",
        request=shapes.QueueConcurrencyChange,
        responses={200: shapes.QueueConcurrencyChanged, 400: PROBLEM, **REFUSED},
    )
    def post(self, request: Request) -> Response:
        """Change the limits that are named. Nobody is stopped by a lower one; nobody new starts until it is kept."""
        limits, changed = queue_limits.change(**checked(shapes.QueueConcurrencyChange, request.data))
        if changed:
            audit.record(self.actor, "queue.limits", changed=changed)
        return Response({"success": True, **limits_payload(limits)})


class QueueProcessView(ApiView):
    """``/api/queue/process``."""

    permissions = {"POST": access.CHANGE_LIMITS}

    @extend_schema(operation_id="queue_process", request=None, responses={200: shapes.QueuePass, **REFUSED})
    def post(self, _request: Request) -> Response:
        """One pass over the queue now, without waiting for the next tick."""
        done = processor.process()
        audit.record(self.actor, "queue.process", started=done.started)
        return Response(
            {
                "success": True,
                "processed": done.started,
                "claimed": done.claimed,
                "decided": done.decided,
                "released": done.released,
            }
        )


class QueuePriorityView(ApiView):
    """``/api/queue/{job_id}/priority``."""

    permissions = {"POST": access.CHANGE_LIMITS}

    @extend_schema(
        operation_id="queue_priority",
        request=shapes.QueuePriorityChange,
        responses={200: shapes.QueuePriorityChanged, 400: PROBLEM, 404: PROBLEM, 409: PROBLEM, **REFUSED},
    )
    def post(self, request: Request, job_id: str) -> Response:
        """Put a waiting job forward or back."""
        job = self.job(job_id)
        priority = checked(shapes.QueuePriorityChange, request.data)["priority"]
        entry = queue_actions.set_priority(job.pk, priority)
        audit.record(self.actor, "queue.priority", job.job_id, priority=priority)
        view = queue_reading.view_of(job.pk, self.actor)
        if view is None:
            raise InvalidState("The job does not wait in the queue any more.")
        return Response(
            {
                "success": True,
                "job_id": job.job_id,
                "priority_override": entry.priority_override,
                "effective_priority": effective_priority(view),
            }
        )


class QueueCleanupView(ApiView):
    """``/api/queue/cleanup``."""

    permissions = {"POST": access.CHANGE_LIMITS}

    @extend_schema(
        operation_id="queue_cleanup",
        request=None,
        parameters=[OpenApiParameter("days", int, description="From 1 to 3650; 30 if it is not given.")],
        responses={200: shapes.QueueCleanup, 400: PROBLEM, **REFUSED},
    )
    def post(self, request: Request) -> Response:
        """Delete the entries of jobs that ended long ago; the jobs stay."""
        days = checked(shapes.QueueCleanupQuery, request.query_params)["days"]
        deleted = queue_actions.cleanup(days)
        audit.record(self.actor, "queue.cleanup", days=days, deleted=deleted)
        return Response({"success": True, "deleted": deleted})


def entry_payload(view: EntryView) -> dict[str, Any]:
    """An entry as JSON."""
    entry, job = view.entry, view.entry.job
    return {
        "id": entry.pk,
        "job_id": job.job_id,
        "user_id": job.owner_id,
        "user": job.owner.get_username() if job.owner else None,
        "team": job.team.name if job.team else None,
        "provider": job.provider,
        "config_name": job.config_name,
        "priority": entry.priority,
        "priority_override": entry.priority_override,
        "effective_priority": effective_priority(view),
        "status": entry.status,
        "position": view.standing.place if view.standing else None,
        "queued_at": entry.queued_at,
        "started_at": entry.started_at,
        "completed_at": entry.finished_at,
        "attempt": entry.attempts,
        "max_attempts": entry.max_attempts,
        "error_message": entry.reason or job.error_message or None,
        "waiting_reason": view.reason or None,
        "estimated_wait_seconds": view.estimated_wait_seconds,
    }


def effective_priority(view: EntryView) -> int:
    """What counts now; of an entry that does not wait, what it began with."""
    return view.standing.priority if view.standing else view.base


def limits_payload(limits: Limits) -> dict[str, Any]:
    """The limits as JSON, by the names that they are set by."""
    return {
        "max_concurrent": limits.max_concurrent,
        "user_max_concurrent": limits.user_max_concurrent,
        "team_max_concurrent": limits.team_max_concurrent,
        "enable_fair_share": limits.has_teams,
        "ageing_minutes": limits.ageing_minutes,
    }
