"""The product's settings for tests: a state folder of their own, a real Redis, SQLite or PostgreSQL."""

import os
import tempfile

from tests import servers

os.environ["SIMPLETUNER_CLOUD_HOME"] = tempfile.mkdtemp(prefix="simpletuner-test-")
os.environ["SIMPLETUNER_ENTERPRISE_CONFIG"] = os.path.join(os.environ["SIMPLETUNER_CLOUD_HOME"], "enterprise.yaml")
for name in (
    "REPLICATE_API_TOKEN",
    "SIMPLETUNER_CREDENTIALS_KEY",
    "SIMPLETUNER_JOB_POLL_INTERVAL",
    "SIMPLETUNER_PRIVATE_NETWORKS_ALLOWED",
    "SIMPLETUNER_STORE",
    "DATABASE_URL",
    "SIMPLETUNER_HOST",
):
    os.environ.pop(name, None)
os.environ["REDIS_URL"] = servers.redis_url()
if os.environ.get("TEST_DATABASE", "sqlite") == "postgresql":
    os.environ["DATABASE_URL"] = servers.postgresql_url()

from simpletuner_cloud.settings import *  # noqa: E402, F403
from simpletuner_cloud.settings import DATABASES, STORE_DIR  # noqa: E402

# A file, so that a server in another thread or process sees the same database.
DATABASES["default"]["TEST"] = (
    {"NAME": str(STORE_DIR / "test.sqlite3")} if "sqlite" in DATABASES["default"]["ENGINE"] else {}
)
# Servers in threads come and go: none of their connections may outlive its request.
DATABASES["default"]["CONN_MAX_AGE"] = 0
PROVIDERS = {
    "replicate": {
        "token": "test-token",
        "base_url": "https://replicate.invalid",
        "status_url": "https://status.invalid/api/v1/summary",
    }
}
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
