"""Which addresses are refused before anything is contacted."""

import socket
import time
from pathlib import Path

import pytest

from ckanext.mlops.core.address import Credential, Policy, check_address, is_public
from ckanext.mlops.core.errors import AddressRefused

PUBLIC = "93.184.216.34"


def answering(*addresses):
    """A resolver that answers every name with these addresses: the tests must not depend on a network."""

    def resolve(host, port, family=0, kind=0):
        return [(socket.AF_INET6 if ":" in item else socket.AF_INET, kind, 6, "", (item, port)) for item in addresses]

    return resolve


def refused(address, policy=None, resolve=None):
    with pytest.raises(AddressRefused) as caught:
        check_address(address, policy or Policy(), resolve or answering(PUBLIC))
    return str(caught.value)


@pytest.mark.parametrize(
    ("address", "clean"),
    [
        ("https://github.com/o/r.git", "https://github.com/o/r.git"),
        ("HTTPS://GitHub.com:443/o/r", "https://github.com/o/r"),
        ("https://git.example.org:8443/o/r", "https://git.example.org:8443/o/r"),
        ("https://93.184.216.34/o/r", "https://93.184.216.34/o/r"),
    ],
)
def test_an_ordinary_https_address_is_accepted_and_written_in_one_way(address, clean):
    source = check_address(address, Policy(), answering(PUBLIC))
    assert (source.url, source.transport, source.addresses) == (clean, "https", (PUBLIC,))


def test_ssh_needs_the_setting_and_keeps_the_user():
    assert "allowed schemes" in refused("ssh://git@github.com/o/r")
    source = check_address("git@github.com:o/r.git", Policy(schemes=("https", "ssh")), answering(PUBLIC))
    assert source.location == "ssh://git@github.com/o/r.git"
    assert source.port == 22


@pytest.mark.parametrize(
    "address",
    [
        "",
        "--upload-pack=touch /tmp/x",
        "-oProxyCommand=touch /tmp/x",
        "ext::sh -c 'touch /tmp/x'",
        "fd::17",
        "::x",
        "git://github.com/o/r",
        "http://github.com/o/r",
        "ftp://github.com/o/r",
        "javascript:alert(1)",
        "https://",
        "https:///o/r",
        "https://github.com",
        "https://github.com/",
        "https://-oProxyCommand=x/o/r",
        "https://git hub.com/o/r",
        "https://github.com/o/r\n--upload-pack=x",
        "https://github.com/o/\x00r",
        "https://github.com/o/r\u202egit",
        "https://github.com\\@evil.org/o/r",
        "https://github.com:99999/o/r",
        "https://[::1/o/r",
        "https://g\u2139thub.com/o/r",
        "https://a..b/o/r",
        "https://github.com/o/r?access_token=abc",
        "https://github.com/o/r#abc",
        "https://github.com/" + "a" * 3000,
    ],
)
def test_what_is_no_plain_https_address_is_refused(address):
    message = refused(address)
    assert "\n" not in message
    assert "abc" not in message
    assert len(message) < 600


@pytest.mark.parametrize(
    "address", ["ssh://-oProxyCommand=x/o/r", "ssh://-x@host/o/r", "-oProxyCommand=x@host:r", "ssh://a:b@host/r"]
)
def test_ssh_options_do_not_hide_in_host_user_or_password(address):
    refused(address, Policy(schemes=("ssh",)))


@pytest.mark.parametrize(
    "address", ["https://user:hunter2@github.com/o/r", "https://hunter2@github.com/o/r", "https://:hunter2@h.org/o/r"]
)
def test_credentials_in_an_address_are_refused_without_repeating_them(address):
    message = refused(address)
    assert "hunter2" not in message
    assert "credential" in message


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
        "0.0.0.0",  # noqa: S104 - an address to refuse
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fd00:ec2::254]",
        "[::ffff:127.0.0.1]",
        "[::ffff:a9fe:a9fe]",
        "[::7f00:1]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "[ff02::1]",
    ],
)
def test_private_loopback_link_local_and_metadata_addresses_are_refused(host):
    assert "public network" in refused(f"https://{host}/o/r")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.1", "1.2.3.0x4", "017700000001"]
)
def test_numbers_in_unusual_forms_are_refused(host):
    assert "unusual form" in refused(f"https://{host}/o/r", resolve=socket.getaddrinfo)


@pytest.mark.parametrize("found", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::ffff:10.0.0.1"], ["fe80::1%eth0"]])
def test_a_name_that_resolves_to_a_private_address_is_refused(found):
    assert "public network" in refused("https://inside.example.org/o/r", resolve=answering(*found))


def test_private_addresses_can_be_allowed():
    policy = Policy(schemes=("http",), allow_private_addresses=True)
    assert check_address("http://localhost:3000/o/r", policy, answering("127.0.0.1")).addresses == ("127.0.0.1",)


def test_a_name_that_does_not_resolve_says_so():
    def fails(*_):
        raise socket.gaierror(-2, "Name or service not known")

    assert "does not resolve" in refused("https://nowhere.invalid/o/r", resolve=fails)
    assert "does not resolve" in refused("https://nowhere.invalid/o/r", resolve=answering())


def test_the_list_of_hosts_is_a_list_of_globs():
    policy = Policy(hosts=("github.com", "*.example.org"))
    assert check_address("https://GITHUB.com/o/r", policy, answering(PUBLIC))
    assert check_address("https://git.example.org/o/r", policy, answering(PUBLIC))
    assert "list of allowed hosts" in refused("https://evilgithub.com/o/r", policy)
    assert "list of allowed hosts" in refused("https://github.com.evil.org/o/r", policy)


def test_folders_are_read_only_below_the_roots(tmp_path):
    inside, outside = tmp_path / "root" / "repo", tmp_path / "other"
    inside.mkdir(parents=True)
    outside.mkdir()
    (tmp_path / "root" / "link").symlink_to(outside)
    policy = Policy(roots=(tmp_path / "root",))
    assert check_address(str(inside), policy).location == str(inside)
    assert check_address(f"file://{inside}", policy).url == f"file://{inside}"
    answers = {
        refused(str(address), policy).replace(str(address), "X").replace(f"'{address}'", "X")
        for address in (
            outside,
            tmp_path / "root" / "link",
            inside / ".." / ".." / "other",
            tmp_path / "root" / "absent",
            "/etc",
        )
    }
    assert len(answers) == 1, "the answer must not tell what exists"
    refused(f"file://host{inside}", policy)
    refused(f"file://{inside}?x", policy)
    refused(str(inside), Policy())
    refused(f"{tmp_path}/root/re\npo", policy)


def test_a_percent_encoded_way_out_of_the_root_is_refused(tmp_path):
    (tmp_path / "root").mkdir()
    refused(f"file://{tmp_path}/root/%2e%2e/", Policy(roots=(tmp_path / "root",)))


def test_long_hostile_text_is_refused_at_once():
    start = time.monotonic()
    for text in ("a@" * 900, "https://" + "@" * 1900, ":" * 1999, "https://" + "a." * 900, "[" * 1999):
        refused(text)
    assert time.monotonic() - start < 20


def test_a_credential_shows_no_secret():
    credential = Credential(username="reader", password="hunter2", token="tok3n", ssh_key=Path("/keys/id"))
    assert "hunter2" not in repr(credential)
    assert "tok3n" not in repr(credential)
    assert credential.http_header().startswith("Basic ")


def test_public_addresses_are_public():
    assert all(is_public(item) for item in (PUBLIC, "140.82.121.3", "2606:4700::1111", "64:ff9b::5db8:d822"))
    assert not is_public("not an address")
