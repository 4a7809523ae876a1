"""Whose store this is: the sandbox's or the real account's. The two never mix (SPEC B1.3)."""

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction

from jobs.models import StoreClaim


@transaction.atomic
def claim_store(mode: str) -> None:
    """Claim an unclaimed database for ``mode``. Raises ``ImproperlyConfigured`` if it belongs to the other one."""
    claim = StoreClaim.objects.select_for_update().first()
    if claim is None:
        StoreClaim.objects.create(mode=mode)
    elif claim.mode != mode:
        raise ImproperlyConfigured(
            f"This database holds the {claim.mode} store, but we were started for the {mode} one: REPLICATE_API_TOKEN "
            f"decides which. Point DATABASE_URL at another database, or start with the settings it was made with."
        )
