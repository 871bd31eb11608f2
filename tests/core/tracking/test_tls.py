"""Certificates of both sides. The server is a stand-in that asks for one of ours, as a proxy before MLflow does."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.core.mlflow import MlflowClient, Server


class Authority:
    """Signs certificates, as an organization's own does."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(name, self.key.public_key(), ca=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Files of a new certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        signed = self._sign(name, key.public_key(), ca=False)
        certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, secret

    def _sign(self, name, public_key, *, ca):
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .sign(self.key, hashes.SHA256())
        )


@pytest.fixture
def secure(stand, tmp_path):
    """The stand-in behind TLS, and options that reach it: CA, client certificate and key."""
    authority = Authority(tmp_path, "authority")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("server"))
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    stand.server.socket = context.wrap_socket(stand.server.socket, server_side=True, do_handshake_on_connect=False)
    stand.answer = lambda handler: stand.reply(handler, 200, json.dumps({"experiments": []}).encode())
    certificate, key = authority.issue("catalog")
    return {
        "uri": stand.url.replace("http:", "https:"),
        "ca_bundle": authority.file,
        "client_cert": certificate,
        "client_key": key,
        "timeout": 5.0,
    }


def read(options):
    return list(MlflowClient(Server("lab", **options), retries=0).experiments())


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")  # that is what "verify = false" asks for
def test_a_server_with_an_own_authority_and_a_client_certificate_is_read(secure):
    assert read(secure) == []
    both = secure["client_cert"].with_name("both.pem")
    both.write_bytes(secure["client_cert"].read_bytes() + secure["client_key"].read_bytes())
    assert read({**secure, "client_cert": both, "client_key": None}) == []
    assert read({**secure, "ca_bundle": None, "verify": False}) == []


def test_a_server_that_cannot_be_believed_is_not_read(secure, stand, tmp_path):
    stranger = Authority(tmp_path, "stranger")
    for changes in ({"ca_bundle": None}, {"ca_bundle": stranger.file}):
        with pytest.raises(MlflowError, match="MLflow server lab") as caught:
            read({**secure, **changes})
        assert "certificate" in str(caught.value)
    assert stand.requests == []


def test_a_missing_or_foreign_client_certificate_is_refused(secure, stand, tmp_path):
    certificate, key = Authority(tmp_path, "stranger").issue("stranger-client")
    for changes in ({"client_cert": None, "client_key": None}, {"client_cert": certificate, "client_key": key}):
        with pytest.raises(MlflowError, match="MLflow server lab"):
            read({**secure, **changes})
    assert stand.requests == []
