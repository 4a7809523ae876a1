"""``manage.py retention``: what is old enough to be deleted, and deleting it."""

from collections import Counter
from typing import Any

import redis
from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.services import retention


class Command(BaseCommand):
    """Prints what would go, or deletes all of it in small batches; the hourly task does the same a little at a time."""

    help = "Shows what the retention settings would delete (--dry-run), or deletes it (--apply)."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        choice = parser.add_mutually_exclusive_group(required=True)
        choice.add_argument("--dry-run", action="store_true", help="print counts and oldest dates, delete nothing")
        choice.add_argument("--apply", action="store_true", help="delete everything that is due")

    def handle(self, *_args: object, dry_run: bool, **_options: Any) -> None:
        if dry_run:
            self._show()
        else:
            self._apply()

    def _show(self) -> None:
        self.stdout.write(f"{'table':20} {'due':>12}  oldest (UTC)")
        for due in retention.preview():
            count = "kept" if due.count is None else f"{due.count:,}"
            self.stdout.write(f"{due.table:20} {count:>12}  {f'{due.oldest:%Y-%m-%d %H:%M}' if due.oldest else '-'}")

    def _apply(self) -> None:
        batches: Counter[str] = Counter()

        def tell(table: str, rows: int) -> None:
            batches[table] += 1
            # A line for each would be thousands.
            if batches[table] % 20 == 1:
                self.stdout.write(f"{table}: {rows:,} in batch {batches[table]:,}")

        total: Counter[str] = Counter()
        while True:
            try:
                gone = retention.run(on_batch=tell)
            except redis.RedisError as error:
                raise CommandError(
                    f"Redis does not answer: whether another run is at it is not known. {error}"
                ) from error
            if gone is None:
                raise CommandError("Another process is deleting old rows just now.")
            total.update(gone)
            if not any(gone.values()):
                break
        for table, count in total.items():
            self.stdout.write(f"{table:20} {count:>12,} gone")
