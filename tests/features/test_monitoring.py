"""Capabilities, get-schema, monitoring state and the YANG library: what the agent says of itself agrees with itself."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from lxml import etree
from pyang import context, repository

from mlag_agent.app import Device
from mlag_agent.models import DEFAULT_MODEL, MODELS
from mlag_agent.schema.library import own_folders, standard_folders
from netconf_client import NC, Client, channel, group, vpn

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]

CAPABILITY = "urn:ietf:params:netconf:capability:"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
STATE = f'<netconf-state xmlns="{MONITORING}"/>'


LIB = 'module lib {{ namespace "urn:lib"; prefix lib; revision {}; typedef t {{ type {}; }} }}'
FILES = {
    "lib@2020-01-01.yang": LIB.format("2020-01-01", "int8"),
    "lib@2021-01-01.yang": LIB.format("2021-01-01", "int16"),
    "bare.yang": 'module bare { namespace "urn:bare"; prefix b; typedef t { type int8; } }',
    "many.yang": """module many { yang-version 1.1; namespace "urn:many"; prefix m; include part; include deep;
        import lib { prefix o; revision-date 2020-01-01; } import lib { prefix n; revision-date 2021-01-01; }
        import bare { prefix b; }
        leaf one { type o:t; } leaf two { type n:t; } leaf three { type b:t; } }""",
    "part.yang": "submodule part { yang-version 1.1; belongs-to many { prefix m; } include deep;"
    " leaf p { type m:d; } }",
    "deep.yang": "submodule deep { yang-version 1.1; belongs-to many { prefix m; } typedef d { type int8; } }",
}


def get_schema(identifier: str, version: str = "", form: str = "") -> str:
    """The operation; ``version`` and ``form`` as they stand."""
    version = f"<version>{version}</version>" if version else ""
    form = f"<format>{form}</format>" if form else ""
    return f'<get-schema xmlns="{MONITORING}"><identifier>{identifier}</identifier>{version}{form}</get-schema>'


class TestCapabilities:
    """What is advertised works, and what works is advertised."""

    async def works(self, session: Client, name: str) -> bool:  # noqa: PLR0912  # a case for each capability
        """Whether the operations of a capability of RFC 6241 section 8 do what they should."""
        edit = "<edit-config><target>{}</target>{}<config>{}</config></edit-config>"
        match name:
            case "writable-running:1.0":
                reply = await session.rpc(edit.format("<running/>", "", vpn("probe")))
                return reply.ok and (await session.get_config()).leafs("name") == ["probe"]
            case "candidate:1.0":
                replies = [
                    await session.rpc(edit.format("<candidate/>", "", vpn("probe"))),
                    await session.rpc("<commit/>"),
                    await session.rpc("<discard-changes/>"),
                ]
                return all(reply.ok for reply in replies)
            case "rollback-on-error:1.0":
                option = "<error-option>rollback-on-error</error-option>"
                return (await session.rpc(edit.format("<running/>", option, vpn("probe")))).ok
            case "validate:1.0":
                return (await session.rpc("<validate><source><running/></source></validate>")).ok
            case "validate:1.1":
                option = "<test-option>test-only</test-option>"
                return (await session.rpc(edit.format("<running/>", option, vpn("probe")))).ok
            case "startup:1.0":
                copy = "<copy-config><target><startup/></target><source><running/></source></copy-config>"
                return (await session.rpc(copy)).ok
            case "confirmed-commit:1.0":
                first = await session.rpc("<commit><confirmed/><confirm-timeout>60</confirm-timeout></commit>")
                return first.ok and (await session.rpc("<commit/>")).ok
            case "confirmed-commit:1.1":
                before = (await session.get_config()).text.partition(">")[2]
                await session.rpc(edit.format("<candidate/>", "", vpn("confirmed")))
                replies = [
                    await session.rpc("<commit><confirmed/><persist>x</persist></commit>"),
                    await session.rpc("<cancel-commit><persist-id>x</persist-id></cancel-commit>"),
                ]
                return all(reply.ok for reply in replies) and (
                    (await session.get_config()).text.partition(">")[2] == before
                )
            case "xpath:1.0":
                return not (await session.rpc('<get><filter type="xpath" select="/*"/></get>')).errors
            case "url:1.0":
                url = "<url>file:///tmp/x</url>"
                return (await session.rpc(f"<edit-config><target><running/></target>{url}</edit-config>")).ok
            case "with-defaults:1.0":
                wd = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
                return not (await session.rpc(f'<get><with-defaults xmlns="{wd}">trim</with-defaults></get>')).errors
            case "yang-library:1.1" | "with-operational-defaults:1.0":  # RFC 8526 section 2
                nmda = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
                mode = "" if name.startswith("yang") else "<with-defaults>trim</with-defaults>"
                reply = await session.rpc(
                    f'<get-data xmlns="{nmda}" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">'
                    f"<datastore>ds:operational</datastore>{mode}</get-data>"
                )
                return not reply.errors and bool(reply.leafs("content-id"))
            case "partial-lock:1.0":
                lock = '<partial-lock xmlns="urn:ietf:params:xml:ns:netconf:partial-lock:1.0"><select>/x</select>'
                return (await session.rpc(f"{lock}</partial-lock>")).error.app_tag == "no-matches"
            case "notification:1.0" | "interleave:1.0":
                asked = await session.rpc(
                    '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'
                )
                return asked.ok or asked.error.tag == "in-use"  # the other of the two has been asked for before
        raise AssertionError(f"no test for the capability {name}")

    @pytest.mark.parametrize("startup", [False, True])
    async def test_exactly_those_that_work(self, start: Start, connect: Connect, startup: bool) -> None:
        session = await connect(await start(startup=startup))
        offered = {uri.removeprefix(CAPABILITY).partition("?")[0] for uri in session.capabilities}
        optional = {name for name in offered if re.fullmatch(r"[a-z-]+:1\.[01]", name)}
        optional -= {"yang-library:1.0"}
        known = {
            "writable-running:1.0", "candidate:1.0", "rollback-on-error:1.0", "validate:1.0", "validate:1.1",
            "startup:1.0", "confirmed-commit:1.0", "confirmed-commit:1.1",
            "xpath:1.0", "url:1.0", "with-defaults:1.0", "notification:1.0", "interleave:1.0",
            "yang-library:1.1", "with-operational-defaults:1.0",
            "partial-lock:1.0",
        }  # fmt: skip
        assert optional <= known
        assert {name for name in known if await self.works(session, name)} == optional

    async def test_each_stands_once_and_without_white_space(self, session: Client) -> None:
        assert session.capabilities == [uri.strip() for uri in session.capabilities]
        assert len(set(session.capabilities)) == len(session.capabilities)

    @pytest.mark.parametrize("base", ["1.0", "1.1"])
    async def test_base_versions(self, device: Device, connect: Connect, base: str) -> None:
        uri = f"urn:ietf:params:netconf:base:{base}"
        session = await connect(device, versions=[uri])
        assert uri in session.capabilities
        assert (await session.edit(group(channel()))).ok
        assert (await session.get_config("candidate")).leaf("tcp-port") == "2048"
        assert (await session.rpc("<close-session/>")).ok
        await session.ended()

    async def test_modules_in_hello_are_in_the_library(self, session: Client) -> None:
        announced = {
            query["module"][0]: (uri.partition("?")[0], query.get("revision", [""])[0])
            for uri in session.capabilities
            if "module" in (query := parse_qs(uri.partition("?")[2]))
        }
        library = await modules_of(session)
        assert announced
        for name, (namespace, revision) in announced.items():
            assert library[name]["namespace"] == namespace
            assert library[name]["revision"] == revision
            assert library[name]["implemented"] == "yes"

    async def test_yang_1_1_modules_are_in_the_library_only(self, session: Client) -> None:
        assert not any("module=dfs-m-lag" in uri for uri in session.capabilities)
        assert "dfs-m-lag" in await modules_of(session)


async def modules_of(session: Client) -> dict[str, dict[str, str]]:
    """Name to namespace, revision and conformance, of the RFC 8525 tree."""
    found = await session.get(f'<yang-library xmlns="{LIBRARY}"/>')
    rows = {}
    for kind, implemented in (("module", "yes"), ("import-only-module", "no")):
        for row in found.root.iter(f"{{{LIBRARY}}}{kind}"):
            texts = {child.tag.rpartition("}")[2]: child.text or "" for child in row}
            rows[texts["name"]] = {"revision": "", **texts, "implemented": implemented}
    return rows


class TestYangLibrary:
    async def test_both_trees_agree(self, session: Client) -> None:
        new = await modules_of(session)
        found = await session.get(f'<modules-state xmlns="{LIBRARY}"/>')
        old = {}
        for row in found.root.iter(f"{{{LIBRARY}}}module"):
            texts = {child.tag.rpartition("}")[2]: child.text or "" for child in row}
            old[texts["name"]] = texts
        assert set(old) == set(new)
        for name, row in old.items():
            assert (row["revision"], row["namespace"]) == (new[name]["revision"], new[name]["namespace"])
            assert (row["conformance-type"] == "implement") == (new[name]["implemented"] == "yes")

    async def test_content_id_is_that_of_hello(self, session: Client) -> None:
        uri = next(uri for uri in session.capabilities if "yang-library" in uri)
        query = parse_qs(uri.partition("?")[2])
        found = await session.get(f'<yang-library xmlns="{LIBRARY}"/><modules-state xmlns="{LIBRARY}"/>')
        assert query["module-set-id"] == [found.leaf("content-id")] == [found.leaf("module-set-id")]
        assert query["revision"] == ["2019-01-04"]
        assert (await modules_of(session))["ietf-yang-library"]["revision"] == "2019-01-04"

    async def test_content_id_differs_with_the_features(self, start: Start, connect: Connect) -> None:
        ids = set()
        for name, model in (("one", "CE6866"), ("two", "CE6885-LL:low-latency")):
            session = await connect(await start(name, model=model))
            ids.add((await session.get(f'<yang-library xmlns="{LIBRARY}"/>')).leaf("content-id"))
        assert len(ids) == 2

    async def test_features_and_deviations(self, session: Client) -> None:
        found = await session.get(f'<yang-library xmlns="{LIBRARY}"/>')
        features = {
            row.findtext(f"{{{LIBRARY}}}name"): [e.text for e in row.iter(f"{{{LIBRARY}}}feature")]
            for row in found.root.iter(f"{{{LIBRARY}}}module")
        }
        assert features["dfs-m-lag"] == sorted(MODELS[DEFAULT_MODEL].features)
        assert sorted(features["ietf-netconf"]) == [
            "candidate", "confirmed-commit", "rollback-on-error", "validate", "writable-running", "xpath",
        ]  # fmt: skip
        deviated = [
            row.findtext(f"{{{LIBRARY}}}name")
            for row in found.root.iter(f"{{{LIBRARY}}}module")
            if row.find(f"{{{LIBRARY}}}deviation") is not None
        ]
        assert deviated == [
            "dfs-m-lag", "ietf-interfaces", "ietf-network-instance", "ietf-subscribed-notifications",
        ]  # fmt: skip

    async def test_datastores(self, start: Start, connect: Connect) -> None:
        for startup in (False, True):
            session = await connect(await start(f"startup-{startup}", startup=startup))
            found = await session.get(f'<yang-library xmlns="{LIBRARY}"><datastore/></yang-library>')
            names = {name.partition(":")[2] for name in found.leafs("name")}
            assert names == {"running", "candidate", "operational", "factory-default"} | (
                {"startup"} if startup else set()
            )


class TestGetSchema:
    async def test_every_module_of_the_library(self, session: Client) -> None:
        """Each text parses, by pyang, as the module and revision that the library names."""
        folders = ":".join(map(str, (*own_folders(), *standard_folders())))
        library = await modules_of(session)
        assert len(library) > 10
        for name, row in library.items():
            reply = await session.rpc(get_schema(name, row["revision"], "yang"))
            assert reply.data.tag == f"{{{MONITORING}}}data"
            module = context.Context(repository.FileRepository(folders)).add_module(name, reply.data.text)
            assert module is not None, name
            latest = max((statement.arg for statement in module.search("revision")), default="")
            assert (module.arg, latest) == (name, row["revision"])
            assert module.search_one("namespace").arg == row["namespace"]

    async def test_the_schema_list_agrees(self, session: Client) -> None:
        """Each schema in both forms, with the library's revision and namespace; each can be had."""
        found = await session.get(f'<netconf-state xmlns="{MONITORING}"><schemas/></netconf-state>')
        rows: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for row in found.root.iter(f"{{{MONITORING}}}schema"):
            texts = {child.tag.rpartition("}")[2]: child.text or "" for child in row}
            key = (texts["identifier"], texts["version"])
            rows.setdefault(key, set()).add((texts["format"].rpartition(":")[2], texts["namespace"]))
        library = await modules_of(session)
        assert {(name, row["revision"]) for name, row in library.items()} <= set(rows)
        for (name, version), forms in rows.items():
            assert {form for form, _ in forms} == {"yang", "yin"}
            if name in library:
                assert {namespace for _, namespace in forms} == {library[name]["namespace"]}
            assert (await session.rpc(get_schema(name, version))).data.text
            yin = (await session.rpc(get_schema(name, version, "yin"))).data.text
            root = etree.fromstring(yin or "")
            assert (etree.QName(root).namespace, root.get("name")) == ("urn:ietf:params:xml:ns:yang:yin:1", name)

    async def test_revisions_and_submodules(self, start: Start, connect: Connect, tmp_path: Path) -> None:
        """A module that is there twice, one without a revision, and submodules: all say the same."""
        folder = tmp_path / "yang"
        folder.mkdir()
        for name, text in FILES.items():
            (folder / name).write_text(text)
        session = await connect(await start(yang_dirs=(str(folder),), modules=("many",)))
        reply = await session.rpc(get_schema("lib"))
        assert (reply.error.tag, reply.error.app_tag) == ("operation-failed", "data-not-unique")
        for version in ("2020-01-01", "2021-01-01"):
            assert f"revision {version}" in ((await session.rpc(get_schema("lib", version))).data.text or "")
        for name, words in (("many", "module many"), ("part", "submodule part"), ("deep", "submodule deep")):
            assert words in ((await session.rpc(get_schema(name))).data.text or "")
        reply = await session.rpc(get_schema("many", "2020-01-01"))
        assert (reply.error.tag, reply.error.info) == ("invalid-value", {"bad-element": "version"})
        found = await session.get(f'<yang-library xmlns="{LIBRARY}"/>')
        imports = {
            (row.findtext(f"{{{LIBRARY}}}name"), row.findtext(f"{{{LIBRARY}}}revision"))
            for row in found.root.iter(f"{{{LIBRARY}}}import-only-module")
        }
        assert {("lib", "2020-01-01"), ("lib", "2021-01-01"), ("bare", None)} <= imports | {
            (name, revision or None) for name, revision in imports
        }
        many = next(
            row for row in found.root.iter(f"{{{LIBRARY}}}module") if row.findtext(f"{{{LIBRARY}}}name") == "many"
        )
        submodules = {row.findtext(f"{{{LIBRARY}}}name") for row in many.iter(f"{{{LIBRARY}}}submodule")}
        assert submodules == {"part", "deep"}

    async def test_unknown_identifier(self, session: Client) -> None:
        error = (await session.rpc(get_schema("no-such-module"))).error
        assert (error.tag, error.info) == ("invalid-value", {"bad-element": "identifier"})
        assert "no-such-module" in error.message

    async def test_unknown_version(self, session: Client) -> None:
        error = (await session.rpc(get_schema("dfs-m-lag", "1999-01-01"))).error
        assert error.tag == "invalid-value"
        assert "2026-" in error.message

    async def test_other_formats(self, session: Client) -> None:
        for form in ("xsd", "rng", "rnc"):
            error = (await session.rpc(get_schema("dfs-m-lag", form=form))).error
            assert (error.tag, error.info) == ("invalid-value", {"bad-element": "format"})
        assert (await session.rpc(get_schema("dfs-m-lag", form="nonsense"))).error.tag == "invalid-value"

    async def test_no_identifier(self, session: Client) -> None:
        error = (await session.rpc(f'<get-schema xmlns="{MONITORING}"/>')).error
        assert (error.tag, error.info) == ("missing-element", {"bad-element": "identifier"})


class TestState:
    async def test_capabilities_are_those_of_hello(self, session: Client) -> None:
        found = await session.get(f'<netconf-state xmlns="{MONITORING}"><capabilities/></netconf-state>')
        assert sorted(found.leafs("capability")) == sorted(session.capabilities)

    async def test_sessions_and_counters(self, device: Device, connect: Connect) -> None:
        one, two = await connect(device), await connect(device)
        await two.rpc("<no-such-operation/>")
        two.send_message("<nonsense")
        await two.receive()
        found = await one.get(STATE)
        sessions = {
            row.findtext(f"{{{MONITORING}}}session-id"): {child.tag.rpartition("}")[2]: child.text for child in row}
            for row in found.root.iter(f"{{{MONITORING}}}session")
        }
        assert set(sessions) == {str(one.session_id), str(two.session_id)}
        row = sessions[str(two.session_id)]
        assert row["username"] == "anna"
        assert row["source-host"] == "127.0.0.1"
        assert (row["transport"] or "").rpartition(":")[2] == "netconf-ssh"
        assert (row["in-rpcs"], row["in-bad-rpcs"], row["out-rpc-errors"]) == ("1", "1", "2")
        statistics = found.root.find(f".//{{{MONITORING}}}statistics")
        assert statistics is not None
        texts = {child.tag.rpartition("}")[2]: child.text for child in statistics}
        assert (texts["in-sessions"], texts["in-bad-hellos"], texts["dropped-sessions"]) == ("2", "0", "0")
        assert (texts["in-bad-rpcs"], texts["out-rpc-errors"]) == ("1", "2")

    async def test_ends_of_sessions_are_told_apart(self, device: Device, connect: Connect) -> None:
        watcher, closed, killed, bad, broken = [
            await connect(device, say_hello=number != 3) for number in range(5)
        ]  # fmt: skip
        await closed.rpc("<close-session/>")
        await closed.ended()
        await watcher.rpc(f"<kill-session><session-id>{killed.session_id}</session-id></kill-session>")
        bad.send_bytes(b"<hello/>]]>]]>")
        await bad.ended()
        broken.send_bytes(b"no framing at all")
        await broken.ended()
        found = await watcher.get(f'<netconf-state xmlns="{MONITORING}"><statistics/></netconf-state>')
        texts = {
            child.tag.rpartition("}")[2]: child.text for child in found.root.find(f".//{{{MONITORING}}}statistics")
        }
        assert (texts["in-sessions"], texts["in-bad-hellos"], texts["dropped-sessions"]) == ("5", "1", "1")

    async def test_locks(self, device: Device, connect: Connect) -> None:
        one, two = await connect(device), await connect(device)
        select = f'<netconf-state xmlns="{MONITORING}"><datastores/></netconf-state>'
        assert (await one.get(select)).leafs("name") == ["running", "candidate"]
        assert (await one.get(select)).leaf("global-lock") is None
        await two.rpc("<lock><target><candidate/></target></lock>")
        found = await one.get(select)
        assert found.leaf("locked-by-session") == str(two.session_id)
        assert found.leaf("locked-time") is not None

    async def test_startup_is_listed_where_there_is_one(self, start: Start, connect: Connect) -> None:
        session = await connect(await start(startup=True))
        found = await session.get(f'<netconf-state xmlns="{MONITORING}"><datastores/></netconf-state>')
        assert found.leafs("name") == ["running", "candidate", "startup"]

    async def test_namespace_of_hello(self, session: Client) -> None:
        assert session.hello is not None
        assert session.hello.tag == f"{{{NC}}}hello"
