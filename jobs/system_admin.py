"""The administration's page on the system."""

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from jobs.access import VIEW_ALL
from jobs.admin_rows import actor_of
from jobs.presentation.system_page import system_page


@require_safe
@never_cache
def system(request: HttpRequest) -> HttpResponse:
    """How poller, processes, providers, webhooks and retention are doing, for who may see everybody's jobs."""
    if not actor_of(request).can(VIEW_ALL):
        raise PermissionDenied
    context = {**admin.site.each_context(request), "title": _("System"), "system": system_page()}
    return TemplateResponse(request, "admin/system.html", context)
