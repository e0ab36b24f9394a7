"""Makes a database by Django and django-oauth-toolkit, and prints what its users and
clients know. The argument is the path of a SQLite file, or the folder of the socket
and the name of a database of PostgreSQL."""

import json
import sys
from datetime import timedelta

import django
from django.conf import settings

if len(sys.argv) == 2:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}
else:
    database = {"ENGINE": "django.db.backends.postgresql", "HOST": sys.argv[1], "NAME": sys.argv[2], "USER": "postgres"}

settings.configure(
    SECRET_KEY="test",
    ALLOWED_HOSTS=["testserver"],
    DATABASES={"default": database},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "oauth2_provider"],
    ROOT_URLCONF="urls",
    MIDDLEWARE=[],
    USE_TZ=True,
    TIME_ZONE="UTC",
    OAUTH2_PROVIDER={"SCOPES": {"read": "", "write": "", "groups": ""}},
    PASSWORD_HASHERS=[
        "hashers.PBKDF2",
        "hashers.PBKDF2SHA1",
        "hashers.Argon2",
        "hashers.BCryptSHA256",
        "hashers.BCrypt",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ],
)


class urls:
    urlpatterns = []


sys.modules["urls"] = urls

from django.contrib.auth import hashers as real  # noqa: E402


class hashers:
    """Django's hashers with less work, so that the test does not take minutes."""

    PBKDF2 = type("PBKDF2", (real.PBKDF2PasswordHasher,), {"iterations": 1000})
    PBKDF2SHA1 = type("PBKDF2SHA1", (real.PBKDF2SHA1PasswordHasher,), {"iterations": 1000})
    Argon2 = type("Argon2", (real.Argon2PasswordHasher,), {"memory_cost": 1024})
    BCryptSHA256 = type("BCryptSHA256", (real.BCryptSHA256PasswordHasher,), {"rounds": 4})
    BCrypt = type("BCrypt", (real.BCryptPasswordHasher,), {"rounds": 4})


sys.modules["hashers"] = hashers
django.setup()

make_password = real.make_password
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import include, path  # noqa: E402
from django.utils import timezone  # noqa: E402
from oauth2_provider.models import AccessToken, Application, Grant, RefreshToken  # noqa: E402
from oauthlib.common import generate_token  # noqa: E402

urls.urlpatterns = [path("o/", include("oauth2_provider.urls", namespace="oauth2_provider"))]
call_command("migrate", verbosity=0)

users = []
for kind in ["pbkdf2_sha256", "pbkdf2_sha1", "argon2", "bcrypt_sha256", "bcrypt", "md5"]:
    password = "päss " + kind
    user = User.objects.create(
        username=kind.capitalize(), email=kind + "@example.org", first_name="Ä", last_name='"quoted"',
        password=make_password(password, hasher=kind), is_superuser=kind == "argon2")
    users.append({"id": user.id, "name": user.username, "password": password, "known": kind != "md5"})
owner = User.objects.get(username="Argon2")
User.objects.create(username="argon2", password=make_password("lower case"))
User.objects.create(username="ldap", password=make_password(None))
User.objects.create(username="left", password=make_password("gone"), is_active=False)

later = timezone.now() + timedelta(days=40_000)
clients = []


def application(name, client_type, grant, **more):
    app = Application(name=name, client_type=client_type, authorization_grant_type=grant, user=owner, **more)
    secret = app.client_secret
    app.save()
    clients.append({"name": name, "id": app.client_id, "secret": secret if client_type == "confidential" else ""})
    return app


code = application("web", "confidential", "authorization-code", redirect_uris="https://app.example/cb http://app.example/cb https://app.example/cb")
password_app = application("cli", "confidential", "password")
application("cli", "public", "password")  # the same name again
application("spa", "public", "implicit", redirect_uris="https://spa.example/", skip_authorization=True)
machine = application("machine", "confidential", "client-credentials")
hashed = application("hashed", "confidential", "password")
Application.objects.filter(pk=hashed.pk).update(client_secret=make_password(hashed.client_secret))

tokens = []


def issue(user, app, scope="read write", expires=later, refresh=True):
    access = AccessToken.objects.create(user=user, application=app, token=generate_token(), expires=expires, scope=scope)
    text = ""
    if refresh:
        text = generate_token()
        RefreshToken.objects.create(user=user, application=app, token=text, access_token=access)
    tokens.append({"access": access.token, "refresh": text, "client": app.name if app else "", "user": user.username if user else ""})
    return access


for user in User.objects.filter(is_active=True).order_by("id"):
    issue(user, code)
    issue(user, None, scope="read", refresh=False)
issue(owner, hashed)
issue(owner, code, expires=timezone.now() - timedelta(hours=1))  # which its refresh token outlives
tokens[-1]["expired"] = True
issue(None, machine, refresh=False)

# By the token endpoint, as clients get theirs.
answer = Client().post("/o/token/", {
    "grant_type": "password", "username": "Argon2", "password": "päss argon2", "scope": "read groups",
    "client_id": password_app.client_id, "client_secret": clients[1]["secret"]})
body = answer.json()
tokens.append({"access": body["access_token"], "refresh": body["refresh_token"], "client": "cli", "user": "Argon2"})
answer = Client().post("/o/token/", {
    "grant_type": "refresh_token", "refresh_token": body["refresh_token"],
    "client_id": password_app.client_id, "client_secret": clients[1]["secret"]})
spent = tokens.pop()
body = answer.json()
tokens.append({"access": body["access_token"], "refresh": body["refresh_token"], "client": "cli", "user": "Argon2"})

# What is not taken.
inactive = User.objects.get(username="left")
AccessToken.objects.create(user=inactive, application=code, token=generate_token(), expires=later, scope="read")
AccessToken.objects.create(user=owner, application=code, token=generate_token(), expires=timezone.now() - timedelta(1), scope="read")
AccessToken.objects.create(user=owner, application=code, token="not-of-the-usual-form", expires=later, scope="read")
AccessToken.objects.create(user=owner, application=code, token=generate_token(), expires=later, scope="groups")
Grant.objects.create(user=owner, application=code, code="x", expires=later, redirect_uri="https://app.example/cb", scope="read")

json.dump({"users": users, "clients": clients, "tokens": tokens, "spent": [spent["access"], spent["refresh"]]}, sys.stdout)
