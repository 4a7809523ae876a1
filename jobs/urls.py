"""The pages of the dashboard. A trailing slash makes no difference, and no redirect."""

from django.urls import path

from jobs.views import actions, job_tabs, pages

urlpatterns = [
    path("", pages.dashboard, name="dashboard"),
    path("sync", actions.sync_jobs, name="sync"),
    path("sync/history", actions.import_history, name="history-import"),
    path("sync/history/stop", actions.stop_history_import, name="history-stop"),
    path("jobs/<str:job_id>", job_tabs.overview, name="job"),
    path("jobs/<str:job_id>/", job_tabs.overview),
    path("jobs/<str:job_id>/logs", job_tabs.logs, name="job-logs"),
    path("jobs/<str:job_id>/logs/", job_tabs.logs),
    path("jobs/<str:job_id>/charts", job_tabs.charts, name="job-charts"),
    path("jobs/<str:job_id>/charts/", job_tabs.charts),
    path("jobs/<str:job_id>/config", job_tabs.config, name="job-config"),
    path("jobs/<str:job_id>/config/", job_tabs.config),
    path("jobs/<str:job_id>/events", job_tabs.events, name="job-events"),
    path("jobs/<str:job_id>/events/", job_tabs.events),
    path("jobs/<str:job_id>/cost", job_tabs.cost, name="job-cost"),
    path("jobs/<str:job_id>/cost/", job_tabs.cost),
    path("jobs/<str:job_id>/cancel", actions.cancel_job, name="job-cancel"),
    path("jobs/<str:job_id>/cancel/", actions.cancel_job),
    path("jobs/<str:job_id>/saved.log", pages.job_log, name="job-log"),
    path("fragments/jobs", pages.job_list_fragment, name="fragment-jobs"),
    path("fragments/history-import", pages.history_import_fragment, name="fragment-history-import"),
    path("fragments/metrics", pages.metrics_fragment, name="fragment-metrics"),
    path("fragments/notices", pages.notices_fragment, name="fragment-notices"),
    path("fragments/jobs/<str:job_id>", pages.job_fragment, name="fragment-job"),
    path("fragments/jobs/<str:job_id>/log-state", pages.log_state_fragment, name="fragment-log-state"),
    path("fragments/jobs/<str:job_id>/facts", job_tabs.facts_fragment, name="fragment-job-facts"),
    path("fragments/jobs/<str:job_id>/tail", job_tabs.tail_fragment, name="fragment-job-tail"),
    path("fragments/jobs/<str:job_id>/events", job_tabs.events_fragment, name="fragment-job-events"),
    path("fragments/jobs/<str:job_id>/cost", job_tabs.cost_fragment, name="fragment-job-cost"),
]
