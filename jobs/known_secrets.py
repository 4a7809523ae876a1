"""The secrets that this process holds, so that whatever it writes down can be freed of them at the last moment.

The rule is that none is ever given to a log. This is for what nobody thought of: an error of a library that repeats a
password, a value in a traceback.
"""

from urllib.parse import quote, unquote, urlsplit

from jobs.token_text import last_four, masked

# Words shorter than that may stand in any text.
SHORTEST = 8

_known: dict[str, str] = {}


def remember(*secrets: str) -> None:
    """From now on these are masked. What is too short to be told from plain words is not."""
    for secret in secrets:
        if len(secret) >= SHORTEST:
            for form in {secret, quote(secret, safe="")}:
                _known[form] = masked(last_four(secret))


def remember_password(url: str) -> None:
    """The same for the password in a URL, as it stands there and as it is meant."""
    password = urlsplit(url).password or ""
    remember(password, unquote(password))


def without_secrets(text: str) -> str:
    """The text with every known secret masked."""
    # A copy: another thread may just be remembering one.
    for secret, mask in list(_known.items()):
        if secret in text:
            text = text.replace(secret, mask)
    return text


def forget_secrets() -> None:
    """Remember none any more."""
    _known.clear()
