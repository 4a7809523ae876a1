import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from pytest_django import Settings

from jobs import token_cipher
from jobs.token_cipher import TokenUnreadable

TOKEN = "r8_0123456789abcdefghij"


def test_key_is_made_at_first_need_for_its_owner_alone(home: Path) -> None:
    file = home / "credentials_key"
    with pytest.raises(TokenUnreadable, match="there is no key"):
        token_cipher.decrypt(b"x")
    assert not file.exists()
    ciphertext = token_cipher.encrypt(TOKEN)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert TOKEN.encode() not in ciphertext
    assert token_cipher.decrypt(ciphertext) == TOKEN
    assert [path.name for path in home.iterdir()] == ["credentials_key"]


def test_key_of_the_environment_leaves_no_file(home: Path, settings: Settings) -> None:
    settings.CREDENTIALS_KEYS = (token_cipher.new_key(),)
    assert token_cipher.decrypt(token_cipher.encrypt(TOKEN)) == TOKEN
    assert not (home / "credentials_key").exists()


def test_first_key_encrypts_and_all_decrypt(home: Path, settings: Settings) -> None:
    old, new = token_cipher.new_key(), token_cipher.new_key()
    settings.CREDENTIALS_KEYS = (old,)
    ciphertext = token_cipher.encrypt(TOKEN)
    settings.CREDENTIALS_KEYS = (new, old)
    assert token_cipher.decrypt(ciphertext) == TOKEN
    rotated = token_cipher.with_first_key(ciphertext)
    assert Fernet(new).decrypt(rotated).decode() == TOKEN
    assert token_cipher.with_first_key(rotated) == rotated


def test_key_in_the_file_goes_on_decrypting_beside_the_environments(home: Path, settings: Settings) -> None:
    ciphertext = token_cipher.encrypt(TOKEN)
    settings.CREDENTIALS_KEYS = (token_cipher.new_key(),)
    assert token_cipher.decrypt(ciphertext) == TOKEN


@pytest.mark.parametrize("content", [b"", b"not a key", b"\xff\xfe", pytest.param(Fernet.generate_key(), id="another")])
def test_lost_spoiled_or_other_key_is_told_and_nothing_else_happens(
    home: Path, settings: Settings, content: bytes
) -> None:
    ciphertext = token_cipher.encrypt(TOKEN)
    (home / "credentials_key").write_bytes(content)
    with pytest.raises(TokenUnreadable) as caught:
        token_cipher.decrypt(ciphertext)
    assert TOKEN not in str(caught.value)
    settings.CREDENTIALS_KEYS = (token_cipher.new_key(),)
    with pytest.raises(TokenUnreadable):
        token_cipher.decrypt(ciphertext)


@pytest.mark.parametrize("text", ["", "x", "passphrase of mine", "A" * 44, "é" * 43])
def test_what_is_no_key_is_known(text: str) -> None:
    assert token_cipher.is_key(text) is False
    assert token_cipher.is_key(token_cipher.new_key())
