"""Letting people in by their password, and slowing down whoever guesses."""

import hashlib
from dataclasses import dataclass

from django.contrib.auth import get_user_model

from jobs.access import Actor
from jobs.client_address import address_group
from jobs.models import AuditOutcome
from jobs.services import audit
from jobs.services.rate_limits import Counted, Growing, begin_try, forgive, give_back

# Of an account: by whomever, so that many addresses are no way around it. The longest pause is one that its owner can
# wait for, whom a stranger's guesses keep out meanwhile.
TRIES_PER_ACCOUNT = 5
# Of an address: colleagues behind one router share theirs.
TRIES_PER_ADDRESS = 20
PASSWORDS = Growing(first_pause_seconds=5.0, longest_pause_seconds=300.0, remembered_seconds=3600.0)
# Of an address that shows keys which are none. Right keys are taken all the while.
BAD_KEYS_PER_ADDRESS = 20
KEYS = Growing(first_pause_seconds=5.0, longest_pause_seconds=60.0, remembered_seconds=600.0)


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """Somebody at the door: the name they gave, and where they come from."""

    name: str
    address: str

    def begin(self) -> float | None:
        """Count the attempt before the password is looked at; the seconds to wait if it must not be made now."""
        return begin_try([Counted(self._account, TRIES_PER_ACCOUNT), Counted(self._from, TRIES_PER_ADDRESS)], PASSWORDS)

    def succeeded(self, actor: Actor) -> None:
        """The password was right. Other guesses from the address still count: one account is no licence to try."""
        self.forgive()
        audit.record(actor, "login")

    def forgive(self) -> None:
        """The password was right, whatever came of it."""
        forgive(self._account)
        give_back(self._from)

    def failed(self) -> None:
        """Write it down. A name that is no account's is left out: people type their password there."""
        is_known = get_user_model().objects.filter(username=self.name).exists() if "\x00" not in self.name else False
        stranger = Actor(
            user_id=None,
            name=self.name if is_known else "",
            permissions=frozenset(),
            via="login",
            address=self.address,
        )
        audit.record(stranger, "login", outcome=AuditOutcome.REFUSED)

    @property
    def _account(self) -> str:
        # The name may be anything, of any length.
        return f"login:account:{hashlib.sha256(self.name.casefold().encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"

    @property
    def _from(self) -> str:
        return f"login:address:{address_group(self.address)}"


def note_bad_key(address: str) -> float | None:
    """Count a key that opens nothing; the seconds to wait if there were too many from there."""
    return begin_try([Counted(f"key:address:{address_group(address)}", BAD_KEYS_PER_ADDRESS)], KEYS)
