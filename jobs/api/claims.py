"""``…/claim``, ``…/ignore``, ``…/unignore``: jobs that were started elsewhere."""

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import money_serializers as shapes
from jobs.api.base import ApiView, checked
from jobs.api.serializers import Problem
from jobs.models import UnifiedJob
from jobs.services import claiming

REFUSALS = {403: Problem, 404: Problem, 409: Problem}


class JobClaimView(ApiView):
    """``/api/cloud/jobs/{job_id}/claim``."""

    permissions = {"POST": access.VIEW_OWN}

    @extend_schema(
        operation_id="jobs_claim",
        request=shapes.ClaimRequest,
        responses={200: shapes.ClaimResult, 400: Problem, **REFUSALS},
    )
    def post(self, request: Request, job_id: str) -> Response:
        """Make a job that nobody owns one's own, or another user's."""
        user = checked(shapes.ClaimRequest, request.data).get("user")
        try:
            return _claimed(claiming.claim_job(self.actor, job_id, user=user))
        except claiming.UnknownUser as error:
            raise ValidationError({"user": [str(error)]}) from error


class JobIgnoreView(ApiView):
    """``/api/cloud/jobs/{job_id}/ignore``."""

    permissions = {"POST": access.VIEW_OWN}

    @extend_schema(
        operation_id="jobs_ignore", request=None, responses={200: shapes.ClaimResult, 400: Problem, **REFUSALS}
    )
    def post(self, _request: Request, job_id: str) -> Response:
        """Wave a job aside that nobody owns: it is not warned of any more. It goes on as it did."""
        return _claimed(claiming.ignore_job(self.actor, job_id))


class JobUnignoreView(ApiView):
    """``/api/cloud/jobs/{job_id}/unignore``."""

    permissions = {"POST": access.VIEW_OWN}

    @extend_schema(
        operation_id="jobs_unignore", request=None, responses={200: shapes.ClaimResult, 400: Problem, **REFUSALS}
    )
    def post(self, _request: Request, job_id: str) -> Response:
        """Let a job be warned of again while nobody owns it."""
        return _claimed(claiming.unignore_job(self.actor, job_id))


def _claimed(job: UnifiedJob) -> Response:
    return Response(
        {
            "success": True,
            "job_id": job.job_id,
            "owner": job.owner.get_username() if job.owner else None,
            "ignored": job.ignored_at is not None,
        }
    )
