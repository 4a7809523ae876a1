"""Who asks for a page, and whether they may."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from jobs.access import Actor

P = ParamSpec("P")
# Of a view's parameters the first is called ``request`` everywhere, which the type cannot say.
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def actor_of(request: HttpRequest) -> Actor:
    """The actor that the middleware found; pages are for nobody else."""
    actor: Actor = request.actor  # type: ignore[attr-defined]
    return actor


def needs(permission: str) -> Callable[[View[P]], View[P]]:
    """A page for those who have a permission; everybody else is told that it is not for them."""

    def protect(view: View[P]) -> View[P]:
        @wraps(view)
        def protected(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not actor_of(request).can(permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return cast("View[P]", protected)

    return protect
