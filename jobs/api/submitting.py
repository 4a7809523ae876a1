"""``/api/cloud/jobs/submit``, ``/jobs/{id}/retry`` and ``/jobs/{id}/submission`` (SPEC B5)."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request as ApiRequest
from rest_framework.response import Response

from jobs import access
from jobs.api import serializers
from jobs.api import submitting_serializers as shapes
from jobs.api.base import ApiView, checked
from jobs.api.parsers import BoundedFormParser, BoundedJsonParser
from jobs.models import JobSubmission
from jobs.services import retrying, submitting
from jobs.services.archives import is_available
from jobs.services.submission_plans import Request
from jobs.services.submission_sources import shown_webhook_url, submission_of
from providers.masking import masked

PROBLEM = serializers.Problem
REFUSALS = {400: PROBLEM, 403: PROBLEM, 404: PROBLEM, 409: PROBLEM, 413: PROBLEM, 503: PROBLEM}


class SubmitView(ApiView):
    """``/api/cloud/jobs/submit``."""

    permissions: ClassVar = {"POST": access.SUBMIT}
    parser_classes = (BoundedJsonParser,)

    @extend_schema(
        operation_id="jobs_submit",
        parameters=[shapes.SubmitQuery],
        request=shapes.SubmitRequest,
        responses={200: shapes.SubmitResult, **REFUSALS},
    )
    def post(self, request: ApiRequest) -> Response:
        """Take a job on. It waits in the queue until its turn; the provider is not asked yet."""
        query = checked(shapes.SubmitQuery, request.query_params)
        body = checked(shapes.SubmitRequest, request.data)
        done = submitting.submit(self.actor, Request(provider=query["provider"], **body))
        return Response(shapes.SubmitResult(_outcome(done)).data)


class JobRetryView(ApiView):
    """``/api/cloud/jobs/{id}/retry``."""

    permissions: ClassVar = {"POST": access.SUBMIT}
    parser_classes = (BoundedJsonParser, BoundedFormParser, MultiPartParser)

    @extend_schema(
        operation_id="jobs_retry",
        request=shapes.RetryRequest,
        responses={200: shapes.SubmitResult, **REFUSALS},
    )
    def post(self, request: ApiRequest, job_id: str) -> Response:
        """Submit a failed or cancelled job again, as it was: a new job."""
        body = checked(shapes.RetryRequest, request.data)
        done = retrying.retry_job(self.actor, job_id, idempotency_key=body["idempotency_key"])
        return Response(shapes.SubmitResult(_outcome(done)).data)


class JobSubmissionView(ApiView):
    """``/api/cloud/jobs/{id}/submission``."""

    permissions: ClassVar = {"GET": access.VIEW_OWN}

    @extend_schema(operation_id="jobs_submission", responses={200: shapes.Submission, 403: PROBLEM, 404: PROBLEM})
    def get(self, _request: ApiRequest, job_id: str) -> Response:
        """What a job was submitted with; its secrets are masked. 404 for one that was started elsewhere."""
        return Response(shapes.Submission(_submission(submission_of(self.job(job_id)))).data)


def _outcome(done: submitting.Submitted) -> dict[str, Any]:
    return {
        "success": True,
        "job_id": done.job.job_id,
        "status": done.job.status,
        "idempotent_hit": done.idempotent_hit,
        "data_uploaded": done.has_archive,
        "cost_limit_warning": done.cost_limit_warning or None,
        "quota_warnings": list(done.quota_warnings),
        "error": None,
        "queue_position": done.queue_position,
    }


def _submission(found: JobSubmission) -> dict[str, Any]:
    archive = found.archive
    return {
        "job_id": found.job.job_id,
        "provider": found.job.provider,
        "config_name": found.job.config_name,
        "config": masked(found.config),
        "dataloader_config": masked(found.dataloader_config),
        "hardware_profile": found.hardware_profile,
        "webhook_url": shown_webhook_url(found.webhook_url),
        "tracker_run_name": found.tracker_run_name,
        "archive": archive
        and {
            "upload_id": archive.archive_id,
            "name": archive.name,
            "size_bytes": archive.size_bytes,
            "sha256": archive.sha256,
            "is_kept": is_available(archive),
        },
        "retry_of": found.retry_of.job_id if found.retry_of else None,
        "submitted_at": found.submitted_at,
    }
