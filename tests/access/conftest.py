"""A model with all that access control tells apart: nested lists, choices, presence, extensions, a second module."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlag_agent.schema.library import SchemaLibrary
from mlag_agent.schema.nodes import ModuleRequest

MODEL = """
module acl-model {
  yang-version 1.1;
  namespace "urn:acl-model";
  prefix am;
  import ietf-netconf-acm { prefix nacm; }

  container top {
    leaf name { type string; }
    leaf secret { nacm:default-deny-all; type string; }
    container guarded {
      nacm:default-deny-write;
      leaf a { type string; }
      leaf b { nacm:default-deny-all; type string; }
    }
    container here {
      presence "yes";
      leaf x { type string; }
    }
    choice which {
      case one { leaf one { type string; } container first { leaf p { type string; } } }
      case two { leaf two { type string; } leaf-list more { type string; } }
    }
    leaf-list word { type string; }
    leaf-list ranked { ordered-by user; type string; }
    list row {
      key k;
      leaf k { type string; }
      leaf v { type string; }
      leaf hidden { nacm:default-deny-all; type string; }
      list cell {
        key "x y";
        leaf x { type string; }
        leaf y { type uint8; }
        leaf z { type string; }
        container in { leaf deep { type string; } }
      }
      action go { input { leaf a { type string; } } }
      notification boom { leaf b { type string; } }
    }
    list queue {
      key k;
      ordered-by user;
      leaf k { type string; }
      leaf v { type string; }
    }
  }
  rpc reset { }
  rpc destroy { nacm:default-deny-all; }
  notification event { leaf e { type string; } }
  notification confidential { nacm:default-deny-all; }
}
"""

MORE = """
module acl-more {
  yang-version 1.1;
  namespace "urn:acl-more";
  prefix mo;
  import acl-model { prefix am; }

  augment /am:top { leaf extra { type string; } }
  augment /am:top/am:row { leaf extra { type string; } }
  container other { leaf o { type string; } }
}
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> SchemaLibrary:
    folder: Path = tmp_path_factory.mktemp("yang")
    (folder / "acl-model.yang").write_text(MODEL)
    (folder / "acl-more.yang").write_text(MORE)
    names = ("acl-model", "acl-more", "ietf-netconf-acm", "ietf-netconf")
    return SchemaLibrary.load([ModuleRequest(name) for name in names], (folder,))
