"""One view per URL: check the request, call one service, shape the answer."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import serializers
from jobs.api.base import ApiView, OpenView, checked
from jobs.api.list_page import FILTERS, list_query, list_rows
from jobs.api.log_serializers import FollowedLog, LogQuery
from jobs.api.payloads import job_page, job_payloads
from jobs.api.renderers import JsonRenderer, TextRenderer
from jobs.models import UnifiedJob
from jobs.services import (
    audit,
    deleting,
    exposition,
    health,
    history_walk,
    inline_progress,
    job_counts,
    logs,
    metrics,
    provider_accounts,
    sync,
)
from jobs.services.lookup import get_job

PROBLEM = serializers.Problem
JOB_ERRORS = {404: PROBLEM}
PROVIDER_ERRORS = {400: PROBLEM, 429: PROBLEM, 502: PROBLEM, 503: PROBLEM, 504: PROBLEM}


class JobListView(ApiView):
    """``/api/cloud/jobs``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(
        operation_id="jobs_list",
        parameters=[serializers.JobListQuery],
        responses={200: serializers.JobList, 400: PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """List jobs, newest first. With ``sync_active`` the active ones are refreshed before (SPEC A4)."""
        query = list_query(request.META.get("QUERY_STRING", ""))
        refreshed = sync.refresh_for_list(query["provider"] or None) if query["sync_active"] else None
        filters = {name: query[name] for name in FILTERS if query[name]}
        limit = query["limit"]
        # One more than is shown: it tells whether another page follows.
        rows = list_rows(self.actor, filters, query["cursor"] or None, offset=query["offset"], limit=limit + 1)
        page, place = job_page(rows, limit)
        body: dict[str, Any] = {
            "jobs": page,
            "total": job_counts.total(self.actor, **filters),
            "next_cursor": serializers.encode_cursor(*place) if place else None,
        }
        if refreshed is not None:
            told = sync.as_told_to(self.actor, refreshed)
            body["sync"] = {"refreshed": told.refreshed, "failed": told.failed, "errors": list(told.errors)}
        return Response(body)


class JobSyncView(ApiView):
    """``/api/cloud/jobs/sync``."""

    permissions = {"POST": access.SYNC}

    @extend_schema(
        operation_id="jobs_sync",
        request=serializers.SyncRequest,
        parameters=[
            OpenApiParameter("provider", str, description="May stand here instead of in the body."),
            OpenApiParameter("history", bool, description="May stand here instead of in the body."),
        ],
        responses={200: serializers.SyncResult, 202: serializers.HistoryStarted, **PROVIDER_ERRORS},
    )
    def post(self, request: Request) -> Response:
        """Discover jobs that the store lacks, among the provider's 100 newest (SPEC A2).

        With `history` all jobs that the provider still lists are read, in the background: 202 at once.
        """
        body = _wanted(request)
        if body["history"]:
            audit.record(self.actor, "history.import", body["provider"])
            return _start_history(body["provider"])
        audit.record(self.actor, "jobs.sync", body["provider"])
        done = sync.discover_jobs(body["provider"])
        return Response(
            {
                "synced": done.found,
                "message": sync_message(done),
                "updated": done.updated,
                "errors": list(done.errors),
                "joined": done.joined,
            }
        )


def sync_message(done: sync.Discovery) -> str:
    """The sentence of SPEC A2, and what else there is to say."""
    count, label = (done.found_by_other if done.joined else done.found), done.provider_label
    if done.joined:
        message = f"A sync was already running: it discovered {count} new jobs from {label}"
    else:
        message = f"Discovered {count} new jobs from {label}"
    return f"{message}, but only part could be read: {done.errors[0]}" if done.errors else message


def _wanted(request: Request) -> dict[str, Any]:
    """The body, and over it what stands in the query; neither hides what is wrong in the other."""
    body = checked(serializers.SyncRequest, request.data)
    asked = {name: value for name in body if (value := request.query_params.get(name))}
    return checked(serializers.SyncRequest, body | asked)


def _start_history(provider: str) -> Response:
    started = history_walk.start(provider)
    body = {
        "synced": 0,
        "message": history_message(started),
        "updated": 0,
        "errors": [],
        "joined": started.joined,
        "history": history_walk.facts(started.walk),
    }
    return Response(body, status=status.HTTP_202_ACCEPTED)


def history_message(started: history_walk.Start) -> str:
    """What a walk that goes on in the background can say at once."""
    walk, label = started.walk, started.provider_label
    if not started.joined:
        return f"Importing the whole history from {label} in the background"
    return f"The history of {label} is being imported already: {walk.seen} jobs read, {walk.found} new"


class HistoryWalkView(ApiView):
    """``/api/cloud/jobs/sync/history``."""

    permissions = {"GET": access.SYNC, "DELETE": access.SYNC}

    @extend_schema(
        operation_id="jobs_sync_history",
        parameters=[serializers.HistoryQuery],
        responses={200: serializers.HistoryProgress, 400: PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """How far the newest walk through a provider's history is."""
        query = checked(serializers.HistoryQuery, request.query_params)
        walk = history_walk.latest(query["provider"])
        return Response({"history": history_walk.facts(walk) if walk else None})

    @extend_schema(
        operation_id="jobs_sync_history_cancel",
        parameters=[serializers.HistoryQuery],
        responses={200: serializers.HistoryProgress, 400: PROBLEM, 409: PROBLEM},
    )
    def delete(self, request: Request) -> Response:
        """End the walk that is under way; the jobs that it found stay."""
        query = checked(serializers.HistoryQuery, request.query_params)
        walk = history_walk.cancel(query["provider"])
        audit.record(self.actor, "history.stop", query["provider"])
        return Response({"history": history_walk.facts(walk)})


class JobDetailView(ApiView):
    """``/api/cloud/jobs/{job_id}``."""

    permissions = {"GET": access.VIEW_OWN, "DELETE": access.CANCEL_OWN}

    @extend_schema(operation_id="jobs_get", responses={200: serializers.JobDetail, **JOB_ERRORS})
    def get(self, _request: Request, job_id: str) -> Response:
        """One job."""
        job = get_job(job_id, UnifiedJob.objects.visible_to(self.actor).only("pk"))
        return Response({"job": job_payloads(UnifiedJob.objects.filter(pk=job.pk))[0]})

    @extend_schema(
        operation_id="jobs_delete",
        responses={200: serializers.DeleteResult, 403: PROBLEM, 409: PROBLEM, **JOB_ERRORS},
    )
    def delete(self, _request: Request, job_id: str) -> Response:
        """Remove a job that has ended from the store; nothing happens at its provider, and no sync brings it back."""
        return Response({"success": True, "job_id": deleting.delete_job(self.actor, job_id)})


class JobProgressView(ApiView):
    """``/api/cloud/jobs/{job_id}/inline-progress``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(operation_id="jobs_inline_progress", responses={200: serializers.InlineProgress, **JOB_ERRORS})
    def get(self, _request: Request, job_id: str) -> Response:
        """Compact progress of a running job (SPEC A1). The ``Age`` header says how many seconds old it is."""
        found = inline_progress.inline_progress(job_id, UnifiedJob.objects.visible_to(self.actor))
        body = {name: getattr(found, name) for name in ("job_id", "stage", "last_log", "progress")}
        age = {} if found.age_seconds is None else {"Age": str(max(int(found.age_seconds), 0))}
        return Response(body, headers={"Cache-Control": "no-store", **age})


class JobLogsView(ApiView):
    """``/api/cloud/jobs/{job_id}/logs``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(
        operation_id="jobs_logs",
        parameters=[LogQuery],
        responses={200: FollowedLog, **JOB_ERRORS, **PROVIDER_ERRORS},
    )
    def get(self, request: Request, job_id: str) -> Response:
        """The log: read from the provider just now, or our copy when it has none any more.

        With `after` only what came since an earlier answer: `0` the first time, then the `bookmark` of the answer
        before. Where `continues` is false, `logs` is the whole log and takes the place of what was read before.
        """
        after = checked(LogQuery, request.query_params)["after"]
        log = logs.read_log(job_id, UnifiedJob.objects.visible_to(self.actor), after=after)
        following = {} if after is None else {"continues": log.continues, "bookmark": log.bookmark}
        return Response(
            {
                **following,
                "job_id": log.job_id,
                "logs": log.text,
                "source": log.source.value,
                "is_final": log.is_final,
                "problem": log.problem,
                "logs_state": log.state.value,
                "cut": log.is_cut,
                "characters": log.characters,
                "saved_at": log.saved_at,
            }
        )


class MetricsView(ApiView):
    """``/api/cloud/metrics``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(
        operation_id="metrics",
        parameters=[serializers.MetricsQuery],
        responses={200: serializers.Metrics, 400: PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """Numbers over the jobs of the last days."""
        query = checked(serializers.MetricsQuery, request.query_params)
        return Response(asdict(metrics.collect(query["days"], provider=query["provider"] or None, actor=self.actor)))


class HealthView(ApiView):
    """``/api/cloud/health``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(
        operation_id="health",
        parameters=[serializers.HealthQuery],
        responses={200: serializers.HealthReport, 400: PROBLEM},
    )
    def get(self, request: Request) -> Response:
        """How every part is doing; 200 whatever it says, so that it can be read."""
        query = checked(serializers.HealthQuery, request.query_params)
        return Response(asdict(health.report(include_providers=query["include_replicate"])))


class PrometheusView(ApiView):
    """``/api/cloud/metrics/prometheus``."""

    permissions = {"GET": access.VIEW_ALL}

    renderer_classes = (TextRenderer,)

    @extend_schema(operation_id="metrics_prometheus", responses={(200, TextRenderer.media_type): str})
    def get(self, _request: Request) -> Response:
        """Numbers for Prometheus, in its text format."""
        return Response(exposition.exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)

    def finalize_response(self, request: Request, response: Any, *arguments: Any, **options: Any) -> Any:
        """Refuse in JSON, as everywhere."""
        if response.exception:
            request.accepted_renderer, request.accepted_media_type = JsonRenderer(), JsonRenderer.media_type
        return super().finalize_response(request, response, *arguments, **options)


class LivenessView(OpenView):
    """``/api/cloud/health/live``."""

    @extend_schema(operation_id="health_live", responses={200: serializers.Liveness})
    def get(self, _request: Request) -> Response:
        """This process answers."""
        return Response({"status": "alive"})


class ReadinessView(OpenView):
    """``/api/cloud/health/ready``."""

    @extend_schema(operation_id="health_ready", responses={200: serializers.Liveness, 503: serializers.Liveness})
    def get(self, _request: Request) -> Response:
        """Requests can be served: 200, else 503."""
        ready = health.is_ready()
        return Response({"status": "ready" if ready else "not ready"}, status=200 if ready else 503)


class ProviderListView(ApiView):
    """``/api/cloud/providers``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(operation_id="providers_list", responses={200: serializers.ProviderList})
    def get(self, _request: Request) -> Response:
        """Every provider, and how its last calls went."""
        return Response(
            {
                "providers": [
                    {
                        "name": found.name,
                        "label": found.label,
                        "configured": found.is_configured,
                        "sandbox": found.is_sandbox,
                        "webhook_url": found.webhook_url,
                        **asdict(found.state),
                        "resting_until": found.state.resting_until,
                    }
                    for found in provider_accounts.overviews()
                ]
            }
        )


class ProviderValidateView(ApiView):
    """``/api/cloud/providers/{provider}/validate``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(operation_id="providers_validate", responses={200: serializers.Validation, 404: PROBLEM})
    def get(self, _request: Request, provider: str) -> Response:
        """Check the credentials against the provider (SPEC A8)."""
        checked_account = provider_accounts.validate(provider)
        if checked_account.account is None:
            return Response({"valid": False, "error": checked_account.error})
        account = checked_account.account
        user_info = {"username": account.username, "type": account.kind, "name": account.name}
        return Response({"valid": True, "user_info": user_info})
