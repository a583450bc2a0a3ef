"""JWTs: what is taken and what is not, with keys served as an issuer serves them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from later_core.errors import SettingInvalid, Unauthenticated
from later_core.model.binding import parse_binding
from later_core.model.permission import Permission
from later_core.ports.clock import SystemClock
from later_core.rpc.auth.jwts import Expected, Jwts

ISSUER, AUDIENCE = "https://issuer.example", "later"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def jwk(private: Any, kid: str, **more: str) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(private, rsa.RSAPrivateKey) else ECAlgorithm
    return json.loads(algorithm.to_jwk(private.public_key())) | {"kid": kid, **more}


KEYS = [jwk(RSA, "r1"), jwk(EC, "e1", alg="ES256")]


class AheadClock(SystemClock):
    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@dataclass
class Issuer:
    """Serves keys at a URL, and counts how often it is asked."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: list(KEYS))
    status: int = 200
    asked: int = 0


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    found = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked += 1
            self.send_response(found.status)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": found.keys}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_port}/keys"
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> AheadClock:
    return AheadClock()


def taking(keys: str, clock: AheadClock, *bindings: str, **fields: Any) -> Jwts:
    expected = {
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "algorithms": ("RS256", "ES256"),
        "principal_claim": "sub",
        "roles_claim": "roles",
        "bindings": [parse_binding(text) for text in bindings or ("admins=admin", "ci-*=viewer")],
    }
    return Jwts(keys=keys, expected=Expected(**(expected | fields)), clock=clock)


def signed(
    private: Any = RSA, kid: str | None = "r1", algorithm: str = "RS256", **claims: Any
) -> str:
    now = int(time.time())  # noqa: TID251 - a JWT is judged by the clock on the wall
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "exp": now + 300,
        "roles": ["admins"],
    } | {name: value for name, value in claims.items() if value is not None}
    for name, value in claims.items():
        if value is None:
            whole.pop(name, None)
    headers = {"kid": kid} if kid else {}
    return jwt.encode(whole, private, algorithm=algorithm, headers=headers)


async def test_a_jwt_names_its_holder_and_its_claim_says_what_it_may(issuer, clock):
    principal = await taking(issuer.url, clock).authenticate(signed())
    assert principal.name == "alice"
    assert principal.may(Permission.TOKENS_MANAGE)
    other = await taking(issuer.url, clock).authenticate(
        signed(EC, "e1", "ES256", sub="bob", roles=["ci-7", "unknown"])
    )
    assert other.name == "bob"
    assert other.may(Permission.INSTANCES_READ)
    assert not other.may(Permission.INSTANCES_CREATE)


@pytest.mark.parametrize(
    ("claim", "roles"),
    [
        ("roles", {"roles": "admins others"}),
        ("realm_access.roles", {"realm_access": {"roles": ["admins"]}}),
        ("https://example/roles", {"https://example/roles": ["admins"]}),
    ],
)
async def test_the_roles_stand_where_the_setting_says(issuer, clock, claim, roles):
    jwts = taking(issuer.url, clock, roles_claim=claim, principal_claim="email")
    token = signed(**({"roles": None, "email": "a@b"} | roles))
    assert (await jwts.authenticate(token)).name == "a@b"


def forged(header: dict[str, Any], secret: bytes = b"") -> str:
    """A JWT put together by hand, as an attacker would."""
    claims = jwt.decode(signed(), options={"verify_signature": False})

    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    told = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{told}.{part(hmac.digest(secret, told.encode(), hashlib.sha256)) if secret else ''}"


def public_pem() -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


PAST = int(time.time()) - 3600  # noqa: TID251 - a JWT is judged by the clock on the wall
REFUSED = {
    "expired": lambda: signed(exp=PAST),
    "without an expiry": lambda: signed(exp=None),
    "not valid yet": lambda: signed(nbf=PAST + 7200),
    "of another issuer": lambda: signed(iss="https://evil.example"),
    "without an issuer": lambda: signed(iss=None),
    "for another audience": lambda: signed(aud="other"),
    "without an audience": lambda: signed(aud=None),
    "without a name": lambda: signed(sub=None),
    "without a role": lambda: signed(roles=None),
    "with roles that mean nothing here": lambda: signed(roles=["nobody"]),
    "with roles of a wrong kind": lambda: signed(roles={"admins": True}),
    "signed with another key": lambda: signed(OTHER_RSA),
    "of an unknown key": lambda: signed(kid="r9"),
    "without a kid where there are two": lambda: signed(kid=None),
    "by an algorithm that is not expected": lambda: signed(algorithm="RS512"),
    "of the key of another algorithm": lambda: signed(RSA, "e1"),
    "not signed": lambda: forged({"alg": "none", "kid": "r1"}),
    "with the public key as a shared secret": lambda: forged(
        {"alg": "HS256", "kid": "r1"}, public_pem()
    ),
    "no jwt": lambda: "a.b.c",
    "of parts that are not text": lambda: "\u00e4.\u00e4.\u00e4",
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_does_not_hold_is_refused(issuer, clock, case):
    with pytest.raises(Unauthenticated):
        await taking(issuer.url, clock).authenticate(REFUSED[case]())


async def test_a_new_key_is_found_and_an_old_one_forgotten_in_time(issuer, clock):
    jwts = taking(issuer.url, clock)
    await jwts.authenticate(signed())
    issuer.keys = [jwk(OTHER_RSA, "r2")]
    clock.ahead += 11
    assert (await jwts.authenticate(signed(OTHER_RSA, "r2"))).name == "alice"
    with pytest.raises(Unauthenticated):
        await jwts.authenticate(signed())


async def test_invented_keys_do_not_make_it_ask_again_and_again(issuer, clock):
    jwts = taking(issuer.url, clock)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await jwts.authenticate(signed(kid=f"invented-{number}"))
    assert issuer.asked == 1


async def test_while_the_issuer_is_away_the_known_keys_stay(issuer, clock):
    jwts = taking(issuer.url, clock)
    await jwts.authenticate(signed())
    issuer.status = 500
    clock.ahead += 3600
    assert (await jwts.authenticate(signed())).name == "alice"
    assert issuer.asked == 2


async def test_keys_may_stand_in_a_file(tmp_path, clock):
    path = tmp_path / "jwks.json"
    shared = {"kty": "oct", "k": "AAAA", "kid": "s1"}
    path.write_text(json.dumps({"keys": [shared, {"kty": "new"}, jwk(RSA, "r1")]}))
    jwts = taking(str(path), clock)
    assert (await jwts.authenticate(signed())).name == "alice"
    # The only key there is needs no name.
    assert (await jwts.authenticate(signed(kid=None))).name == "alice"


@pytest.mark.parametrize("text", ["", "[]", '{"keys": 7}', '{"keys": {}}', "\u00e4"])
async def test_a_file_without_keys_lets_nobody_in(tmp_path, clock, text):
    path = tmp_path / "jwks.json"
    path.write_text(text)
    with pytest.raises(Unauthenticated):
        await taking(str(path), clock).authenticate(signed())


async def test_keys_are_not_read_from_where_others_could_forge_them(clock):
    with pytest.raises(SettingInvalid, match="https"):
        taking("http://issuer.example/keys", clock)
