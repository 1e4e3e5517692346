"""An authority of one's own, and a certificate of it for a server on loopback."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def make(folder: Path, password: str) -> tuple[Path, Path]:
    """The authority's certificate as PEM, and what a server has, key and certificate, as PKCS #12."""
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _begun("authority", "authority", authority.public_key())
    root_signed = root.add_extension(x509.BasicConstraints(True, None), True).sign(authority, hashes.SHA256())
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = _begun("store", "authority", server.public_key()).add_extension(address, False)
    leaf_signed = leaf.sign(authority, hashes.SHA256())
    ca, store = folder / "ca.pem", folder / "store.p12"
    ca.write_bytes(root_signed.public_bytes(Encoding.PEM))
    locked = BestAvailableEncryption(password.encode())
    store.write_bytes(pkcs12.serialize_key_and_certificates(b"store", server, leaf_signed, [root_signed], locked))
    return ca, store


def _begun(subject: str, issuer: str, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
