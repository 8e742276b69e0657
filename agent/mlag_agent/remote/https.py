"""``https:`` URLs: GET, PUT and DELETE with the server's certificate checked; redirects are not followed."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from mlag_agent.remote.errors import RemoteError, TooLargeError

__all__ = ["Https"]


class Https:
    """``ca_file``: the authorities to trust instead of the system's; raises OSError or ssl.SSLError for a bad one."""

    def __init__(self, ca_file: Path | None, max_bytes: int, timeout: float) -> None:
        self._context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        self._max_bytes = max_bytes
        self._timeout = timeout

    def _client(self) -> httpx.AsyncClient:
        # Proxies and credentials from the environment are not what a URL in a request means.
        return httpx.AsyncClient(verify=self._context, timeout=self._timeout, trust_env=False)

    async def read(self, url: str) -> bytes:
        """GET."""
        content = bytearray()
        try:
            async with self._client() as client, client.stream("GET", url) as response:
                _succeeded(response)
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > self._max_bytes:
                        raise TooLargeError(f"the answer is larger than {self._max_bytes} bytes")
        except httpx.HTTPError as error:
            raise RemoteError(_why(error)) from error
        return bytes(content)

    async def write(self, url: str, content: bytes) -> None:
        """PUT."""
        headers = {"Content-Type": "application/xml"}
        await self._send("PUT", url, content=content, headers=headers)

    async def delete(self, url: str) -> None:
        """DELETE."""
        await self._send("DELETE", url)

    async def _send(
        self, method: str, url: str, *, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> None:
        try:
            # The answer's content is of no interest, however long it is.
            async with (
                self._client() as client,
                client.stream(method, url, content=content, headers=headers) as response,
            ):
                _succeeded(response)
        except httpx.HTTPError as error:
            raise RemoteError(_why(error)) from error


def _succeeded(response: httpx.Response) -> None:
    if not response.is_success:
        hint = "; redirects are not followed" if response.is_redirect else ""
        raise RemoteError(f"the server answers {response.status_code} {response.reason_phrase}{hint}")


def _why(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
