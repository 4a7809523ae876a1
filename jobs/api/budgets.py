"""``/api/cloud/jobs/{job_id}/budget``: what a job may cost."""

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import money_serializers as shapes
from jobs.api.base import ApiView, checked
from jobs.api.serializers import Problem
from jobs.services import budgets


class JobBudgetView(ApiView):
    """``/api/cloud/jobs/{job_id}/budget``."""

    permissions = {"PUT": access.VIEW_OWN}

    @extend_schema(
        operation_id="jobs_budget_set",
        request=shapes.BudgetRequest,
        responses={200: shapes.BudgetResult, 400: Problem, 403: Problem, 404: Problem, 409: Problem},
    )
    def put(self, request: Request, job_id: str) -> Response:
        """Set, change or remove a budget. It is told of at 50 and 80 per cent; at 100 the job's end is asked for."""
        wanted = checked(shapes.BudgetRequest, request.data)["budget_usd"]
        try:
            budget = budgets.parse_budget(wanted)
            found = budgets.standing(budgets.set_budget(self.actor, job_id, budget))
        except budgets.InvalidBudget as error:
            raise ValidationError({"budget_usd": [str(error)]}) from error
        return Response(
            {
                "success": True,
                "job_id": found.job.job_id,
                "budget_usd": found.job.budget_usd,
                "cost_usd": found.cost_usd,
                "percent": found.percent,
                "watched": found.is_watched,
                "message": found.message,
            }
        )
