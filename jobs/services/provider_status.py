"""What a provider's public status page says of it. It changes no job, and its trouble says nothing of the API's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from jobs import coordination
from jobs.services.provider_config import require_provider
from jobs.services.shared_errors import outcome_of, result_of
from providers import registry
from providers.errors import ProviderError
from providers.snapshots import StatusPage

# Such a page is written by people; asking it more often brings nothing.
FRESH_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The page as it was within the last minute, or why it could not be read."""

    page: StatusPage | None = None
    error: str | None = None

    @property
    def is_operational(self) -> bool | None:
        """Whether nothing is wrong and nothing is being worked on; ``None``: not known."""
        return None if self.page is None else not (self.page.incidents or self.page.maintenances)


def status_report(provider: str) -> StatusReport:
    """Read the page; all who ask within a minute share what one of them read. Raises ``UnknownProvider``."""
    require_provider(provider)
    outcome = coordination.single_flight(
        f"status-page:{provider}", partial(outcome_of, partial(_ask, provider)), fresh_seconds=FRESH_SECONDS
    ).value
    try:
        facts = result_of(outcome)
    except ProviderError as error:
        return StatusReport(error=error.message)
    return StatusReport(page=StatusPage(**facts))


def _ask(provider: str) -> Mapping[str, Any]:
    return asdict(registry.get_provider(provider).status_page())
