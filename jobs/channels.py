"""Who may read which stream."""

from django_eventstream.channelmanager import ChannelManagerBase

JOBS = "jobs"


class JobChannelManager(ChannelManagerBase):
    """Denies every channel of django-eventstream's own views: readers are served by ``jobs.stream`` alone."""

    def can_read_channel(self, user: object, channel: str) -> bool:  # noqa: ARG002
        return False

    def is_channel_reliable(self, channel: str) -> bool:  # noqa: ARG002
        # Nothing is replayed from there: the status history is the event log.
        return False
