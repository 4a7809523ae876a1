"""The paths of the contract. A trailing slash is optional everywhere (see ``OptionalTrailingSlashMiddleware``)."""

from django.urls import path

from jobs.api import budgets, cancelling, claims, spend, views
from jobs.api.data_consent import DataConsentPreviewView
from jobs.api.provider_config import ProviderConfigView
from jobs.api.provider_status import ProviderStatusView, ProviderValidateAliasView
from jobs.api.provider_tokens import ProviderTokenView, ReplicateTokenView
from jobs.api.series import JobSeriesView
from jobs.api.submitting import JobRetryView, JobSubmissionView, SubmitView
from jobs.api.uploads import UploadListView, UploadView

urlpatterns = [
    path("jobs", views.JobListView.as_view(), name="api-jobs"),
    path("jobs/sync", views.JobSyncView.as_view(), name="api-jobs-sync"),
    path("jobs/sync/history", views.HistoryWalkView.as_view(), name="api-jobs-sync-history"),
    path("jobs/submit", SubmitView.as_view(), name="api-jobs-submit"),
    path("jobs/<str:job_id>/retry", JobRetryView.as_view(), name="api-job-retry"),
    path("jobs/<str:job_id>/submission", JobSubmissionView.as_view(), name="api-job-submission"),
    path("uploads", UploadListView.as_view(), name="api-uploads"),
    path("uploads/<str:upload_id>", UploadView.as_view(), name="api-upload"),
    path("jobs/cancel", cancelling.JobsCancelView.as_view(), name="api-jobs-cancel"),
    path("jobs/<str:job_id>", views.JobDetailView.as_view(), name="api-job"),
    path("jobs/<str:job_id>/inline-progress", views.JobProgressView.as_view(), name="api-job-progress"),
    path("jobs/<str:job_id>/logs", views.JobLogsView.as_view(), name="api-job-logs"),
    path("jobs/<str:job_id>/series", JobSeriesView.as_view(), name="api-job-series"),
    path("jobs/<str:job_id>/cancel", cancelling.JobCancelView.as_view(), name="api-job-cancel"),
    path("jobs/<str:job_id>/claim", claims.JobClaimView.as_view(), name="api-job-claim"),
    path("jobs/<str:job_id>/ignore", claims.JobIgnoreView.as_view(), name="api-job-ignore"),
    path("jobs/<str:job_id>/unignore", claims.JobUnignoreView.as_view(), name="api-job-unignore"),
    path("jobs/<str:job_id>/budget", budgets.JobBudgetView.as_view(), name="api-job-budget"),
    path("spend", spend.SpendView.as_view(), name="api-spend"),
    path("metrics", views.MetricsView.as_view(), name="api-metrics"),
    path("metrics/prometheus", views.PrometheusView.as_view(), name="api-metrics-prometheus"),
    path("health", views.HealthView.as_view(), name="api-health"),
    path("health/live", views.LivenessView.as_view(), name="api-health-live"),
    path("health/ready", views.ReadinessView.as_view(), name="api-health-ready"),
    path("providers", views.ProviderListView.as_view(), name="api-providers"),
    path("providers/<str:provider>/validate", views.ProviderValidateView.as_view(), name="api-provider-validate"),
    path("providers/<str:provider>/config", ProviderConfigView.as_view(), name="api-provider-config"),
    path("data-consent/preview", DataConsentPreviewView.as_view(), name="api-data-consent-preview"),
    path("<str:provider>/status", ProviderStatusView.as_view(), name="api-provider-status"),
    path("<str:provider>/validate", ProviderValidateAliasView.as_view(), name="api-provider-validate-alias"),
    path("providers/<str:provider>/token", ProviderTokenView.as_view(), name="api-provider-token"),
    path("replicate/token", ReplicateTokenView.as_view(), name="api-replicate-token"),
]
