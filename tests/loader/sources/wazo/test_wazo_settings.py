"""The URL of a Wazo source, and what may be given beside it."""

from __future__ import annotations

import pytest

from loader.errors import SourceError
from loader.sources import open_source
from loader.sources.wazo.rest.settings import WazoOptions, settings_from

USER = WazoOptions(username="u", password="p")


@pytest.mark.parametrize(
    ("url", "confd", "auth"),
    [
        ("confd+https://w/api/confd/1.1", "https://w/api/confd/1.1", "https://w/api/auth/0.1"),
        ("confd+https://w/api/confd/1.1/", "https://w/api/confd/1.1", "https://w/api/auth/0.1"),
        ("confd+https://w", "https://w/api/confd/1.1", "https://w/api/auth/0.1"),
        ("CONFD+HTTP://w:9486", "http://w:9486/1.1", "http://w:9497/0.1"),
        ("confd+http://[::1]:9486/1.1", "http://[::1]:9486/1.1", "http://[::1]:9497/0.1"),
        ("confd+http://w:8000/1.1?auth_url=http://a:8001/0.1/", "http://w:8000/1.1", "http://a:8001/0.1"),
    ],
)
def test_the_url_says_where_both_services_are(url: str, confd: str, auth: str) -> None:
    """wazo-auth is taken to be beside wazo-confd, behind the same proxy or at its own port."""
    settings = settings_from(url, USER)
    assert (settings.confd_url, settings.auth_url) == (confd, auth)


def test_everything_may_stand_in_the_url() -> None:
    """User and password, the bus, tenants and certificates."""
    url = (
        "confd+https://me:p%40ss@w/api/confd/1.1?tenant=acme&tenant=bolt&ca_file=/x.pem&bus_url=amqp%3A%2F%2Fa%3Ab%40w"
    )
    settings = settings_from(url, poll_seconds=7)
    assert (settings.username, settings.password) == ("me", "p@ss")
    assert (settings.tenants, settings.ca_file, settings.bus_url) == (("acme", "bolt"), "/x.pem", "amqp://a:b@w")
    assert settings.poll_seconds == 7
    assert settings.name == "confd+https://w/api/confd/1.1"


def test_what_is_given_beside_the_url_goes_first() -> None:
    """A variable can take the place of what a committed URL says."""
    settings = settings_from(
        "confd+https://me:mine@w?tenant=acme", WazoOptions(username="u", password="p", tenants=("b",))
    )
    assert (settings.username, settings.password, settings.tenants) == ("u", "p", ("b",))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("confd+https://w/api/confd/1.1", "no username or no password"),
        ("confd+https:///api", "names no host"),
        ("confd+ftp://u:s3cret@w", "names no host"),
        ("confd+https://u:s3cret@w:port", "cannot be read"),
        ("confd+https://u:s3cret@[w", "cannot be read"),
        ("confd+https://u:s3cret@w?tennant=s3cret", "unknown parameter"),
        ("confd+https://u:s3cret@w?s3cret", "cannot be read"),
        ("confd+https://u:s3cret@w:8000/1.1", "auth_url"),
        ("confd+https://u:s3cret@w?auth_url=https://u:s3cret@w/0.1", "without a user"),
        ("confd+https://u:s3cret@w?auth_url=w", "cannot be used"),
    ],
)
def test_a_url_that_cannot_be_used_is_told(url: str, told: str) -> None:
    """The message says what to write, and repeats nothing secret."""
    with pytest.raises(SourceError, match=told) as refused:
        settings_from(url)
    assert "s3cret" not in f"{refused.value!r} {refused.value.__cause__!r}"


def test_settings_show_no_secret() -> None:
    """They may end up in a traceback."""
    options = WazoOptions(username="u", password="s3cret", bus_url="amqp://u:s3cret@w")
    assert "s3cret" not in f"{options!r} {settings_from('confd+https://w', options)!r}"


def test_a_source_is_opened_by_its_url() -> None:
    """The interval between looks is that of all sources; credentials may be given beside the URL."""
    source = open_source("confd+https://wazo.example.com/api/confd/1.1", recheck=7, wazo=USER)
    assert source.name == "confd+https://wazo.example.com/api/confd/1.1"
    with pytest.raises(SourceError, match="no username"):
        open_source("confd+http://wazo.example.com:9486/1.1")
