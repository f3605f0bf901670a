"""Everything that is signed, on itsdangerous, in one place: sessions, links, tokens, channels.

A signed value carries its tenant, its purpose and its expiry, and is signed with a key of that tenant and purpose. So a
value made for one use, or by one tenant, is refused everywhere else, twice over.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from flask.sessions import session_json_serializer
from itsdangerous import BadData, Signer, URLSafeSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from .context import current_tenant_app
from .errors import BadToken
from .keys import TenantKeys

#: Bytes of JSON from which on a value is compressed.
_COMPRESSED_FROM = 400
#: The keys are derived by HKDF for this very purpose, so itsdangerous need not derive again.
_OPTIONS = {"key_derivation": "none", "digest_method": hashlib.sha256}


def sign(purpose: str, value: Any, expires_in: float) -> str:
    """Return ``value`` signed by the current tenant, for a purpose of a blueprint: see :meth:`TenantSigner.sign`.

    :raises NoTenantContext: outside a tenant's context.
    """
    return current_tenant_app("signing").signer.sign(f"blueprint:{purpose}", value, expires_in)


def verify(purpose: str, token: str) -> Any:
    """Return the value that :func:`sign` signed for the same tenant and purpose.

    :raises BadToken: if it is forged, expired, or made for another tenant or purpose.
    """
    return current_tenant_app("signing").signer.verify(f"blueprint:{purpose}", token)


class _StrictSigner(Signer):
    """Refuses a signature whose last character was changed to another that base64 decodes alike (RFC 4648, 3.5)."""

    def verify_signature(self, value: str | bytes, sig: str | bytes) -> bool:
        sig = sig.encode() if isinstance(sig, str) else sig
        try:
            canonical = base64_encode(base64_decode(sig)) == sig
        except BadData:
            return False
        return canonical and super().verify_signature(value, sig)


class _Serializer(URLSafeSerializer):
    """Compresses only what is long: for a session of two names it costs more than the signature and saves nothing."""

    def dump_payload(self, obj: Any) -> bytes:
        json = self.serializer.dumps(obj).encode()
        return super().dump_payload(obj) if len(json) > _COMPRESSED_FROM else base64_encode(json)


class TenantSigner:
    """Signs and verifies for one tenant.

    :param keys: the tenant's keys.
    """

    def __init__(self, keys: TenantKeys) -> None:
        self.keys = keys
        self._serializers: dict[str, tuple[list[bytes], URLSafeSerializer]] = {}

    def sign(self, purpose: str, value: Any, expires_in: float) -> str:
        """Return ``value`` (JSON, with Flask's tags for dates, tuples, bytes and UUIDs) as a URL-safe signed string.

        :param purpose: what it may be used for, e.g. ``"session"``.
        :param expires_in: seconds for which it is accepted.
        """
        expiry = int(time.time() + expires_in)
        return str(self._serializer(purpose).dumps([self.keys.deed.hex, purpose, expiry, value]))

    def verify(self, purpose: str, token: str) -> Any:
        """Return the value of a signed string.

        :raises BadToken: if it is forged, expired, or made for another tenant or purpose. The text says which, for the
            log; the one who sent it should learn only that it was refused.
        """
        try:
            deed, made_for, expiry, value = self._serializer(purpose).loads(token)
        except (BadData, ValueError, TypeError) as error:
            raise BadToken(f"A signed value for '{purpose}' was refused: {error}") from None
        if deed != self.keys.deed.hex or made_for != purpose:
            raise BadToken(f"A signed value for '{purpose}' was made for another tenant or purpose.")
        if time.time() >= expiry:
            raise BadToken(f"A signed value for '{purpose}' has expired.")
        return value

    def _serializer(self, purpose: str) -> URLSafeSerializer:
        derived = self.keys.derive(purpose)
        known = self._serializers.get(purpose)
        if known is None or known[0] is not derived:
            made = _Serializer(
                derived, serializer=session_json_serializer, signer=_StrictSigner, signer_kwargs=_OPTIONS
            )
            known = self._serializers[purpose] = (derived, made)
        return known[1]
