"""The static files that ``collectstatic`` gathers, and the names under which they are served."""

from typing import Any

from django.contrib.staticfiles.apps import StaticFilesConfig
from whitenoise.storage import CompressedManifestStaticFilesStorage


class OwnStaticFilesConfig(StaticFilesConfig):
    """Django's, without what no page of ours asks for: it is most of the files, and a fresh start waits for each."""

    ignore_patterns = [
        *StaticFilesConfig.ignore_patterns,
        # Browsers ask for these with their tools open only.
        "*.js.map",
        # rest_framework's own pages, which our renderers do not write.
        "rest_framework",
        # Of the two readers of the API's schema we serve Swagger UI.
        "redoc",
    ]


class HashedModulesStorage(CompressedManifestStaticFilesStorage):
    """Django can rewrite ``import`` statements, but asks to be told; files of other packages may stay incomplete."""

    support_js_module_import_aggregation = True
    manifest_strict = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Only our own scripts import each other: looking through the bundles of others takes two seconds.
        self._patterns: dict[str, Any] = {
            ("js/*.js" if glob == "*.js" else glob): patterns for glob, patterns in self._patterns.items()
        }
