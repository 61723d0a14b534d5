"""All settings, from the environment. The README lists the variables.

`make run` and `make test` write secrets.env to WALLGENT_HOME; it is read here, so that every
management command works in a checkout. In production (DEBUG=0) no secret has a default, and the
secrets generated in that file are refused.
"""

import ipaddress
import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from wallgent import public_origin

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
WALLGENT_HOME = Path(env.str("WALLGENT_HOME", str(BASE_DIR / ".wallgent"))).absolute()
_SECRETS_FILE = WALLGENT_HOME / "secrets.env"
if env.bool("DEBUG", True):
    env.read_env(_SECRETS_FILE)  # variables that are set already take precedence

# Our own switch, which allows demo data and generated secrets. Django's DEBUG, with its pages,
# is always off.
DEVELOPMENT = env.bool("DEBUG", False)
DEBUG = False

SECRET_KEY = env.str("SECRET_KEY")
ENCRYPTION_KEYS = env.list("ENCRYPTION_KEYS")  # Fernet keys: the first encrypts, all decrypt
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"] if DEVELOPMENT else [])
if not DEVELOPMENT and not ALLOWED_HOSTS:
    raise ImproperlyConfigured("Set ALLOWED_HOSTS to the host names this server answers to.")

if not DEVELOPMENT:
    _generated = _SECRETS_FILE.read_text() if os.access(_SECRETS_FILE, os.R_OK) else ""
    for _name, _values in {"SECRET_KEY": [SECRET_KEY], "ENCRYPTION_KEYS": ENCRYPTION_KEYS}.items():
        if not _values or not all(_values):
            raise ImproperlyConfigured(f"Set {_name}. With DEBUG=0 it has no default.")
        if any(value in _generated for value in _values):
            raise ImproperlyConfigured(
                f"{_name} stands in {_SECRETS_FILE}, which is for development. Set one of your own."
            )

PORT = env.str("PORT", "8000")  # where `make run` listens
if not (PORT.isascii() and PORT.isdecimal() and 0 < int(PORT) < 65_536):
    raise ImproperlyConfigured(f"PORT is '{PORT}'. Write a number from 1 to 65535, such as 8000.")
_LOCAL = f"http://127.0.0.1:{PORT}"
PUBLIC_ORIGIN = public_origin.normalize(
    env.str("PUBLIC_ORIGIN", _LOCAL if DEVELOPMENT else env.NOTSET),
    development=DEVELOPMENT,
    allowed_hosts=ALLOWED_HOSTS,
)
# The addresses or networks of our own proxies, whose X-Forwarded-For is trusted.
TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
for _proxy in TRUSTED_PROXIES:
    try:
        ipaddress.ip_network(_proxy, strict=False)
    except ValueError as error:
        raise ImproperlyConfigured(f"TRUSTED_PROXIES: {error}.") from None
# Who activates production: an email address, or the URL of a page.
SUPPORT_CONTACT = env.str("SUPPORT_CONTACT", "")
DEFAULT_PLAN = env.str("DEFAULT_PLAN", "ENTERPRISE")
# Threads of a web process: granian's --blocking-threads. Long requests take half of them at most.
WEB_THREADS = env.int("WEB_THREADS", 4)
BODY_LIMIT_BYTES = 1024 * 1024
BODY_DEADLINE_SECONDS = env.int("BODY_DEADLINE_SECONDS", 20)
# Of forms that accept files: a file of 5 MB and the other fields.
UPLOAD_LIMIT_BYTES = 5 * 1024 * 1024 + 64 * 1024
UPLOAD_DEADLINE_SECONDS = 60

INSTALLED_APPS = [
    "wallgent.apps.SupportConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_htmx",
    "wallgent.apps.SignInConfig",
    "allauth.mfa",
    "allauth.usersessions",
    "axes",
    "wallgent",
    "accounts.ledger",
    "accounts",
    "billing",
    "issuing",
    "links",
]

MIDDLEWARE = [
    "wallgent.http.middleware.RequestLog",
    "wallgent.http.middleware.PagePolicy",
    "wallgent.http.middleware.PageSecurity",
    "wallgent.http.middleware.PageSessions",
    "wallgent.http.middleware.PageCommon",
    "wallgent.http.middleware.PageCsrf",
    "wallgent.http.middleware.PageAuthentication",
    "wallgent.http.middleware.PageMessages",
    "wallgent.http.middleware.PageClickjacking",
    "wallgent.http.middleware.PageAccount",
    "wallgent.http.middleware.PageLockOut",
    "wallgent.http.middleware.PageHtmx",
    "wallgent.web.preferences.PageZone",
    "wallgent.http.middleware.PageErrors",
    "wallgent.web.page_rates.PageRates",
]

# These checks look for middleware by name, and ours are subclasses. Tests cover their behavior.
SILENCED_SYSTEM_CHECKS = ["security.W001", "security.W002", "security.W003", "axes.W002"]

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
LOCALE_PATHS = [BASE_DIR / "locale"]  # for the public pages; all others are in English
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
            "builtins": ["wallgent.web.templatetags.wallgent"],
            "libraries": {"local": "wallgent.web.templatetags.local"},
        },
    },
]

# Sign-in: django-allauth, with django-axes in front of it.
AUTHENTICATION_BACKENDS = [
    "accounts.organizations.sign_in.adapters.LockoutBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
# A function of a user that returns their memberships, for the dashboard.
MEMBERSHIPS_OF = "accounts.organizations.services.members.memberships_of"
# A function of a user ID and an organization that returns the permissions which this user has there
# now, for work that is done in their name later.
PERMISSIONS_OF = "accounts.organizations.services.members.permissions_of"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
SIGNUP_OPEN = env.bool("SIGNUP_OPEN", True)  # invited people can always sign up
ACCOUNT_ADAPTER = "accounts.organizations.sign_in.adapters.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "accounts.organizations.sign_in.forms.SignInForm",
    "add_email": "accounts.organizations.sign_in.forms.ChangeEmailForm",
    "change_password": "accounts.organizations.sign_in.forms.ChangePasswordForm",
    "set_password": "accounts.organizations.sign_in.forms.SetPasswordForm",
    "reset_password": "accounts.organizations.sign_in.forms.RequestPasswordResetForm",
    "reset_password_from_key": "accounts.organizations.sign_in.forms.ResetPasswordForm",
    "reauthenticate": "accounts.organizations.sign_in.forms.PasswordReauthenticateForm",
    "signup": "accounts.organizations.sign_in.sign_up.SignUpForm",
}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_USER_DISPLAY = str
ACCOUNT_EMAIL_VERIFICATION = "none" if DEVELOPMENT else "mandatory"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
PASSWORD_RESET_TIMEOUT = 2 * 3600  # the email states this duration
ACCOUNT_SESSION_REMEMBER = True
# Limits guesses from many addresses. Axes limits those from one address and needs no Redis.
ACCOUNT_RATE_LIMITS = {"login_failed": "30/m/ip,50/900s/key"}
MFA_ADAPTER = "accounts.organizations.sign_in.adapters.MfaAdapter"
MFA_FORMS = {
    "authenticate": "accounts.organizations.sign_in.forms.CodeForm",
    "reauthenticate": "accounts.organizations.sign_in.forms.CodeReauthenticateForm",
    "login_webauthn": "accounts.organizations.sign_in.forms.PasskeySignInForm",
    "authenticate_webauthn": "accounts.organizations.sign_in.forms.PasskeyForm",
    "reauthenticate_webauthn": "accounts.organizations.sign_in.forms.PasskeyReauthenticateForm",
    "activate_totp": "accounts.organizations.sign_in.forms.ActivateAppForm",
    "add_webauthn": "accounts.organizations.sign_in.forms.AddPasskeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "Wallgent"
MFA_TOTP_TOLERANCE = 1  # clocks differ by some seconds
# With DEBUG=0 signing in needs a verified email, so this setting only lets people with a second
# factor change their email.
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEVELOPMENT  # http://localhost

AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # the page shows when the lockout ends
AXES_USERNAME_CALLABLE = "accounts.organizations.sign_in.adapters.attempted_email"
AXES_CLIENT_IP_CALLABLE = "accounts.organizations.sign_in.adapters.attempt_address"
AXES_LOCKOUT_CALLABLE = "accounts.organizations.sign_in.adapters.lockout_response"
AXES_DISABLE_ACCESS_LOG = True  # an event records each sign-in
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_SENSITIVE_PARAMETERS = [
    *("username", "ip_address", "login", "email", "next", "code", "credential", "oldpassword"),
    *("password", "password1", "password2", "csrfmiddlewaretoken"),
]

SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

# For rate limits and used codes. Sign-in works without the cache.
CACHES = {"default": {"BACKEND": "wallgent.cache.Cache"}}

# Such as smtp+tls://user:password@host:587. In development the worker prints emails.
environ.Env.EMAIL_SCHEMES["consolemail"] = "wallgent.mail.console.EmailBackend"
environ.Env.EMAIL_SCHEMES |= dict.fromkeys(
    ("smtp", "smtps", "smtp+tls", "smtp+ssl"), "wallgent.mail.smtp.EmailBackend"
)
if not DEVELOPMENT and not env.str("EMAIL_URL", ""):
    raise ImproperlyConfigured(
        "Set EMAIL_URL to your mail server, such as smtp+tls://user:password@host:587. Nobody can"
        " confirm an address, get back in after forgetting a password, or be invited without it."
    )
vars().update(env.email_url("EMAIL_URL", "consolemail://"))
EMAIL_TIMEOUT = 5  # seconds for each answer of the mail server but the last, see the backend
DEFAULT_FROM_EMAIL = env.str(
    "DEFAULT_FROM_EMAIL", f"Wallgent <no-reply@{urlsplit(PUBLIC_ORIGIN).hostname}>"
)

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
        # Every wait is limited: a lock wait ends in 503, and the caller tries again.
        "options": "-c lock_timeout=4s -c statement_timeout=20s"
        " -c idle_in_transaction_session_timeout=20s",
        "connect_timeout": 3,
        **_OPTIONS,
    },
}

REDIS_URL = env.str("REDIS_URL")  # redis://…, rediss://… or unix:///path?db=0
# Celery writes the URL of a unix socket differently.
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://").replace(
    "?db=", "?virtual_host="
)

CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True  # the task of a worker that dies runs again
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # wait for the broker without limit
CELERY_WORKER_CONSUMER = "wallgent.celery_consumer:Consumer"
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    # Runs expire, so that no backlog builds up while there are no workers.
    "roll-up": {
        "task": "accounts.ledger.tasks.roll_up",
        "schedule": 2,
        "options": {"expires": 15},  # it may wait for threads that are busy with due work
    },
    "do-due-work": {
        "task": "wallgent.due_work.tasks.do_due_work",
        "schedule": 1,
        "options": {"expires": 1},
    },
    "delete-expired-files": {
        "task": "wallgent.imports.tasks.delete_expired_files",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
    "forget-link-codes": {
        "task": "links.payment_links.tasks.forget_codes",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
    "forget-emails": {
        "task": "wallgent.mail.tasks.forget_emails",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
    "forget-sessions": {
        "task": "accounts.organizations.tasks.forget_sessions",
        "schedule": 24 * 3600,
        "options": {"expires": 24 * 3600},
    },
    "forget-idempotency-keys": {
        "task": "wallgent.api.tasks.forget_idempotency_keys",
        "schedule": 3600,
        "options": {"expires": 3600},
    },
}

# Pages load everything from this server and have no inline script, inline style or eval.
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
CSRF_FAILURE_VIEW = "wallgent.http.error_pages.csrf_failure"

if not DEVELOPMENT:
    SECURE_SSL_REDIRECT = True
    SECURE_SSL_HOST = urlsplit(PUBLIC_ORIGIN).netloc  # never the Host header of the request
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    # Browsers accept this prefix only from this host: other hosts of the domain cannot set them.
    SESSION_COOKIE_NAME = "__Host-session"
    CSRF_COOKIE_NAME = "__Host-csrf"
CSRF_TRUSTED_ORIGINS = [PUBLIC_ORIGIN]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.organizations.api.authentication.ApiKeyAuthentication"
    ],
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
        "django.request": {"level": "CRITICAL"},  # our own middleware logs each response once
        "axes": {"level": "WARNING"},  # it logs each sign-in; we record events instead
        "django.security.csrf": {
            "level": "CRITICAL"
        },  # it logs paths; our error page logs the failure
        "celery": {"level": "WARNING"},  # it would log every periodic task, every second
    },
}
