"""A remote signer: it holds the key, and signs what is sent to it.

``POST`` with the bytes to sign as ``application/octet-stream``, the algorithm in
``X-Vivant-Algorithm`` and the token as ``Authorization: Bearer``. The answer is the signature:
as COSE writes it (for ECDSA r ‖ s), or DER, as most key services give it.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from vivant.errors import CredentialsError

TIMEOUT = 10.0
"""Seconds."""

MAX_BYTES = 4096
"""Of an answer; the longest signature, RSA of 8,192 bits, has 1,024."""

SIGNATURE_BYTES = {"es256": 64, "es384": 96, "es512": 132}
"""Of r ‖ s (RFC 9053, section 2.1)."""


class RemoteSigner:
    """Signs by asking ``url``.

    Args:
        url: http or https; the operator chose it, so it may be a private address.
        token: bearer token, if the signer wants one.
        algorithm: see :class:`vivant.provenance.keys.SigningIdentity`.
    """

    def __init__(self, url: str, token: str | None, algorithm: str) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise CredentialsError(
                "VIVANT_CREDENTIALS_SIGNER_URL is no http:// or https:// URL: correct it"
            )
        self._algorithm = algorithm
        headers = {
            "Content-Type": "application/octet-stream",
            "X-Vivant-Algorithm": algorithm,
            **({"Authorization": f"Bearer {token}"} if token else {}),
        }
        self._request = urllib.request.Request(url, headers=headers, method="POST")  # noqa: S310

    def sign(self, data: bytes) -> bytes:
        """The signature of ``data``.

        Raises:
            CredentialsError: no answer, or none that can be a signature.
        """
        try:
            with urllib.request.urlopen(self._request, data, TIMEOUT) as response:  # noqa: S310
                answer: bytes = response.read(MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise CredentialsError(f"the remote signer answered {error.code}") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise CredentialsError(f"the remote signer cannot be reached ({reason})") from None
        if not answer or len(answer) > MAX_BYTES:
            raise CredentialsError(
                f"the remote signer sent {len(answer)} bytes, which is no signature"
            )
        size = SIGNATURE_BYTES.get(self._algorithm)
        return answer if size is None or len(answer) == size else _from_der(answer, size)


def _from_der(signature: bytes, size: int) -> bytes:
    """A DER signature → r ‖ s."""
    try:
        r, s = decode_dss_signature(signature)
        return r.to_bytes(size // 2, "big") + s.to_bytes(size // 2, "big")
    except (ValueError, OverflowError):
        raise CredentialsError("the remote signer sent something that is no signature") from None
