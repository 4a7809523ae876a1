"""``/api/audit``: who did what (docs/accounts.md)."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api import key_serializers
from jobs.api.base import ApiView, checked
from jobs.api.serializers import Problem
from jobs.services import audit

COLUMNS = ("at", "actor", "via", "address", "action", "target", "outcome", "details")


class AuditView(ApiView):
    """``/api/audit``."""

    permissions = {"GET": access.MANAGE_ACCOUNTS}

    @extend_schema(
        operation_id="audit_list",
        parameters=[key_serializers.AuditQuery],
        responses={200: key_serializers.AuditLog, 400: Problem, 401: Problem, 403: Problem},
    )
    def get(self, request: Request) -> Response:
        """The audit log, newest first; go on with `before` set to `next_before`."""
        query = checked(key_serializers.AuditQuery, request.query_params)
        entries = audit.newest(query["limit"], before=query.get("before"))
        rows = [{"id": entry.pk, **{name: getattr(entry, name) for name in COLUMNS}} for entry in entries]
        return Response({"entries": rows, "next_before": entries[-1].pk if len(entries) == query["limit"] else None})
