"""All settings, from the environment. The README lists what can be set.

`make run` and `make test` write a secrets.env into WALLGENT_HOME; it is read here, so that every
management command works in a checkout. In production (DEBUG=0) nothing secret has a default, and
nothing that was made up there is accepted.
"""

import ipaddress
import os
from pathlib import Path

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
WALLGENT_HOME = Path(env.str("WALLGENT_HOME", str(BASE_DIR / ".wallgent"))).absolute()
_MADE_UP = WALLGENT_HOME / "secrets.env"
if env.bool("DEBUG", True):
    env.read_env(_MADE_UP)  # what the environment sets already wins

# Ours, not Django's: it allows demo data and made-up secrets, and never shows a debug page.
DEVELOPMENT = env.bool("DEBUG", False)
DEBUG = False

SECRET_KEY = env.str("SECRET_KEY")
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS")  # Fernet keys: the first encrypts, all decrypt
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if DEVELOPMENT else [])
if not DEVELOPMENT and not ALLOWED_HOSTS:
    raise ImproperlyConfigured("Set ALLOWED_HOSTS to the host names this server answers to.")

if not DEVELOPMENT:
    _known = _MADE_UP.read_text() if os.access(_MADE_UP, os.R_OK) else ""
    for _name, _values in {"SECRET_KEY": [SECRET_KEY], "ENCRYPTION_KEYS": ENCRYPTION_KEYS}.items():
        if not _values or not all(_values):
            raise ImproperlyConfigured(f"Set {_name}. With DEBUG=0 it has no default.")
        if any(value in _known for value in _values):
            raise ImproperlyConfigured(
                f"{_name} stands in {_MADE_UP}, which is for development. Set one of your own."
            )

# The origin that people and programs reach us at, without a slash at the end.
_LOCAL = f"http://127.0.0.1:{env.int('PORT', 8000)}"
PUBLIC_ORIGIN = env.str("PUBLIC_ORIGIN", _LOCAL if DEVELOPMENT else env.NOTSET)
# Whose X-Forwarded-For is believed: addresses or networks of our own proxies.
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
for _proxy in TRUSTED_PROXIES:
    try:
        ipaddress.ip_network(_proxy, strict=False)
    except ValueError as error:
        raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}.") from None
DEFAULT_PLAN = env.str("DEFAULT_PLAN", "ENTERPRISE")
BODY_LIMIT_BYTES = 1024 * 1024
BODY_DEADLINE_SECONDS = env.int("BODY_DEADLINE_SECONDS", 20)

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_htmx",
    "wallgent",
    "wallgent.api",
    "wallgent.events",
    "accounts.ledger",
    "accounts",
    "billing",
    "issuing",
    "links",
]

MIDDLEWARE = [
    "wallgent.middleware.RequestLog",
    "wallgent.middleware.PagePolicy",
    "wallgent.middleware.PageSecurity",
    "wallgent.middleware.PageSessions",
    "wallgent.middleware.PageCommon",
    "wallgent.middleware.PageCsrf",
    "wallgent.middleware.PageAuthentication",
    "wallgent.middleware.PageMessages",
    "wallgent.middleware.PageClickjacking",
    "wallgent.middleware.PageHtmx",
    "wallgent.middleware.PageZone",
    "wallgent.middleware.PageFaults",
]

# These three look for Django's own names, which ours extend. A test looks at what they do.
SILENCED_SYSTEM_CHECKS = ["security.W001", "security.W002", "security.W003"]

ROOT_URLCONF = "wallgent.urls"
WSGI_APPLICATION = "wallgent.wsgi.application"
APPEND_SLASH = False
AUTH_USER_MODEL = "accounts.User"
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ["email", "name"]},
    },
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = BASE_DIR / "staticfiles"
DATA_UPLOAD_MAX_MEMORY_SIZE = BODY_LIMIT_BYTES

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
            ],
            "builtins": ["wallgent.templatetags.wallgent"],
        },
    },
]

DATABASES = {"default": env.db("DATABASE_URL")}
# Such as ?sslmode=require, or ?host=/folder for a unix socket.
_OPTIONS = DATABASES["default"].get("OPTIONS", {})
DATABASES["default"] |= {
    "CONN_MAX_AGE": None,
    "HOST": _OPTIONS.pop("host", DATABASES["default"]["HOST"]),
    "OPTIONS": {
        "server_side_binding": True,
        # Through PgBouncer older than 1.21 in transaction mode, set this to 0.
        "prepare_threshold": env.int("DATABASE_PREPARE_THRESHOLD", 3) or None,
        # Nothing waits for ever: a lock wait ends in 503, and the caller tries again.
        "options": "-c lock_timeout=4s -c statement_timeout=20s"
        " -c idle_in_transaction_session_timeout=20s",
        "connect_timeout": 3,
        **_OPTIONS,
    },
}

REDIS_URL = env.str("REDIS_URL")  # redis://…, rediss://… or unix:///path?db=0
# Celery spells a unix socket in its own way.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace(
    "?db=", "?virtual_host="
)

CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # a worker that dies gives its task back
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # the broker may be away as long as it likes
CELERY_WORKER_CONSUMER = "wallgent.consumer:Consumer"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    # Each run expires before the next, so that nothing piles up while the workers are away.
    "roll-up": {
        "task": "accounts.tasks.roll_up",
        "schedule": 2,
        "options": {"expires": 2},
    },
    "expire-links": {
        "task": "links.tasks.expire_links",
        "schedule": 5,
        "options": {"expires": 5},
    },
    "forget-idempotency-keys": {
        "task": "wallgent.api.tasks.forget_idempotency_keys",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
}

# Nothing on a page comes from elsewhere or stands in its text: no inline script, style or eval.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    },
}
CSRF_FAILURE_VIEW = "wallgent.faults.csrf_failure"

if not DEVELOPMENT:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
SESSION_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [PUBLIC_ORIGIN]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api.authentication.ApiKeyAuthentication"],
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request": {"()": "wallgent.logs.RequestFilter"}},
    "formatters": {
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s %(request_id)s",
            "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
        },
        "text": {"format": "%(levelname)s %(name)s %(request_id)s %(message)s"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "filters": ["request"],
            "formatter": env.str("LOG_FORMAT", "text" if DEVELOPMENT else "json"),
        }
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"level": "WARNING", "propagate": True, "handlers": []},
        "django.request": {"level": "CRITICAL"},  # our own middleware logs each answer once
        "celery": {"level": "WARNING"},  # it would tell of every sweep, every second
    },
}
