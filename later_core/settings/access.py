"""The settings about who may: what they are called, and what they can hold."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from later_core.errors import SettingInvalid
from later_core.model.binding import parse_binding
from later_core.settings.forms import Directory, Duration


def _words(value: object) -> object:
    """Words between commas, of a variable or a flag; a list as TOML has it."""
    if not isinstance(value, str):
        return value
    return [word.strip() for word in value.split(",") if word.strip()]


def _secret(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[A-Za-z0-9_-]{32,256}", value.get_secret_value()):
        raise ValueError(
            "not a secret of 32 to 256 letters, digits, _ and -; openssl rand -hex 32 makes one"
        )
    return value


def _credential(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{1,8192}", value.get_secret_value()):
        raise ValueError("not a token: it holds spaces, line breaks or other than ASCII")
    return value


def _bindings(value: tuple[str, ...]) -> tuple[str, ...]:
    for text in value:
        parse_binding(text)
    return value


def _algorithms(value: tuple[str, ...]) -> tuple[str, ...]:
    # HS256 and its like would take a public key for a shared secret; none is no signature at all.
    for name in value:
        if not re.fullmatch("(RS|ES|PS)(256|384|512)|EdDSA", name):
            raise ValueError(f"{name!r} is not one of RS256, ES256, PS256 and their like, EdDSA")
    if not value:
        raise ValueError("name at least one, such as RS256")
    return value


Way = Literal["token", "mtls", "jwt"]
Ways = Annotated[tuple[Way, ...], BeforeValidator(_words)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
Bindings = Annotated[Words, AfterValidator(_bindings)]
Algorithms = Annotated[Words, AfterValidator(_algorithms)]
AdminSecret = Annotated[SecretStr, AfterValidator(_secret)]
Credential = Annotated[SecretStr, AfterValidator(_credential)]


class AccessSettings(BaseModel):
    """Those of ``Settings`` that say who may."""

    auth: Ways = Field(
        (),
        description="How callers are told apart, any of token, mtls and jwt; none: everybody may do all.",
    )
    admin_token: AdminSecret | None = Field(
        None,
        description="A token with the role admin, to make the first one with; no flag, lest ps show it.",
    )
    jwt_keys: str | None = Field(
        None, description="JWKS of the issuer of JWTs: a file, or a URL that begins with https://."
    )
    jwt_issuer: str | None = Field(None, description="The issuer (iss) that a JWT must name.")
    jwt_audience: str | None = Field(None, description="The audience (aud) that a JWT must name.")
    jwt_algorithms: Algorithms = Field(
        ("RS256", "ES256"), description="The signatures of JWTs that are taken, between commas."
    )
    jwt_principal: str = Field("sub", description="The claim of a JWT that names the caller.")
    jwt_claim: str = Field(
        "roles",
        description="The claim of a JWT with its roles; dots lead into objects: realm_access.roles.",
    )
    jwt_roles: Bindings = Field(
        ("viewer=viewer", "scheduler=scheduler", "operator=operator", "admin=admin"),
        description="What the roles of a JWT mean here: ops=operator,ci-*=scheduler+run-bash.",
    )
    jwt_tasks: str | None = Field(
        None,
        min_length=1,
        description="The claim of a JWT with the tasks to which it is confined; who has none is refused.",
    )
    jwt_labels: str | None = Field(
        None,
        min_length=1,
        description="The claim of a JWT with the labels to which it is confined; who has none is refused.",
    )
    mtls_roles: Bindings = Field(
        (),
        description="What the subjects of client certificates may do: ci.example.com=scheduler.",
    )
    audit_retention: Duration = Field(
        timedelta(days=90),
        ge=timedelta(seconds=1),
        le=timedelta(days=24_000),
        description="How long an entry of the audit log is kept.",
    )
    token: Credential | None = Field(
        None,
        description="The token that the client and the commands send; no flag, lest ps show it.",
    )
    token_file: Directory | None = Field(
        None, description="A file that holds the token, read anew by each command."
    )

    def client_token(self) -> str | None:
        """What the client shows, from the variable or from the file; None: nothing.

        Raises:
            SettingInvalid: the file cannot be read, or holds no token.
        """
        if self.token is not None:
            return self.token.get_secret_value()
        if self.token_file is None:
            return None
        try:
            return _credential(
                SecretStr(self.token_file.read_text("utf-8").strip())
            ).get_secret_value()
        except OSError as error:
            raise SettingInvalid("token_file", f"{self.token_file}: {error.strerror}") from None
        except ValueError:
            raise SettingInvalid("token_file", f"{self.token_file} holds no token") from None

    @model_validator(mode="after")
    def _check_access(self) -> Self:
        if "jwt" in self.auth:
            for name in ("jwt_keys", "jwt_issuer", "jwt_audience"):
                if getattr(self, name) is None:
                    raise PydanticCustomError("together", "auth=jwt needs it", {"blamed": name})
        if "mtls" in self.auth:
            # The certificates are settings of the class that inherits these.
            for name in ("mtls_roles", "tls_client_ca"):
                if not getattr(self, name):
                    raise PydanticCustomError("together", "auth=mtls needs it", {"blamed": name})
        if self.token is not None and self.token_file is not None:
            raise PydanticCustomError(
                "together", "token is given too; keep one of both", {"blamed": "token_file"}
            )
        return self
