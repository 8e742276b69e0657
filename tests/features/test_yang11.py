"""YANG 1.1 statement by statement, on modules dropped into a folder: edited, validated and read over a real session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from lxml import etree

from mlag_agent.app import Device
from netconf_client import NC, Client

Connect = Callable[..., Awaitable[Client]]
Start = Callable[..., Awaitable[Device]]
YANG = Path(__file__).parents[1] / "yang"
NS, MORE = "urn:test:every", "urn:test:every-more"
DECLARED = f'xmlns:e="{NS}" xmlns:m="{MORE}" xmlns:yang="urn:ietf:params:xml:ns:yang:1" xmlns:nc="{NC}"'


def top(name: str, content: str) -> str:
    return f'<{name} xmlns="{NS}" {DECLARED}>{content}</{name}>'


@pytest.fixture
async def client(start: Start, connect: Connect) -> Client:
    return await connect(await start(yang_dirs=(str(YANG),), modules=("every:on,both", "every-more")))


FAST = "<mode>fast</mode>"
ROWS = "<row><a>x</a><b>1</b><v>one</v></row><row><a>y</a><b>2</b></row>"

VALID = [
    top("types", "<chained>50</chained><both-bases>e:dog</both-bases><either>none</either><flags>b a</flags>"),
    top("types", "<both-bases>m:cat</both-bases><one-base>e:wolf</one-base><either>e:dog</either>"),
    top("types", "<either>7</either><amount>-1.500</amount><nothing/><of-old>255</of-old><of-new>anything</of-new>"),
    top("types", "<either/><hex>-16</hex>"),
    top("types", "<somewhere>/e:flag[e:on=''][e:number='1']/e:v</somewhere><any><x/></any><xml>t</xml>"),
    top("types", "<chained>1</chained><there>/e:types/e:chained</there>"),
    top("flag", "<on/><number>1</number><v>x</v>") + top("flag", "<on/><number>2</number>"),
    top("refs", f"{ROWS}<a>y</a><b>2</b><loose>nobody</loose><derefed>2</derefed>"),
    top(
        "conditions", f"{FAST}<leaf-when>x</leaf-when><list-when>a</list-when><container-when><x>y</x></container-when>"
    ),
    top("conditions", f"{FAST}<entry-when><k>a</k></entry-when><any-when/><in-choice>x</in-choice>"),
    top("conditions", f"{FAST}<in-case>x</in-case><name>n</name><also>n</also><m:augmented>x</m:augmented>"),
    top("conditions", "<functions>abcd</functions><pet>e:dog</pet><flags>a</flags><numbers>9</numbers>"),
    top("choices", "<f>x</f>"),
    top("choices", "<i1>x</i1><s>y</s><m:s2>z</m:s2>"),
    top("choices", "<i2><x>1</x></i2>"),
    top("choices", "<third><k>1</k></third>"),
    top("choices", "<fifth>x</fifth>"),
    top("choices", "<fourth><z/></fourth>"),
    top("limits", "<u><k>1</k></u><l>a</l><l>b</l>"),
    top("used", "<name>abc</name><also>abc</also><inside><added>x</added><tags>t</tags></inside>"),
    top("features", "<a>x</a><b>y</b><d>abc</d>"),
    top("orders", "<s><k>1</k></s><s><k>2</k></s>"),
    top("of-part", "<x>9</x><r>9</r>"),
    top("acting", "<id>1</id><name>x</name>"),
]

INVALID = [
    (top("types", "<chained>51</chained>"), {"invalid-value"}),
    (top("types", "<both-bases>e:wolf</both-bases>"), {"invalid-value"}),
    (top("types", "<one-base>e:dodo</one-base>"), {"invalid-value"}),
    (top("types", "<either>unknown</either>"), {"invalid-value"}),
    (top("types", "<hex>0x10</hex>"), {"invalid-value"}),  # hexadecimal is for defaults (RFC 7950 section 9.2.1)
    (top("types", "<flags>c</flags>"), {"invalid-value"}),
    (top("types", "<amount>-1.501</amount>"), {"invalid-value"}),
    (top("types", "<of-old>256</of-old>"), {"invalid-value"}),
    (top("types", "<nothing>x</nothing>"), {"invalid-value"}),
    (top("types", "<blob>AAAA</blob>"), {"unknown-element"}),
    (top("types", "<repeated>x</repeated>"), {"unknown-element"}),
    (top("types", "<there>/e:types/e:nothing</there>"), {"data-missing"}),
    (top("types", "<fallback>1</fallback><fallback>1</fallback>"), {"bad-element"}),
    (top("flag", "<on/><v>x</v>"), {"missing-element"}),
    (top("refs", f"{ROWS}<a>z</a>"), {"data-missing"}),
    (top("refs", f"{ROWS}<a>x</a><b>2</b>"), {"data-missing"}),
    (top("refs", f"{ROWS}<a>x</a><derefed>2</derefed>"), {"operation-failed"}),
    (top("conditions", "<leaf-when>x</leaf-when>"), {"unknown-element"}),
    (top("conditions", "<list-when>x</list-when>"), {"unknown-element"}),
    (top("conditions", "<container-when><x>y</x></container-when>"), {"unknown-element"}),
    (top("conditions", "<entry-when><k>a</k></entry-when>"), {"unknown-element"}),
    (top("conditions", "<any-when><x/></any-when>"), {"unknown-element"}),
    (top("conditions", "<in-choice>x</in-choice>"), {"unknown-element"}),
    (top("conditions", "<in-case>x</in-case>"), {"unknown-element"}),
    (top("conditions", "<name>x</name>"), {"unknown-element"}),
    (top("conditions", "<m:augmented>x</m:augmented>"), {"unknown-element"}),
    (top("conditions", f"{FAST}<m:more/>"), {"data-missing"}),
    (top("conditions", "<functions>abcdef</functions>"), {"operation-failed"}),
    (top("conditions", "<functions>ab</functions><pet>e:wolf</pet>"), {"operation-failed"}),
    (top("conditions", "<functions>ab</functions><flags>b</flags>"), {"operation-failed"}),
    (top("conditions", "<functions>ab</functions><numbers>99</numbers><numbers>98</numbers>"), {"operation-failed"}),
    (top("choices", "<s>y</s>"), {"data-missing"}),
    (top("choices", "<f>x</f><s>y</s>"), {"bad-element"}),
    (top("limits", ""), {"operation-failed"}),
    (top("limits", "<u><k>1</k></u><u><k>2</k></u>"), {"operation-failed"}),
    (top("limits", "<u><k>1</k><d>x</d><a>p</a><c><b>q</b></c></u><u><k>2</k><a>p</a><c><b>q</b></c></u>"),
     {"operation-failed"}),
    (top("limits", "<u><k>1</k></u><l>a</l><l>b</l><l>c</l>"), {"operation-failed"}),
    (top("used", "<name>ab</name>"), {"operation-failed"}),
    (top("used", "<inside><tags>a</tags><tags>b</tags></inside>"), {"operation-failed"}),
    (top("features", "<c>x</c>"), {"unknown-element"}),
    (top("features", "<d>abcd</d>"), {"invalid-value"}),
    (top("orders", "<s><k>1</k></s><s><k>2</k></s><s><k>3</k></s>"), {"operation-failed"}),
    (top("state", "<v>x</v>"), {"unknown-element"}),
    (top("of-part", "<x>10</x>"), {"invalid-value"}),
]  # fmt: skip


def canonical(element: etree._Element) -> str:
    return etree.tostring(element, method="c14n", exclusive=True).decode()


async def test_valid(client: Client) -> None:
    """Committed, and the same when it is sent back as it was read."""
    for config in VALID:
        assert (await client.edit(config)).ok, config
        reply = await client.commit()
        assert reply.ok, (config, reply.text)
        found = (await client.get_config()).data
        text = "".join(etree.tostring(child, encoding="unicode") for child in found)
        assert (await client.edit(text, options="<default-operation>replace</default-operation>")).ok, text
        assert (await client.commit()).ok, text
        assert canonical((await client.get_config()).data) == canonical(found)
        assert (await client.edit("", options="<default-operation>replace</default-operation>")).ok
        assert (await client.commit()).ok


async def test_invalid(client: Client) -> None:
    """Refused with the right tag, by the edit or by validate; running stays empty."""
    wrong = []
    for config, tags in INVALID:
        reply = await client.edit(config)
        if reply.ok:
            reply = await client.rpc("<validate><source><candidate/></source></validate>")
        if {error.tag for error in reply.errors} != tags:
            wrong.append((config, reply.text))
        await client.rpc("<discard-changes/>")
    assert wrong == [], "\n".join(map(str, wrong))
