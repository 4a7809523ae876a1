"""What a job's log says of its training's course."""

from dataclasses import asdict
from typing import ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import serializers
from jobs.api.base import ApiView
from jobs.api.log_serializers import JobSeries
from jobs.services.series import read_job_series

PROBLEM = serializers.Problem


class JobSeriesView(ApiView):
    """``/api/cloud/jobs/{job_id}/series``."""

    permissions: ClassVar = {"GET": access.VIEW_OWN}

    @extend_schema(
        operation_id="jobs_series",
        responses={
            200: JobSeries,
            **dict.fromkeys((403, 404, 429, 502, 503, 504), PROBLEM),
        },
    )
    def get(self, _request: Request, job_id: str) -> Response:
        """Loss, learning rate and seconds per step, as the job's log tells them: about 800 points at most.

        The log is asked for as by `/logs`. Of a longer one the extremes of each stretch are kept.
        """
        found = read_job_series(self.job(job_id))
        return Response(
            {
                "job_id": found.job_id,
                "x_unit": found.series.x_unit,
                "points": [asdict(point) for point in found.series.points],
                "is_thinned": found.series.is_thinned,
                "is_final": found.is_final,
                "problem": found.problem,
            }
        )
