"""What several pages of the administration have in common."""

from typing import Any

from django.http import HttpRequest


class ReadOnlyMixin:
    """Shown, but neither added, changed nor deleted by hand: these rows are the record of what happened."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False
