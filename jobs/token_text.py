"""What a token may look like, and how much of it is ever shown. Pure."""

LONGEST_TOKEN = 512
# Of a shorter one, four characters would be too much of it.
SHORTEST_TOLD = 12
MASK = "••••"


def checked_token(token: object) -> str:
    """The token without surrounding blanks. Raises ``ValueError``, which never repeats it."""
    text = token.strip() if isinstance(token, str) else ""
    if not text:
        raise ValueError("must not be empty")
    # Anything else could not be sent as a header.
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("holds characters that no token has")
    if len(text) > LONGEST_TOKEN:
        raise ValueError(f"is longer than any token ({LONGEST_TOKEN} characters)")
    return text


def last_four(token: str) -> str:
    """The end of a token, by which its owner knows it; empty for a short one."""
    return token[-4:] if len(token) >= SHORTEST_TOLD else ""


def masked(ending: str) -> str:
    """How a token is shown of which only the end is known."""
    return f"{MASK}{ending}"
