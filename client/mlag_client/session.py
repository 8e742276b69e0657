"""One NETCONF session: ncclient's calls with this package's errors.  The only file that imports ncclient and paramiko.

ncclient wakes its send loop every 0.1 s (``ncclient.transport.session.TICK``), so a call that waits for its reply takes
about 0.1 s however fast the agent is.  Calls that do not depend on each other are therefore sent in one go
(``Session.pipelined``): the loop sends the next one as soon as a reply wakes it.
"""

from __future__ import annotations

import ipaddress
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from lxml import etree
from ncclient import NCClientError, manager
from ncclient.manager import Manager
from ncclient.operations import OperationError, RPCError, TimeoutExpiredError
from ncclient.transport.errors import AuthenticationError, SSHUnknownHostError

from mlag_client.errors import (
    ConnectFailed,
    HostKeyUnknown,
    LoginRefused,
    MlagClientError,
    ReplyTimeout,
    RpcErrorInfo,
    RpcFailed,
    SessionLost,
    UnexpectedReply,
)
from mlag_client.events import Event, parse_event

__all__ = ["Manager", "Session", "open_manager", "rpc_errors"]

EVENT_TICK = 0.5
"""Seconds after which a wait for events looks whether there still is a session: ncclient does not say when it ends."""

BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
COMMIT: Final = "urn:mlag-agent:yang:mlag-agent-commit"
NMDA_COMPARE: Final = "urn:ietf:params:xml:ns:yang:ietf-nmda-compare"
DATASTORES: Final = "urn:ietf:params:xml:ns:yang:ietf-datastores"

_NOT_FOR_US: Final = frozenset({"unknown-namespace", "unknown-element", "operation-not-supported", "access-denied"})
"""Error-tags of an operation that is not served, or not to this user."""

# Replies come from the server that the user chose to log in to, yet need no DTD, entity or network either.
_PARSER: Final = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)


def is_loopback(host: str) -> bool:
    """Whether a connection to ``host`` cannot leave this machine, by its name alone."""
    if host.lower() in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def open_manager(
    host: str,
    port: int,
    username: str,
    password: str | None = None,
    key_filename: str | Path | None = None,
    *,
    timeout: float = 30.0,
    hostkey_verify: bool | None = None,
    known_hosts: str | Path | None = None,
    device_name: str = "default",
) -> Manager:
    """A connected ncclient Manager.

    ``hostkey_verify`` ``None``: verified unless the host is this machine's loopback, where an agent makes a new key for
    every state folder and nobody can stand in between.  ``known_hosts`` is a file in OpenSSH's format
    (``~/.ssh/known_hosts`` by default); naming one switches verification on.  Without password and key the SSH agent
    and the usual key files are tried, else only what was given.  ``timeout`` seconds hold for the connection, the hello
    and each reply.  Raises ConnectFailed, HostKeyUnknown and LoginRefused.
    """
    if hostkey_verify is None:
        hostkey_verify = known_hosts is not None or not is_loopback(host)
    only_given = password is not None or key_filename is not None
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "username": username,
        "password": password,
        "key_filename": None if key_filename is None else str(key_filename),
        "hostkey_verify": hostkey_verify,
        "allow_agent": not only_given,
        "look_for_keys": not only_given,
        "timeout": timeout,
        "manager_params": {"timeout": timeout},
        "device_params": {"name": device_name},
    }
    with _ssh_config(known_hosts) as config, _connect_errors(host, port, username):
        made: Manager = manager.connect(**options, **({} if config is None else {"ssh_config": config}))
        return made


@contextmanager
def _ssh_config(known_hosts: str | Path | None) -> Iterator[str | None]:
    """An OpenSSH configuration that names the file: the one way to give ncclient one of one's own."""
    if known_hosts is None:
        yield None
        return
    path = Path(known_hosts).expanduser().resolve()
    with tempfile.NamedTemporaryFile("w", prefix="mlag-client-", suffix=".config", encoding="utf-8") as file:
        file.write(f'Host *\n  UserKnownHostsFile "{path}"\n')
        file.flush()
        yield file.name


@contextmanager
def _connect_errors(host: str, port: int, username: str) -> Iterator[None]:
    where = f"{host} port {port}"
    try:
        yield
    except SSHUnknownHostError as error:
        raise HostKeyUnknown(
            host,
            port,
            f"the host key of {where} is not known (MD5 fingerprint {error.fingerprint})",
            "name a file that holds it with --known-hosts FILE (known_hosts=), made by ssh-keyscan, or give "
            "--insecure (hostkey_verify=False) in a lab",
        ) from error
    except AuthenticationError as error:
        raise LoginRefused(
            host, port, f"{where} does not let {username} in: wrong user, password or key", "check user and password"
        ) from error
    except (NCClientError, OSError, EOFError) as error:
        raise ConnectFailed(
            host, port, f"cannot open a NETCONF session with {where}: {error}", "is the agent running on this port?"
        ) from error
    except Exception as error:
        # paramiko's SSHException comes through as it is, and paramiko is only known through ncclient.
        if type(error).__module__.partition(".")[0] != "paramiko":
            raise
        raise ConnectFailed(host, port, f"cannot open an SSH session with {where}: {error}") from error


def rpc_errors(raw: etree._Element) -> tuple[RpcErrorInfo, ...]:
    """Every ``<rpc-error>`` in ``raw``, which may be one itself."""
    return tuple(_rpc_error(element) for element in raw.iter(f"{{{BASE}}}rpc-error"))


def _rpc_error(element: etree._Element) -> RpcErrorInfo:
    def text(name: str) -> str | None:
        found = element.findtext(f"{{{BASE}}}{name}")
        return None if found is None else found.strip()

    info = element.find(f"{{{BASE}}}error-info")
    leaves = (
        ()
        if info is None
        else tuple(
            (etree.QName(leaf).localname, (leaf.text or "").strip()) for leaf in info.iter("{*}*") if not len(leaf)
        )
    )
    return RpcErrorInfo(
        tag=text("error-tag") or "operation-failed",
        message=text("error-message") or "",
        type=text("error-type") or "application",
        severity=text("error-severity") or "error",
        app_tag=text("error-app-tag"),
        path=text("error-path"),
        info=leaves if info is not None and len(info) else (),
    )


class Session:
    """Calls on a Manager; errors of ncclient become those of ``mlag_client.errors``.

    A Manager made elsewhere works when its device handler keeps the namespaces of replies (default, huawei, huaweiyang,
    h3c, nexus, iosxe, ...; not junos).
    """

    def __init__(self, connected: Manager) -> None:
        self.manager = connected

    def close(self) -> None:
        """End the session; one that has already ended is no error."""
        if not self.manager.connected:
            return
        try:
            self.manager.close_session()
        except (NCClientError, OSError, EOFError):
            # The agent was faster: the aim is reached, what remains is our end of the connection.
            self.manager._session.close()

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The server's capabilities, as it sent them."""
        return tuple(self.manager.server_capabilities)

    # --- operations -----------------------------------------------------------------------------------------

    def get(self, filter_element: etree._Element) -> etree._Element:
        """``<data>`` of a ``<get>``."""
        return self._data(self._call("get", lambda: self.manager.get(filter=filter_element)))

    def get_config(self, source: str, filter_element: etree._Element | None = None) -> etree._Element:
        """``<data>`` of a ``<get-config>``; without a filter, all of it."""
        return self._data(
            self._call("get-config", lambda: self.manager.get_config(source=source, filter=filter_element))
        )

    def edit(self, config: etree._Element) -> None:
        """``<edit-config>`` of the candidate: all of it or, when any part is refused, nothing."""
        self._call(
            "edit-config",
            lambda: self.manager.edit_config(config=config, target="candidate", error_option="rollback-on-error"),
        )

    def commit(
        self,
        *,
        timeout: int | None = None,
        persist: str | None = None,
        persist_id: str | None = None,
        label: str | None = None,
        description: str | None = None,
    ) -> None:
        """``<commit>``; with ``timeout``, one that has to be confirmed within these seconds (RFC 6241 section 8.4).

        ``label`` and ``description`` say what it is for, to an agent that serves mlag-agent-commit; another one refuses
        them with unknown-namespace.
        """
        operation = etree.Element(f"{{{BASE}}}commit", nsmap={None: BASE})  # type: ignore[dict-item]  # the stubs know no default
        if timeout is not None:
            etree.SubElement(operation, f"{{{BASE}}}confirmed")
            etree.SubElement(operation, f"{{{BASE}}}confirm-timeout").text = str(timeout)
        for name, value in (("persist", persist), ("persist-id", persist_id)):
            if value is not None:
                etree.SubElement(operation, f"{{{BASE}}}{name}").text = value
        for name, value in (("label", label), ("description", description)):
            if value is not None:
                etree.SubElement(operation, f"{{{COMMIT}}}{name}", nsmap={None: COMMIT}).text = value  # type: ignore[dict-item]
        self._call("commit", lambda: self.manager.rpc(operation))

    def cancel_commit(self, persist_id: str | None = None) -> None:
        """``<cancel-commit>``: back to before the commit that has to be confirmed."""
        self._call("cancel-commit", lambda: self.manager.cancel_commit(persist_id=persist_id))

    def discard_changes(self) -> None:
        """``<discard-changes>``: the candidate is as running again."""
        self._call("discard-changes", self.manager.discard_changes)

    def candidate_differs(self) -> bool | None:
        """Whether the candidate differs from running (RFC 9144); None when the agent does not tell this user."""
        (asked,) = self._sent([lambda: self.manager.rpc(_compare())], "compare")
        return self._has_differences(asked)

    def edit_and_compare(self, config: etree._Element) -> bool | None:
        """``edit`` and ``candidate_differs`` on one way to the agent; the former's errors are raised."""
        edited, asked = self._sent(
            [
                lambda: self.manager.edit_config(config=config, target="candidate", error_option="rollback-on-error"),
                lambda: self.manager.rpc(_compare()),
            ],
            "edit-config",
        )
        self._awaited(edited, "edit-config")
        return self._has_differences(asked)

    def _has_differences(self, asked: Any) -> bool | None:
        try:
            reply = self._awaited(asked, "compare")
        except RpcFailed as refused:
            if all(error.tag in _NOT_FOR_US for error in refused.errors):
                return None
            raise
        return reply.find(f".//{{{NMDA_COMPARE}}}edit") is not None

    def rpc(self, element: etree._Element) -> etree._Element:
        """``<rpc-reply>`` of any rpc."""
        name = etree.QName(element).localname
        return _root(self._call(name, lambda: self.manager.rpc(element)))

    def change(self, make_config: Callable[[], etree._Element]) -> None:
        """Lock the candidate, edit, commit, unlock; a failure leaves nothing behind.

        ``make_config`` is called under the lock, so that what it reads is what the edit meets.  The lock is refused
        when another session holds it or has left changes in the candidate (RFC 6241 section 7.5): somebody else's edit
        is never committed along.
        """
        self._call("lock", lambda: self.manager.lock("candidate"))
        try:
            config = make_config()
            self._call("edit-config", lambda: self.manager.edit_config(config=config, target="candidate"))
            self._call("commit", self.manager.commit)
        except BaseException as failure:
            # Releasing the lock would discard as well (RFC 6241 section 8.3.5.2); saying so does not rely on it.
            self._clean_up(failure)
            raise
        self._call("unlock", lambda: self.manager.unlock("candidate"))

    def _clean_up(self, failure: BaseException) -> None:
        """After ``failure``, which is what the caller has to hear of; what goes wrong here is noted on it."""
        try:
            self.pipelined([self.manager.discard_changes, lambda: self.manager.unlock("candidate")], "discard-changes")
        except (SessionLost, ReplyTimeout):
            # A session that ends loses its lock, and the agent discards its candidate.
            return
        except RpcFailed as error:
            failure.add_note(f"and the candidate could not be released: {error}")

    # --- notifications --------------------------------------------------------------------------------------

    def subscribe(
        self,
        *,
        stream: str | None = None,
        filter_element: etree._Element | None = None,
        start: datetime | None = None,
        stop: datetime | None = None,
    ) -> None:
        """create-subscription (RFC 5277 section 2.1.1); one to a session."""
        times = {name: None if time is None else time.isoformat() for name, time in (("start", start), ("stop", stop))}
        self._call(
            "create-subscription",
            lambda: self.manager.create_subscription(
                filter=filter_element,
                stream_name=stream,
                start_time=times["start"],
                stop_time=times["stop"],
            ),
        )

    def next_event(self, timeout: float | None = None) -> Event | None:
        """The next event; None when none comes in ``timeout`` seconds.  Raises SessionLost when none can come."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = EVENT_TICK if deadline is None else min(EVENT_TICK, deadline - time.monotonic())
            taken = self.manager.take_notification(block=True, timeout=max(left, 0.0))
            if taken is not None:
                return parse_event(str(taken.notification_xml))
            if not self.manager.connected:
                raise SessionLost("the session ended while events were waited for", "connect again")
            if deadline is not None and time.monotonic() >= deadline:
                return None

    def pipelined(self, calls: Sequence[Callable[[], Any]], operation: str) -> list[etree._Element]:
        """Send all, then wait for all replies, in order; raises the error of the first that failed."""
        return [self._awaited(rpc, operation) for rpc in self._sent(calls, operation)]

    def _sent(self, calls: Sequence[Callable[[], Any]], operation: str) -> list[Any]:
        """Send all; the replies are to be awaited."""
        before = self.manager.async_mode
        self.manager.async_mode = True
        try:
            return [self._call(operation, call) for call in calls]
        finally:
            self.manager.async_mode = before

    def _awaited(self, rpc: Any, operation: str) -> etree._Element:
        if not rpc.event.wait(self.manager.timeout):
            raise ReplyTimeout(f"no reply to {operation} in {self.manager.timeout:g} s")
        if rpc.error is not None:
            raise _lost(operation, rpc.error)
        root = _root(rpc.reply)
        errors = rpc_errors(root)
        if errors:
            raise RpcFailed(errors, operation)
        return root

    def _call(self, operation: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except RPCError as error:
            raise RpcFailed(_of_ncclient(error), operation) from error
        except TimeoutExpiredError as error:
            raise ReplyTimeout(f"no reply to {operation} in {self.manager.timeout:g} s") from error
        except OperationError as error:
            raise MlagClientError(f"{operation}: {error}") from error
        except (NCClientError, OSError, EOFError) as error:
            raise _lost(operation, error) from error

    def _data(self, reply: Any) -> etree._Element:
        data = _root(reply).find(f"{{{BASE}}}data")
        if data is None:
            raise UnexpectedReply("the reply has no <data>")
        return data


def _compare() -> etree._Element:
    """``<compare>`` of running and candidate (RFC 9144 section 3)."""
    operation = etree.Element(f"{{{NMDA_COMPARE}}}compare", nsmap={None: NMDA_COMPARE, "ds": DATASTORES})  # type: ignore[dict-item]
    etree.SubElement(operation, f"{{{NMDA_COMPARE}}}source").text = "ds:running"
    etree.SubElement(operation, f"{{{NMDA_COMPARE}}}target").text = "ds:candidate"
    return operation


def _lost(operation: str, error: Exception) -> SessionLost:
    # Messages of ncclient go on with the bytes it had read.
    reason = (str(error) or type(error).__name__).partition("\n")[0]
    return SessionLost(f"the session ended during {operation}: {reason}", "connect again")


def _of_ncclient(error: RPCError) -> Iterable[RpcErrorInfo]:
    raw = error.xml
    found = rpc_errors(raw) if isinstance(raw, etree._Element) else ()
    return found or (RpcErrorInfo("operation-failed", str(error)),)


def _root(reply: Any) -> etree._Element:
    """``<rpc-reply>``, parsed anew: what ncclient parsed depends on its device handler."""
    try:
        return etree.fromstring(str(reply.xml).encode(), _PARSER)
    except etree.XMLSyntaxError as error:
        raise UnexpectedReply(f"the reply is no XML: {error}") from error
