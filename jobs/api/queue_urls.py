"""The paths below ``/api/queue``."""

from django.urls import path

from jobs.api import queue

urlpatterns = [
    path("stats", queue.QueueStatsView.as_view(), name="api-queue-stats"),
    path("me", queue.OwnQueueView.as_view(), name="api-queue-me"),
    path("concurrency", queue.QueueConcurrencyView.as_view(), name="api-queue-concurrency"),
    path("process", queue.QueueProcessView.as_view(), name="api-queue-process"),
    path("cleanup", queue.QueueCleanupView.as_view(), name="api-queue-cleanup"),
    path("position/<str:job_id>", queue.QueuePositionView.as_view(), name="api-queue-position"),
    path("<str:job_id>/cancel", queue.QueueCancelView.as_view(), name="api-queue-cancel"),
    path("<str:job_id>/priority", queue.QueuePriorityView.as_view(), name="api-queue-priority"),
    path("<str:job_id>/send-again", queue.QueueSendAgainView.as_view(), name="api-queue-send-again"),
]
