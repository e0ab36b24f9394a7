"""Encrypts the rest of the input as AWX does a client secret. The first line is
SECRET_KEY."""

import base64
import hashlib
import sys

from cryptography.fernet import Fernet
from cryptography.hazmat.backends import default_backend

key, _, secret = sys.stdin.read().partition("\n")
digest = hashlib.sha512(key.encode() + b"value").digest()
fernet = Fernet(Fernet.generate_key())
fernet._signing_key, fernet._encryption_key = digest[:32], digest[32:]  # AES-256, since the key is longer
fernet._backend = default_backend()
print("$encrypted$UTF8$AESCBC$" + base64.b64encode(fernet.encrypt(secret.encode())).decode(), end="")
