"""A tiny OpenID Connect provider: discovery, a page that asks who one is, signed tokens."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwk, jwt

CLIENT, PASSWORD = "thaw", "only for tests"


class Provider(ThreadingHTTPServer):
    """The provider and what it knows.

    Attributes:
        people: claims by the name on the button.
        published: the key that it tells everybody about.
        signing: the key that it signs with; another than the published one is a forger's.
    """

    def __init__(self, people: dict[str, dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.people = people
        self.published = self.signing = jwk.RSAKey.generate_key(2048, {"kid": "one"})
        self.codes: dict[str, dict[str, str]] = {}

    @property
    def address(self) -> str:
        """Where it is, which is also its name in tokens."""
        return f"http://127.0.0.1:{self.server_port}"

    def discovery(self) -> dict[str, Any]:
        """What a client has to know."""
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def code_for(self, person: str, asked: dict[str, str]) -> str:
        """A code that can be exchanged once."""
        code = secrets.token_urlsafe()
        self.codes[code] = {"person": person, **asked}
        return code

    def token_for(self, form: dict[str, str]) -> dict[str, Any]:
        """Exchange a code; its challenge must fit."""
        asked = self.codes.pop(form["code"])
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        now = int(time.time())
        claims = {"iss": self.address, "aud": CLIENT, "iat": now, "exp": now + 300}
        claims |= {"sub": asked["person"], "nonce": asked["nonce"], **self.people[asked["person"]]}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.signing)
        return {"access_token": "none", "token_type": "Bearer", "id_token": signed}


class Answer(BaseHTTPRequestHandler):
    """One request to the provider."""

    server: Provider

    def do_GET(self) -> None:
        """Discovery, keys, the question who one is, and the way back."""
        url = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/authorize" and "person" in asked:
            code = self.server.code_for(asked["person"], asked)
            back = urlencode({"code": code, "state": asked["state"]})
            self.send_response(302)
            self.send_header("Location", f"{asked['redirect_uri']}?{back}")
            self.end_headers()
        elif url.path == "/authorize":
            links = (
                f'<p><a href="?{urlencode({**asked, "person": name})}">I am {name}</a>'
                for name in self.server.people
            )
            self._send("".join(links).encode(), "text/html")
        elif url.path == "/keys":
            self._send_json({"keys": [self.server.published.as_dict(private=False)]})
        else:
            self._send_json(self.server.discovery())

    def do_POST(self) -> None:
        """Exchange a code for a token."""
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._send_json(self.server.token_for({name: one[0] for name, one in form.items()}))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send_json(self, value: object) -> None:
        self._send(json.dumps(value).encode(), "application/json")

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def provider(people: dict[str, dict[str, Any]]) -> Iterator[Provider]:
    """Run the provider in a thread."""
    with Provider(people) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.shutdown()
            thread.join()
