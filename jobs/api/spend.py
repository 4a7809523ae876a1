"""``/api/cloud/spend``: what was spent."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import money_serializers as shapes
from jobs.api.base import ApiView, checked
from jobs.api.serializers import Problem
from jobs.services import spend


class SpendView(ApiView):
    """``/api/cloud/spend``."""

    permissions = {"GET": access.VIEW_OWN}

    @extend_schema(
        operation_id="spend",
        parameters=[shapes.SpendQuery],
        responses={200: shapes.Spend, 400: Problem, 403: Problem},
    )
    def get(self, request: Request) -> Response:
        """What the jobs that one may see cost in the last days, by day (UTC), provider, hardware or owner."""
        query = checked(shapes.SpendQuery, request.query_params)
        found = spend.collect(self.actor, days=query["days"], group=spend.Group(query["group"]))
        return Response(
            {
                "period_days": found.days,
                "since": found.since,
                "group": found.group.value,
                "total_cost_usd": found.total_usd,
                "jobs": found.jobs,
                "unknown_cost_count": found.unknown,
                "rows": [
                    {
                        "key": row.key,
                        "cost_usd": row.cost_usd,
                        "jobs": row.jobs,
                        "unknown_cost_count": row.unknown,
                    }
                    for row in found.rows
                ],
            }
        )
