"""One settings module for every environment; what differs comes from environment variables.

Every variable is described in docs/operations.md and listed in .env.example.
"""

from pathlib import Path

import dj_database_url
import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs import known_secrets
from jobs.outgoing_urls import Rules
from jobs.policy import MAXIMUM_INTERVAL_SECONDS, MINIMUM_POLL_SECONDS
from jobs.webhook_url import LOOPBACK_HOSTS
from providers.names import PROVIDERS as PROVIDER_NAMES
from simpletuner_cloud import __version__, enterprise, env, logs
from simpletuner_cloud.access_mode import AccessMode, access_mode, https_origins
from simpletuner_cloud.redis_url import embedded_redis_url, redis_options
from simpletuner_cloud.secret_key import load_or_create
from simpletuner_cloud.store_mode import StoreMode, store_mode

# Generic base classes of Django, such as ModelAdmin[UnifiedJob], can be written as annotated only with this.
django_stubs_ext.monkeypatch()

BASE_DIR = Path(__file__).resolve().parent.parent
VERSION = __version__

# Where and how we listen (SPEC B1.2)

HOST = env.text("SIMPLETUNER_HOST", "127.0.0.1")
PORT = env.integer("SIMPLETUNER_PORT", 8001, minimum=1, maximum=65535)
DEBUG = env.flag("SIMPLETUNER_DEBUG", False)
ACCESS = access_mode(env.text("SIMPLETUNER_ACCESS", AccessMode.SINGLE_USER), host=HOST, is_debug=DEBUG)
SINGLE_USER = ACCESS is AccessMode.SINGLE_USER
# Whether browsers reach us through TLS, which a proxy in front of us ends.
HTTPS = env.flag("SIMPLETUNER_HTTPS", not SINGLE_USER and HOST not in LOOPBACK_HOSTS)
EXTRA_HOSTS = env.words("SIMPLETUNER_ALLOWED_HOSTS")
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *EXTRA_HOSTS]
if HOST not in ("0.0.0.0", "::"):
    ALLOWED_HOSTS.append(f"[{HOST}]" if ":" in HOST else HOST)

# State (SPEC B1.2, B1.3): everything we write lies below HOME; the sandbox's store is apart from the real one.

HOME = Path(env.text("SIMPLETUNER_CLOUD_HOME", str(BASE_DIR / "var"))).expanduser().resolve()
REPLICATE_API_TOKEN = env.text("REPLICATE_API_TOKEN")
STORE_MODE = store_mode(REPLICATE_API_TOKEN, home=HOME, chosen=env.text("SIMPLETUNER_STORE").lower())
IS_SANDBOX = STORE_MODE is StoreMode.SANDBOX
STORE_DIR = HOME / STORE_MODE.value
# Where a token that the sandbox is given waits for the next start.
LIVE_STORE_DIR = HOME / StoreMode.LIVE.value
try:
    STORE_DIR.mkdir(parents=True, exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(f"SIMPLETUNER_CLOUD_HOME cannot be used: {error}.") from error
SECRET_KEY = load_or_create(HOME / "secret_key")
# Stored tokens are encrypted with the first, and decrypted with any of them or the one in the file (jobs.token_cipher).
CREDENTIALS_KEYS = env.keys("SIMPLETUNER_CREDENTIALS_KEY")
CREDENTIALS_KEY_FILE = HOME / "credentials_key"

DATABASE_URL = env.url("DATABASE_URL", "", schemes=("postgres", "postgresql", "sqlite"))
# Otherwise there is one database, and whichever store it holds is the only one.
EACH_STORE_HAS_ITS_DATABASE = not DATABASE_URL
if DATABASE_URL:
    try:
        DATABASES = {"default": dj_database_url.parse(DATABASE_URL, conn_max_age=600)}
    except ValueError as error:
        # The URL may hold a password: it is not repeated.
        raise ImproperlyConfigured("DATABASE_URL cannot be read as a database's URL.") from error
else:
    DATABASES = {"default": {"ENGINE": "", "NAME": str(STORE_DIR / "db.sqlite3"), "CONN_MAX_AGE": 600}}
if DATABASES["default"]["ENGINE"] in ("", "django.db.backends.sqlite3"):
    DATABASES["default"] |= {
        "ENGINE": "simpletuner_cloud.sqlite",
        # IMMEDIATE takes the write lock at the start of a transaction: a deferred one fails at once with "database is
        # locked" when another process wrote in between, whatever the timeout.
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            # SQLite's queue of writers is not fair: with twenty at once that never pause, one of them waited for 12 s
            # (benchmarks/sqlite_writers.py).
            "timeout": 30,
            "init_command": (
                "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
                "PRAGMA mmap_size=134217728;PRAGMA journal_size_limit=27103364;PRAGMA cache_size=-8000;"
            ),
        },
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # A cursor of the server's does not survive a pooler that hands out connections by the transaction.
    DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = True
    # libpq's own patience with a host that swallows packets has no end.
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 5,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 20_000,
        **DATABASES["default"].get("OPTIONS", {}),
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.url(
    "REDIS_URL",
    # Beside `make run`, a shell finds the embedded server by the note it leaves.
    embedded_redis_url(STORE_DIR / "redis") or "redis://127.0.0.1:6379/0",
    schemes=("redis", "rediss", "unix"),
)
# One Redis may serve a sandbox and a real store: their keys and queues never meet.
REDIS_KEY_PREFIX = f"simpletuner:{STORE_MODE.value}:"

# Providers (SPEC B1.2, B1.3). One without a token here has a stored one, or is not configured.

REPLICATE_API_BASE_URL = env.url("REPLICATE_API_BASE_URL", "https://api.replicate.com", schemes=("https", "http"))
REPLICATE_STATUS_URL = env.url(
    "REPLICATE_STATUS_URL", "https://www.replicatestatus.com/api/v1/summary", schemes=("https", "http")
)
SANDBOX_URL = env.url("SIMPLETUNER_SANDBOX_URL", "http://127.0.0.1:8002", schemes=("http",))
DEFAULT_SANDBOX_TOKEN = "sandbox-token-not-a-secret"
SANDBOX_TOKEN = env.text("SIMPLETUNER_SANDBOX_TOKEN", DEFAULT_SANDBOX_TOKEN)
LIVE_PROVIDERS = {"replicate": {"base_url": REPLICATE_API_BASE_URL}}
PROVIDERS = {
    "replicate": (
        {"token": SANDBOX_TOKEN, "base_url": SANDBOX_URL, "status_url": f"{SANDBOX_URL.rstrip('/')}/api/v1/summary"}
        if IS_SANDBOX
        else {"token": REPLICATE_API_TOKEN, "base_url": REPLICATE_API_BASE_URL, "status_url": REPLICATE_STATUS_URL}
    )
}

# Background work (SPEC A5)

ENTERPRISE_CONFIG = Path(env.text("SIMPLETUNER_ENTERPRISE_CONFIG", "simpletuner-enterprise.yaml"))
# Of private networks, those that webhook URLs may lead into all the same (jobs.outgoing_urls).
PRIVATE_NETWORKS_ALLOWED = env.networks("SIMPLETUNER_PRIVATE_NETWORKS_ALLOWED")
ENTERPRISE = enterprise.load(ENTERPRISE_CONFIG, Rules(allowed=PRIVATE_NETWORKS_ALLOWED, loopback=IS_SANDBOX))
JOB_POLL_INTERVAL = env.number(
    "SIMPLETUNER_JOB_POLL_INTERVAL",
    None,
    minimum=MINIMUM_POLL_SECONDS,
    maximum=MAXIMUM_INTERVAL_SECONDS,
)

# Seconds after which a job that nobody has heard of is asked for although webhooks are on; 0: never. None: the file's.
RECONCILE_INTERVAL = env.number("SIMPLETUNER_RECONCILE_INTERVAL", None, minimum=0.0, maximum=MAXIMUM_INTERVAL_SECONDS)
# All processes together; Replicate allows 3,000 a minute (its documentation, "rate limits").
PROVIDER_CALLS_PER_MINUTE = env.integer("SIMPLETUNER_PROVIDER_CALLS_PER_MINUTE", 2400, minimum=1, maximum=600_000)
# Of one job's log; what is longer is kept with its middle cut out.
LOG_ARCHIVE_BYTES = env.integer("SIMPLETUNER_LOG_ARCHIVE_MB", 32, minimum=1, maximum=1024) * 1024**2

# For how many days old rows are kept, 0: for ever (docs/retention.md). Of jobs more than the longest month: a limit of
# cost is counted over it.
RETENTION_DAYS_JOBS = env.days("SIMPLETUNER_RETENTION_DAYS_JOBS", 0, least=32)
RETENTION_DAYS_LOGS = env.days("SIMPLETUNER_RETENTION_DAYS_LOGS", 0, least=2)
RETENTION_DAYS_EVENTS = env.days("SIMPLETUNER_RETENTION_DAYS_EVENTS", 0, least=2)
RETENTION_DAYS_DELIVERIES = env.days("SIMPLETUNER_RETENTION_DAYS_DELIVERIES", 30, least=1)

# Webhooks (SPEC A7) and events (SPEC A6)

# Whose word about the client's address (X-Forwarded-For) is believed.
TRUSTED_PROXIES = env.networks("SIMPLETUNER_TRUSTED_PROXIES")
# Who may deliver webhooks, beside having the secret; empty: anybody.
WEBHOOK_ALLOWED_ADDRESSES = env.networks("SIMPLETUNER_WEBHOOK_ALLOWED_ADDRESSES")
SSE_MAX_PER_IP = env.integer("SIMPLETUNER_SSE_MAX_PER_IP", 5, minimum=1, maximum=10_000)

# Django

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "simpletuner_cloud.storage.OwnStaticFilesConfig",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_eventstream",
    "simpletuner_cloud",
    "jobs",
]
MIDDLEWARE = [
    "simpletuner_cloud.middleware.CorrelationMiddleware",
    "simpletuner_cloud.response_headers.ResponseHeadersMiddleware",
    "simpletuner_cloud.middleware.KnownHostMiddleware",
    "simpletuner_cloud.client.ForwardedSchemeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "simpletuner_cloud.middleware.OptionalTrailingSlashMiddleware",
    "simpletuner_cloud.middleware.SameOriginMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "simpletuner_cloud.language.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "simpletuner_cloud.client.ActorMiddleware",
    "simpletuner_cloud.client.SignedInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "simpletuner_cloud.urls"
WSGI_APPLICATION = None
# The trailing slash is optional below /api/, without a redirect (a redirected POST is a lost one).
APPEND_SLASH = True
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "simpletuner_cloud.context.deployment",
                "simpletuner_cloud.context.unclaimed",
                "simpletuner_cloud.context.notices",
                "simpletuner_cloud.context.access_of",
                "simpletuner_cloud.context.look",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_URL, LOGIN_REDIRECT_URL, LOGOUT_REDIRECT_URL = "login", "dashboard", "login"
# The page tells its scripts the token in a meta element.
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = LANGUAGE_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = LANGUAGE_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "jobs.views.refusals.csrf_failure"
# A proxy that ends TLS and says nothing of it: the names of this server are trusted under https as well.
CSRF_TRUSTED_ORIGINS = https_origins(EXTRA_HOSTS)
if HTTPS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    # A cookie of this name is taken by browsers from this very host alone, and over TLS alone.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_SSL_REDIRECT = True
    # Health checks of containers and balancers come without TLS, from beside us.
    SECURE_REDIRECT_EXEMPT = [r"^api/cloud/health/(live|ready)/?$"]
    # ForwardedSchemeMiddleware leaves the header of trusted proxies alone and takes away everybody else's.
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
# Both ask that HSTS be said for all subdomains of this host as well, which are not this service's to speak for.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Paths that take files bring a handler of their own.
FILE_UPLOAD_HANDLERS = ["jobs.archive_uploads.NoFiles"]

LANGUAGE_CODE = "en"
# Each is named in itself, so that who cannot read the page finds their own.
LANGUAGES = [("en", "English"), ("hi", "हिन्दी")]
# A choice outlives the browser's window, as those of theme and times do.
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
FORMAT_MODULE_PATH = ["simpletuner_cloud.formats"]
# The second: what Django itself has not in Hindi, of what the administration and forms say.
LOCALE_PATHS = [BASE_DIR / "locale", BASE_DIR / "locale" / "frameworks"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "/static/"
STATIC_ROOT = HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "simpletuner_cloud.storage.HashedModulesStorage"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["jobs.api.authentication.ActorAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["jobs.api.permissions.HasPermission"],
    "DEFAULT_THROTTLE_CLASSES": ["jobs.api.throttling.WritesThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["jobs.api.renderers.JsonRenderer"],
    "DEFAULT_PARSER_CLASSES": [
        "jobs.api.parsers.BoundedJsonParser",
        "jobs.api.parsers.BoundedFormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "EXCEPTION_HANDLER": "jobs.api.errors.exception_handler",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "SimpleTuner Cloud",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["jobs.api.permissions.SignedIn"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "jobs.api.schema.add_refusals",
    ],
    "ENUM_NAME_OVERRIDES": {
        "JobStatusEnum": "jobs.api.serializers.JOB_STATUSES",
        "QueueStatusEnum": "jobs.api.queue_serializers.QUEUE_STATUSES",
        "BreakerStateEnum": "jobs.api.serializers.BREAKER_STATES",
        "HealthEnum": "jobs.api.serializers.HEALTH_WORDS",
    },
}

EVENTSTREAM_CHANNELMANAGER_CLASS = "jobs.channels.JobChannelManager"
# One retry, at once, for a connection that a restart of Redis left dead. redis-py's own three retries with pauses would
# hold up whoever changes a job for seconds while Redis is away.
EVENTSTREAM_REDIS = redis_options(REDIS_URL) | {
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
    "retry": Retry(NoBackoff(), 1),
}

# Celery. The broker never holds results: what a task did stands in the database.

CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_DEFAULT_QUEUE = f"simpletuner-{STORE_MODE.value}"
# What asks a provider waits in a queue of that provider's own, so that workers can be set apart for it. A worker takes
# from all unless it is told from which (celery's --queues).
PROVIDER_QUEUES = {name: f"{CELERY_TASK_DEFAULT_QUEUE}-{name}" for name in PROVIDER_NAMES}
CELERY_TASK_QUEUES: dict[str, dict[str, str]] = {
    name: {} for name in (CELERY_TASK_DEFAULT_QUEUE, *PROVIDER_QUEUES.values())
}
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# Only tasks that are acknowledged late are concerned, and ours never are: a lost tick is replaced by the next.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": REDIS_KEY_PREFIX,
    "socket_keepalive": True,
    # A Redis that is there but does not answer would otherwise hold beat and workers for ever.
    "socket_connect_timeout": 3,
    "socket_timeout": 10,
}
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "simpletuner_cloud.beat:SharedScheduler"

# Whatever is logged or shown of an error, these are masked in it.
DEFAULT_EXCEPTION_REPORTER = "simpletuner_cloud.debug_pages.MaskingReporter"
known_secrets.remember(REPLICATE_API_TOKEN, SECRET_KEY, *CREDENTIALS_KEYS)
if SANDBOX_TOKEN != DEFAULT_SANDBOX_TOKEN:
    known_secrets.remember(SANDBOX_TOKEN)
for address in (DATABASE_URL, REDIS_URL):
    known_secrets.remember_password(address)

LOGGING_CONFIG = None
LOG_FILE = Path(env.text("SIMPLETUNER_LOG_FILE", str(HOME / "server.log"))).expanduser().resolve()
logs.configure(LOG_FILE)
