"""All paths. ``/api/events`` is not among them: it is served in front of Django (simpletuner_cloud.asgi)."""

from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.utils.functional import lazy
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from jobs.api.audit import AuditView
from jobs.api.configs import ConfigListView, ConfigView
from jobs.api.errors import not_found
from jobs.api.keys import KeyListView, KeyView
from jobs.api.queue import QueueListView
from jobs.api.webhooks import WebhookView
from jobs.system_admin import system
from jobs.views.login import administration_login
from simpletuner_cloud.language import Catalogue

static_lazy = lazy(static, str)

urlpatterns = [
    # First what is asked for most: a path is held against each pattern before its own.
    path("api/cloud/", include("jobs.api.urls")),
    path("", include("jobs.urls")),
    path("api/queue", QueueListView.as_view(), name="api-queue"),
    path("api/queue/", include("jobs.api.queue_urls")),
    path("api/configs", ConfigListView.as_view(), name="api-configs"),
    path("api/configs/<str:name>", ConfigView.as_view(), name="api-config"),
    path("api/webhooks/<str:provider>", WebhookView.as_view(), name="api-webhook"),
    path("api/keys", KeyListView.as_view(), name="api-keys"),
    path("api/keys/<int:key_id>", KeyView.as_view(), name="api-key"),
    path("api/audit", AuditView.as_view(), name="api-audit"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    re_path(r"^api(?:/[\s\S]*)?$", not_found),  # a path may have line ends in it
    path("admin/login/", administration_login),
    path("admin/system/", admin.site.admin_view(system), name="admin-system"),
    path("admin/", admin.site.urls),
    # Browsers ask for it on pages that name no icon: the admin and the API's documentation.
    path("favicon.ico", login_not_required(RedirectView.as_view(url=static_lazy("img/favicon.svg")))),
    path("i18n.js", login_not_required(Catalogue.as_view()), name="javascript-catalog"),
]

handler403 = "jobs.views.refusals.forbidden"
handler500 = "jobs.api.errors.server_error"
