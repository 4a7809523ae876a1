"""Who may read which stream."""

from django.conf import settings
from django_eventstream.channelmanager import ChannelManagerBase


def jobs_channel() -> str:
    """The name under which this store publishes.

    django-eventstream publishes for everybody on one channel of Redis: what a sandbox and a real store say there is
    told apart by this name alone.
    """
    return f"{settings.REDIS_KEY_PREFIX}jobs"


class JobChannelManager(ChannelManagerBase):
    """Denies every channel of django-eventstream's own views: readers are served by ``jobs.stream`` alone."""

    def can_read_channel(self, user: object, channel: str) -> bool:  # noqa: ARG002
        return False

    def is_channel_reliable(self, channel: str) -> bool:  # noqa: ARG002
        # Nothing is replayed from there: the status history is the event log.
        return False
