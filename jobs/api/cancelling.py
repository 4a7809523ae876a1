"""``…/cancel``: asking for the end of one job, or of many."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import money_serializers as shapes
from jobs.api.base import ApiView, checked
from jobs.api.errors import error_code
from jobs.api.serializers import Problem
from jobs.services import cancelling
from jobs.services.cancelling import BatchOutcome, Cancellation

REFUSALS = {403: Problem, 404: Problem, 409: Problem}
PROVIDER_ERRORS = {429: Problem, 502: Problem, 503: Problem, 504: Problem}


def cancel_payload(done: Cancellation) -> dict[str, Any]:
    """What a cancellation came to, in the shape of ``CancelResult``."""
    return {
        "success": True,
        "job_id": done.job.job_id,
        "status": done.job.status,
        "cancelling": done.is_cancelling,
        "message": done.message,
    }


class JobCancelView(ApiView):
    """``/api/cloud/jobs/{job_id}/cancel``."""

    permissions = {"POST": access.CANCEL_OWN}

    @extend_schema(
        operation_id="jobs_cancel",
        request=None,
        responses={200: shapes.CancelResult, 400: Problem, **REFUSALS, **PROVIDER_ERRORS},
    )
    def post(self, _request: Request, job_id: str) -> Response:
        """Ask the provider to end a job; ``status`` is what it then said, and only "cancelled" is the end.

        A provider that refuses or does not answer is told as an error; the wish is noted all the same, and is put to
        it again until it is heard.
        """
        return Response(cancel_payload(cancelling.cancel_job(self.actor, job_id)))


class JobsCancelView(ApiView):
    """``/api/cloud/jobs/cancel``."""

    permissions = {"POST": access.CANCEL_OWN}

    @extend_schema(
        operation_id="jobs_cancel_many",
        request=shapes.CancelManyRequest,
        responses={200: shapes.CancelManyResult, 400: Problem, 403: Problem},
    )
    def post(self, request: Request) -> Response:
        """Cancel up to 100 jobs; each has an outcome of its own, and none holds up another."""
        wanted = checked(shapes.CancelManyRequest, request.data)["job_ids"]
        results = [_result(outcome) for outcome in cancelling.cancel_jobs(self.actor, wanted)]
        return Response({"success": all(result["success"] for result in results), "results": results})


def _result(outcome: BatchOutcome) -> dict[str, Any]:
    done, error = outcome.cancellation, outcome.error
    message = str(error) if error is not None else done.message if done is not None else ""
    return {
        "success": error is None,
        "job_id": done.job.job_id if done is not None else outcome.job_id,
        "status": done.job.status if done is not None else None,
        "cancelling": done is not None and done.is_cancelling,
        "message": f"{message} {cancelling.NOTED}" if error is not None and done is not None else message,
        "code": error_code(error) if error is not None else "",
    }
