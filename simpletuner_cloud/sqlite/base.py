"""Django assumes 999 parameters a query, SQLite's limit before 3.32 (2020). At that limit one discovery of 100 jobs
would be split into several INSERTs; with the true one it is a single query, as on PostgreSQL."""

from django.db.backends.sqlite3 import base, features


class DatabaseFeatures(features.DatabaseFeatures):
    """SQLite 3.32 and later; Python 3.11 is built with newer ones everywhere we run."""

    max_query_params = 32_766


class DatabaseWrapper(base.DatabaseWrapper):
    """The stock backend with the features above."""

    features_class = DatabaseFeatures
