"""Static files under names that carry their content's hash, also where ES modules import each other."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedModulesStorage(CompressedManifestStaticFilesStorage):
    """Django can rewrite ``import`` statements, but asks to be told; files of other packages may stay incomplete."""

    support_js_module_import_aggregation = True
    manifest_strict = False
