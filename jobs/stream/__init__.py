"""``GET /api/events`` (SPEC A6): server-sent events as pure ASGI, in front of Django.

A stream served by Django would hold a thread, and with it a database connection, for as long as a page is open.
"""

from jobs.stream.endpoint import EventStream

__all__ = ("EventStream",)
