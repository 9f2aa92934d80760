"""Who may see and who may change: everybody on one's own machine, else those whom a login names.

`.streamlit/secrets.toml` decides; docs/deployment.md says how.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import streamlit as st

from tl_engine.errors import ThawError
from tl_engine.text import escape

EDITORS = "editors"
TRUST = "THAW_TRUST_NETWORK"
"""Environment variable: "1" says that everybody who can reach the server may do everything."""
NOT_INSTALLED = (
    "A login is configured ([auth] in secrets.toml), but what it needs is not installed: "
    'pip install "streamlit[auth]".'
)
LOOK_ONLY = (
    "You can look at everything here. Launching, stopping, resuming, renaming and deleting is for "
    "those whom this server's list of editors names."
)


class AccessError(ThawError):
    """A configuration that does not say clearly who may do what."""


def refusal() -> str | None:
    """Why nobody may be served as things are configured, or None."""
    try:
        _editors()
        login = login_is_configured()
    except AccessError as error:
        return str(error)
    address = st.get_option("server.address")
    if login:
        return None if find_spec("authlib") and find_spec("httpx") else NOT_INSTALLED
    if is_loopback(address) or os.environ.get(TRUST) == "1":
        return None
    return (
        f"Thaw would listen on {address or 'every address of this machine'} and let everybody "
        "there start, stop and delete. Leave server.address at 127.0.0.1, configure a login "
        f"(docs/deployment.md), or set {TRUST}=1 if all who can reach it are trusted."
    )


def login_is_configured() -> bool:
    """Whether visitors have to say who they are."""
    return "auth" in _secrets()


def is_loopback(address: str | None) -> bool:
    """Whether it is a name or an address of this machine that no other machine reaches."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def admit() -> None:
    """Let the visitor in, or ask for a login and draw nothing else."""
    if _is_admitted():
        return
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.subheader("Thaw", anchor=False, width="content")
        st.markdown("This server wants to know who you are.", width="content")
        for provider in _providers():
            label = f"Log in with {escape(provider.title())}" if provider else "Log in"
            if st.button(label, type="primary", icon=":material/login:", key=f"login-{provider}"):
                st.login(provider)
        st.space("small")
    st.stop()


def _providers() -> list[str | None]:
    """The names of the ways to log in; the only one needs none."""
    auth = _secrets()["auth"].items()
    named = [key for key, way in auth if isinstance(way, Mapping) and "client_id" in way]
    return named or [None]


def show_visitor() -> None:
    """Who is logged in, and the way out."""
    if login_is_configured():
        name = str(st.user.get("name") or st.user.get("email") or "logged in")
        st.markdown(f":material/account_circle: {escape(name, 60)}", width="content")
        if st.button("Log out", type="tertiary", key="logout"):
            st.logout()


def may_change() -> bool:
    """Whether the visitor may launch, stop, resume, rename and delete; not by an address of which
    its provider says that nobody has verified it."""
    editors = _editors()
    if editors is None or not _is_admitted():
        return _is_admitted()
    email = st.user.get("email")
    if st.user.get("email_verified") in (False, "false") or not isinstance(email, str):
        return False
    return email.casefold() in editors


def button(label: str, **options: Any) -> bool:
    """A button that changes something: drawn for those who may, pressed only by those who may.

    Streamlit calls it again in the run that the press starts, so who may is asked anew before
    anything happens, whatever a browser sends.
    """
    return may_change() and st.button(label, **options)


def explain() -> None:
    """Say why there are no buttons, where they would be."""
    if not may_change():
        st.caption(f":material/visibility: {LOOK_ONLY}")


def _is_admitted() -> bool:
    return not login_is_configured() or st.user.get("is_logged_in") is True


def _editors() -> frozenset[str] | None:
    """The addresses of those who may change something; None where everybody may."""
    section = _secrets().get("thaw", {})
    if set(section) - {EDITORS}:
        raise AccessError(
            f"secrets.toml knows only [thaw] {EDITORS}, got {', '.join(sorted(section))}."
        )
    if EDITORS not in section:
        return None
    editors = section[EDITORS]
    if not isinstance(editors, list) or not all(isinstance(one, str) for one in editors):
        raise AccessError(
            f'secrets.toml: [thaw] {EDITORS} is a list of addresses, like ["you@example.org"].'
        )
    return frozenset(one.strip().casefold() for one in editors)


def _secrets() -> Mapping[str, Any]:
    """What secrets.toml holds; nothing where there is none.

    Raises:
        AccessError: where there is one that cannot be read: it may hold who must not get in.
    """
    if st.secrets.load_if_toml_exists():
        return st.secrets
    if any(Path(file).exists() for file in st.get_option("secrets.files")):
        raise AccessError(
            "secrets.toml cannot be read, so who may come in is unknown. Mend it or remove it."
        )
    return {}
