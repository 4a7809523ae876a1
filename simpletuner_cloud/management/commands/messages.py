"""``manage.py messages``: collect the texts of the source into ``locale``, and compile the translations."""

import shutil
import subprocess
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

DOMAINS = {"django": ["py", "html"], "djangojs": ["js"]}
# What no reader of a page sees, and what is not ours.
ELSEWHERE = ["locale", "tests", "docs", "benchmarks", "var", "static/vendor", ".venv"]
PROGRAMS = ("xgettext", "msgmerge", "msguniq", "msgattrib", "msgfmt")
INSTALL = "Debian, Ubuntu: sudo apt-get install gettext; macOS: brew install gettext"
# It changes with every run, and tells nothing that the history of the file does not.
NOISE = '"POT-Creation-Date:'


class Command(BaseCommand):
    """Texts are taken from the folder that one is in; they are put where the settings say."""

    help = "Collect the texts of the source into locale, and compile the translations."

    def handle(self, *_args: object, **_options: object) -> None:
        """Both catalogues of each language but English, whose texts are the source's."""
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if missing:
            raise CommandError(f"GNU gettext is needed ({', '.join(missing)} not found). {INSTALL}")
        languages = [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]
        folder = Path(settings.LOCALE_PATHS[0])
        folder.mkdir(exist_ok=True)
        for domain, extensions in DOMAINS.items():
            call_command(
                "makemessages",
                locale=languages,
                domain=domain,
                extensions=extensions,
                ignore_patterns=ELSEWHERE,
                add_location="file",
                no_obsolete=True,
                no_wrap=True,
                verbosity=0,
            )
        for catalogue in sorted(folder.rglob("*.po")):
            lines = catalogue.read_text(encoding="utf-8").splitlines(keepends=True)
            catalogue.write_text("".join(line for line in lines if not line.startswith(NOISE)), encoding="utf-8")
            self.stdout.write(f"{catalogue.relative_to(folder)}: {compiled(catalogue)}")


def compiled(catalogue: Path) -> str:
    """Write the compiled form beside it, and return how much is translated. Raises ``CommandError`` if it is wrong."""
    command = ["msgfmt", "--check", "--statistics", "--output-file", str(catalogue.with_suffix(".mo")), str(catalogue)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(done.stderr)
    return done.stderr.strip()
