"""A workbench for tests of the data layer: payload in, frozen tree out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import pytest
from lxml import etree

from mlag_agent.data.decode import Operation
from mlag_agent.data.edit import Editor
from mlag_agent.data.encode import encode_children
from mlag_agent.data.tree import Container, empty
from mlag_agent.datastore.payload import PayloadReader
from mlag_agent.errors import RpcError, RpcFailure
from mlag_agent.models import DEFAULT_MODEL, MODELS, DeviceModel
from mlag_agent.schema.library import ModuleRequest, SchemaLibrary

FOLDER = Path(__file__).parent / "yang"
PARSER = etree.XMLParser(remove_comments=True, remove_pis=True)


class Bench:
    """The module toolbox, and short ways to edit and read."""

    tb = "urn:test:toolbox"
    nc = "urn:ietf:params:xml:ns:netconf:base:1.0"

    def __init__(self, requests: Sequence[ModuleRequest], folders: Sequence[Path] = ()) -> None:
        self.library = SchemaLibrary.load(requests, folders)
        self.tree = self.library.tree
        self.namespaces = self.tree.namespaces
        self.reader = PayloadReader(self.library)
        self.empty = empty(self.tree.data)

    @staticmethod
    def config(text: str) -> etree._Element:
        """``<config>`` with the prefixes nc, yang, tb, tt declared."""
        return etree.fromstring(
            '<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"'
            ' xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" xmlns:yang="urn:ietf:params:xml:ns:yang:1"'
            f' xmlns:tb="urn:test:toolbox" xmlns:tt="urn:test:toolbox-types">{text}</config>',
            PARSER,
        )

    def box(self, text: str) -> str:
        """A payload of the container box."""
        return f'<box xmlns="{self.tb}">{text}</box>'

    def apply(
        self, root: Container, text: str, default: Operation = Operation.MERGE, *, strict: bool = False
    ) -> tuple[Container, list[RpcError]]:
        """Root and violations after an edit in the manner of continue-on-error."""
        problems: list[RpcError] = []
        nodes = self.reader.read(self.config(text), problems=problems, strict=strict)
        editor = Editor()
        after = editor.apply(root, nodes, default)
        return after, [*problems, *editor.errors]

    def edit(
        self, root: Container, text: str, default: Operation = Operation.MERGE, *, strict: bool = False
    ) -> Container:
        """Root after an edit; raises RpcFailure with every violation."""
        nodes = self.reader.read(self.config(text), strict=strict)
        editor = Editor()
        after = editor.apply(root, nodes, default)
        if editor.errors:
            raise RpcFailure(*editor.errors)
        return after

    def errors(self, text: str, root: Container | None = None, default: Operation = Operation.MERGE) -> list[RpcError]:
        """The violations of a payload that must be refused."""
        with pytest.raises(RpcFailure) as caught:
            self.edit(root or self.empty, text, default)
        return list(caught.value.errors)

    def load(self, text: str) -> Container:
        """A tree from nothing."""
        return self.edit(self.empty, text)

    def xml(self, root: Container) -> str:
        """The tree as it would be sent."""
        return encode_children(root, self.namespaces).decode()


@pytest.fixture(scope="session")
def bench() -> Bench:
    return Bench([ModuleRequest("toolbox"), ModuleRequest("toolbox-types")], [FOLDER])


def model_bench(model: DeviceModel) -> Bench:
    """The modules as a device of that model serves them."""
    return Bench(
        [
            ModuleRequest("dfs-m-lag", model.features),
            ModuleRequest("dfs-m-lag-interfaces"),
            ModuleRequest("dfs-m-lag-deviations"),
            ModuleRequest(model.deviations),
            ModuleRequest("ietf-network-instance"),
            ModuleRequest("ietf-interfaces"),
            ModuleRequest("iana-if-type"),
            ModuleRequest("ietf-ip"),
        ]
    )


@pytest.fixture(scope="session")
def mlag_bench() -> Bench:
    return model_bench(MODELS[DEFAULT_MODEL])


@pytest.fixture(scope="session")
def bench_of() -> Callable[[str], Bench]:
    """``bench_of(model name)``."""
    return cache(lambda name: model_bench(MODELS[name]))
