"""The pages of the dashboard. A trailing slash makes no difference, and no redirect."""

from django.urls import path

from jobs.views import actions, configs, pages, submitting

urlpatterns = [
    path("", pages.dashboard, name="dashboard"),
    path("sync", actions.sync_jobs, name="sync"),
    path("sync/history", actions.import_history, name="history-import"),
    path("sync/history/stop", actions.stop_history_import, name="history-stop"),
    path("jobs/new", submitting.new_job, name="job-new"),
    path("jobs/new/", submitting.new_job),
    path("jobs/<str:job_id>/retry", submitting.retry_job, name="job-retry"),
    path("configs", configs.config_list, name="configs"),
    path("configs/", configs.config_list),
    path("configs/new", configs.new_config, name="config-new"),
    path("configs/<str:name>/edit", configs.edit_config, name="config-edit"),
    path("configs/<str:name>/delete", configs.delete_config, name="config-delete"),
    path("jobs/<str:job_id>", pages.job, name="job"),
    path("jobs/<str:job_id>/", pages.job),
    path("jobs/<str:job_id>/cancel", actions.cancel_job, name="job-cancel"),
    path("jobs/<str:job_id>/cancel/", actions.cancel_job),
    path("jobs/<str:job_id>/saved.log", pages.job_log, name="job-log"),
    path("fragments/jobs", pages.job_list_fragment, name="fragment-jobs"),
    path("fragments/history-import", pages.history_import_fragment, name="fragment-history-import"),
    path("fragments/metrics", pages.metrics_fragment, name="fragment-metrics"),
    path("fragments/notices", pages.notices_fragment, name="fragment-notices"),
    path("fragments/jobs/<str:job_id>", pages.job_fragment, name="fragment-job"),
    path("fragments/jobs/<str:job_id>/log-state", pages.log_state_fragment, name="fragment-log-state"),
]
