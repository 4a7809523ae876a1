"""The pages of the dashboard. A trailing slash makes no difference, and no redirect."""

from django.urls import path

from jobs.views import account, actions, login, pages

urlpatterns = [
    path("", pages.dashboard, name="dashboard"),
    path("sync", actions.sync_jobs, name="sync"),
    path("sync/history", actions.import_history, name="history-import"),
    path("sync/history/stop", actions.stop_history_import, name="history-stop"),
    path("jobs/<str:job_id>", pages.job, name="job"),
    path("jobs/<str:job_id>/", pages.job),
    path("jobs/<str:job_id>/cancel", actions.cancel_job, name="job-cancel"),
    path("jobs/<str:job_id>/cancel/", actions.cancel_job),
    path("jobs/<str:job_id>/saved.log", pages.job_log, name="job-log"),
    path("login", login.log_in, name="login"),
    path("logout", login.log_out, name="logout"),
    path("account", account.account, name="account"),
    path("account/password", login.change_password, name="password"),
    path("account/keys/<int:key_id>/revoke", account.revoke_key, name="key-revoke"),
    path("fragments/jobs", pages.job_list_fragment, name="fragment-jobs"),
    path("fragments/history-import", pages.history_import_fragment, name="fragment-history-import"),
    path("fragments/metrics", pages.metrics_fragment, name="fragment-metrics"),
    path("fragments/notices", pages.notices_fragment, name="fragment-notices"),
    path("fragments/jobs/<str:job_id>", pages.job_fragment, name="fragment-job"),
    path("fragments/jobs/<str:job_id>/log-state", pages.log_state_fragment, name="fragment-log-state"),
]
