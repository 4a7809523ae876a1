"""Encrypting tokens with keys that are not in the database.

The keys are those of ``SIMPLETUNER_CREDENTIALS_KEY``, of which the first encrypts, else one of our own in a file below
the home directory, made when it is first needed. A key in the file goes on decrypting beside those of the variable.
"""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from jobs.key_file import load_or_make


class TokenUnreadable(Exception):
    """A stored token cannot be decrypted: its key is lost, or another one."""


def encrypt(token: str) -> bytes:
    """Encrypt with the first key. Raises ``OSError`` if none is set and none can be kept."""
    return Fernet(_first_key()).encrypt(token.encode("ascii"))


def decrypt(ciphertext: bytes) -> str:
    """Raises ``TokenUnreadable``."""
    keys = _known_keys()
    if not keys:
        raise TokenUnreadable("there is no key")
    try:
        return MultiFernet([Fernet(key) for key in keys]).decrypt(ciphertext).decode("ascii")
    except (InvalidToken, ValueError) as error:
        raise TokenUnreadable("no key that is set decrypts it") from error


def with_first_key(ciphertext: bytes) -> bytes:
    """The same token, encrypted with the first key, so that older keys can be given up. Raises ``TokenUnreadable``."""
    token = decrypt(ciphertext)
    try:
        Fernet(_first_key()).decrypt(ciphertext)
    except InvalidToken:
        return encrypt(token)
    return ciphertext


def is_key(text: str) -> bool:
    """Whether a text is a key: 32 bytes in URL-safe base64."""
    try:
        Fernet(text)
    except ValueError:
        return False
    return True


def new_key() -> str:
    """A key that nobody has."""
    return Fernet.generate_key().decode("ascii")


def _first_key() -> str:
    given = settings.CREDENTIALS_KEYS
    return given[0] if given else load_or_make(settings.CREDENTIALS_KEY_FILE, new_key)


def _known_keys() -> list[str]:
    """Every key at hand. None is made: what is to be decrypted was encrypted with one that existed."""
    try:
        kept = settings.CREDENTIALS_KEY_FILE.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        kept = ""
    return [*settings.CREDENTIALS_KEYS, *([kept] if is_key(kept) else [])]
