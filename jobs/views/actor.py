"""Who asks for a page."""

from django.http import HttpRequest

from jobs.access import Actor


def actor_of(request: HttpRequest) -> Actor:
    """The actor that the middleware found; pages are for nobody else."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    return actor
