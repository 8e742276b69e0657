"""Scanners of SSH and TLS servers look at the default settings: ssh-audit, and sslyze in an environment of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from mlag_agent.access.cert_to_name import MapType
from mlag_agent.app import Device
from mlag_agent.config import CertToNameSettings, ListenSettings, TlsSettings
from netconf_client import Client
from pki import Authority, fingerprint

Start = Callable[..., Awaitable[Device]]
SSLYZE = Path(sys.prefix) / "scan" / "bin" / "sslyze"

ACCEPTED_WARNINGS = {
    # Clients that have nothing else: paramiko before 5, libssh2 (docs/decisions/048).
    ("curve25519-sha256", "does not provide protection against post-quantum attacks"),
    ("curve25519-sha256@libssh.org", "does not provide protection against post-quantum attacks"),
    ("hmac-sha2-256", "using encrypt-and-MAC mode"),
    ("hmac-sha2-512", "using encrypt-and-MAC mode"),
}


async def run(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(100):
        output, _ = await process.communicate()
    return output


def notes(report: Mapping[str, Any], level: str) -> Iterator[tuple[str, str]]:
    for kind in ("kex", "key", "enc", "mac"):
        for row in report[kind]:
            yield from ((row["algorithm"], note) for note in row.get("notes", {}).get(level, ()))


class TestSshAudit:
    @pytest.mark.parametrize("host_keys", [("ed25519",), ("ed25519", "rsa")])
    async def test_no_failure(self, start: Start, host_keys: tuple[str, ...]) -> None:
        device = await start(listen=ListenSettings(port=0, host_keys=host_keys))  # type: ignore[arg-type]
        program = str(Path(sys.executable).with_name("ssh-audit"))
        report = json.loads(await run(program, "--json", "--port", str(device.port), "127.0.0.1"))
        assert list(notes(report, "fail")) == []
        assert set(notes(report, "warn")) <= ACCEPTED_WARNINGS
        assert report["cves"] == []
        assert report["compression"] == ["none"]
        assert {row["algorithm"] for row in report["key"]} == (
            {"ssh-ed25519"} if len(host_keys) == 1 else {"ssh-ed25519", "rsa-sha2-256", "rsa-sha2-512"}
        )
        # Afterwards the agent is as it was, for the next client.
        client = await Client.connect(device.port)
        assert (await client.get_config()).data is not None
        await client.aclose()

    async def test_it_would_find_something(self, start: Start) -> None:
        """The same question about a setting of ours that is not the default."""
        device = await start(listen=ListenSettings(port=0, host_keys=("ecdsa",)))
        program = str(Path(sys.executable).with_name("ssh-audit"))
        report = json.loads(await run(program, "--json", "--port", str(device.port), "127.0.0.1"))
        assert {name for name, _ in notes(report, "fail")} == {"ecdsa-sha2-nistp256"}


@pytest.mark.skipif(not SSLYZE.exists(), reason="needs sslyze in an environment of its own: make test installs it")
async def test_sslyze(start: Start, tmp_path: Path) -> None:
    root = Authority.make("root")
    certificate, key = root.issue_server(x509.IPAddress(ip_address("127.0.0.1"))).write(tmp_path, "server")
    rule = CertToNameSettings(1, fingerprint(root.certificate), MapType.COMMON_NAME)
    tls = TlsSettings(str(certificate), str(key), str(root.write(tmp_path, "root")[0]), port=0, cert_to_name=(rule,))
    client = root.issue(common_name="anna").write(tmp_path, "client")
    device = await start(tls=tls)
    output = await run(
        str(SSLYZE), f"--cert={client[0]}", f"--key={client[1]}", "--json_out=-", "--sslv2", "--sslv3", "--tlsv1",
        "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--early_data", "--compression", "--heartbleed", "--openssl_ccs",
        "--robot", "--reneg", "--resum", "--ems", f"127.0.0.1:{device.endpoints.tls_port}",
    )  # fmt: skip
    [scanned] = json.loads(output)["server_scan_results"]
    found = {name: part["result"] for name, part in scanned["scan_result"].items() if part["status"] == "COMPLETED"}

    def accepted(version: str) -> set[str]:
        return {row["cipher_suite"]["name"] for row in found[f"{version}_cipher_suites"]["accepted_cipher_suites"]}

    for old in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
        assert accepted(old) == set()
    assert accepted("tls_1_2") == {
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    }
    assert accepted("tls_1_3") == {
        "TLS_AES_128_GCM_SHA256",  # the one that RFC 8446 section 9.1 requires
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    }
    assert found["tls_1_3_early_data"]["supports_early_data"] is False
    assert found["tls_compression"]["supports_compression"] is False
    assert found["heartbleed"]["is_vulnerable_to_heartbleed"] is False
    assert found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"] is False
    assert found["robot"]["robot_result"] == "NOT_VULNERABLE_RSA_NOT_SUPPORTED"
    assert found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"] is False
    assert found["session_renegotiation"]["supports_secure_renegotiation"] is True
    assert found["tls_extended_master_secret"]["supports_ems_extension"] is True
    assert found["session_resumption"]["session_id_resumption_result"] == "NOT_SUPPORTED"
    assert found["session_resumption"]["tls_ticket_resumption_result"] == "NOT_SUPPORTED"
