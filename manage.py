#!/usr/bin/env python
"""Django's command line for SimpleTuner Cloud."""

import os
import sys

from simpletuner_cloud.refusals import plain_refusals


def main() -> None:
    """Run the command that the arguments name."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "simpletuner_cloud.settings")
    with plain_refusals():
        try:
            from django.core.management import execute_from_command_line

            execute_from_command_line(sys.argv)
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
