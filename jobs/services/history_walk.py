"""Walking through a provider's whole history to rebuild a lost store (SPEC A2.4)."""


def advance() -> None:
    """Take the next steps of the walks that are under way."""
