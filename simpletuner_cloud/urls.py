"""All paths. ``/api/events`` is not among them: it is served in front of Django (simpletuner_cloud.asgi)."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.utils.functional import lazy
from django.views.generic import RedirectView
from django.views.i18n import JavaScriptCatalog
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from jobs.api.configs import ConfigListView, ConfigView
from jobs.api.errors import not_found
from jobs.api.webhooks import WebhookView

static_lazy = lazy(static, str)

urlpatterns = [
    path("", include("jobs.urls")),
    path("api/cloud/", include("jobs.api.urls")),
    path("api/configs", ConfigListView.as_view(), name="api-configs"),
    path("api/configs/<str:name>", ConfigView.as_view(), name="api-config"),
    path("api/webhooks/<str:provider>", WebhookView.as_view(), name="api-webhook"),
    path("api/schema", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    re_path(r"^api(?:/.*)?$", not_found),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    # Browsers ask for it on pages that name no icon: the admin and the API's documentation.
    path("favicon.ico", RedirectView.as_view(url=static_lazy("img/favicon.svg"))),
    path("i18n.js", JavaScriptCatalog.as_view(packages=["jobs"]), name="javascript-catalog"),
]

handler500 = "jobs.api.errors.server_error"
