"""The pages of the dashboard. A trailing slash makes no difference, and no redirect."""

from django.urls import path

from jobs.views import actions, job_actions, pages, spend

urlpatterns = [
    path("", pages.dashboard, name="dashboard"),
    path("sync", actions.sync_jobs, name="sync"),
    path("sync/history", actions.import_history, name="history-import"),
    path("sync/history/stop", actions.stop_history_import, name="history-stop"),
    path("jobs/<str:job_id>", pages.job, name="job"),
    path("jobs/<str:job_id>/", pages.job),
    path("jobs/<str:job_id>/cancel", actions.cancel_job, name="job-cancel"),
    path("jobs/<str:job_id>/cancel/", actions.cancel_job),
    path("jobs/<str:job_id>/delete", job_actions.delete_job, name="job-delete"),
    path("jobs/<str:job_id>/claim", job_actions.claim_job, name="job-claim"),
    path("jobs/<str:job_id>/ignore", job_actions.ignore_job, name="job-ignore"),
    path("jobs/<str:job_id>/unignore", job_actions.unignore_job, name="job-unignore"),
    path("jobs/<str:job_id>/budget", job_actions.set_budget, name="job-budget"),
    path("unclaimed/claim", job_actions.claim_shown, name="unclaimed-claim"),
    path("unclaimed/snooze", job_actions.snooze_unclaimed, name="unclaimed-snooze"),
    path("spend", spend.spend, name="spend"),
    path("spend/", spend.spend),
    path("spend/limits/<str:provider>", spend.set_limit, name="spend-limit"),
    path("jobs/<str:job_id>/saved.log", pages.job_log, name="job-log"),
    path("fragments/jobs", pages.job_list_fragment, name="fragment-jobs"),
    path("fragments/history-import", pages.history_import_fragment, name="fragment-history-import"),
    path("fragments/metrics", pages.metrics_fragment, name="fragment-metrics"),
    path("fragments/notices", pages.notices_fragment, name="fragment-notices"),
    path("fragments/jobs/<str:job_id>", pages.job_fragment, name="fragment-job"),
    path("fragments/jobs/<str:job_id>/log-state", pages.log_state_fragment, name="fragment-log-state"),
]
