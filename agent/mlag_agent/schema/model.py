"""From YANG files to ``SchemaTree``, with pyang: the only file that imports it.

libyang checks instance data (``schema.engine``); its wheel shows no schema, so kinds, keys, order, defaults,
cases, rpcs and notifications come from pyang's statement tree.  Both read the same files with the same
features and deviations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from pyang import context, error, repository, syntax, xpath_lexer, xpath_parser, yang_parser, yin_parser

from mlag_agent.errors import SchemaError
from mlag_agent.schema.constraints import ConstraintCollector, conditions
from mlag_agent.schema.default_text import canonical_default
from mlag_agent.schema.hazards import hazard
from mlag_agent.schema.leafrefs import leafref_target
from mlag_agent.schema.loaded import LoadedSchema
from mlag_agent.schema.moduleset import ServedModules, fingerprint, module_of_prefix, served_modules
from mlag_agent.schema.nodes import (
    ALL_FEATURES,
    Case,
    Choice,
    Expression,
    Kind,
    LeafType,
    Lexical,
    Module,
    ModuleRequest,
    SchemaNode,
    SchemaTree,
    When,
)
from mlag_agent.schema.operations import operations_variants
from mlag_agent.schema.scope import classify
from mlag_agent.schema.triggers import triggers
from mlag_agent.schema.yin import Argument, yang_text, yin_text

__all__ = ["load_schema", "yang_of", "yin_of"]

# pyang statement keyword to kind; choice and case are looked through.
_KINDS = {
    "container": Kind.CONTAINER,
    "list": Kind.LIST,
    "leaf": Kind.LEAF,
    "leaf-list": Kind.LEAF_LIST,
    "anydata": Kind.ANY,
    "anyxml": Kind.ANY,
    "rpc": Kind.RPC,
    "action": Kind.ACTION,
    "notification": Kind.NOTIFICATION,
    "input": Kind.INPUT,
    "output": Kind.OUTPUT,
}

ACCESS_MODULE = "ietf-netconf-acm"
PATH_TYPE = "node-instance-identifier"  # its typedef for the paths of rules

_INTEGERS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})

# libyang has a canonical form of its own for most string typedefs of these two modules (RFC 6991/9911 give one
# for some); the two forms without a zone are cheap to compute here, all others are asked of libyang.
_COMMON_TYPES = frozenset({"ietf-inet-types", "ietf-yang-types"})
_ADDRESS_LEXICAL = {"ipv4-address-no-zone": Lexical.IPV4, "ipv6-address-no-zone": Lexical.IPV6}


def load_schema(requests: Sequence[ModuleRequest], folders: Sequence[Path]) -> LoadedSchema:
    """Load modules and all they import from ``folders`` (searched in order, not below).

    Raises SchemaError with pyang's message, file and line for anything wrong in a module, and for a feature
    that a module does not have.
    """
    repo = repository.FileRepository(":".join(map(str, folders)), use_env=False, no_path_recurse=True)
    ctx = context.Context(repo)
    ctx.strict = False
    ctx.trim_yin = False  # an option of its command line, which the parser of YIN asks for
    origin = error.Position("command line")
    requested = []
    for request in requests:
        try:
            module = ctx.search_module(origin, request.name, request.revision)
        except (TypeError, AttributeError, IndexError) as bug:
            # pyang's parser trips over some broken texts, for instance one that ends inside of a statement's argument.
            words = "is no YANG, perhaps cut off; `pyang FILE` may say where"
            raise SchemaError(f"{request.name}, or a module that it imports, {words}") from bug
        if module is None:
            if not any(code == "MODULE_NOT_FOUND" and request.name in arguments for _, code, arguments in ctx.errors):
                _raise_errors(ctx, request.name)
            raise SchemaError(f"YANG module {request.name} is not in any of: {', '.join(map(str, folders))}")
        if module.keyword != "module":
            owner = module.search_one("belongs-to").arg
            raise SchemaError(f"{request.name} is a submodule; the module to serve is {owner}")
        requested.append(module)
    ctx.features = _Features((request.name, request.features) for request in requests)
    ctx.validate()
    _raise_errors(ctx, None)
    features = {request.name: _enabled(request, module) for request, module in zip(requests, requested, strict=True)}
    referred: set[str] = set()
    while True:
        builder = _Builder(ctx, served_modules(ctx, requested, features, referred))
        loaded = builder.build()
        if builder.referred <= referred:
            return loaded
        referred |= builder.referred


class _Features(dict[str, Sequence[str]]):
    """Enabled features by module, for pyang, to which a module that is not named has all of its features."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> Any:
        given = self.get(name, ())
        return _Every() if ALL_FEATURES in given else given


class _Every:
    def __contains__(self, name: object) -> bool:
        return True


def _enabled(request: ModuleRequest, module: Any) -> Sequence[str]:
    """The features that a request enables; raises SchemaError for those that the module has not or cannot have."""
    known = sorted(module.i_features)
    unknown = sorted(set(request.features) - set(known) - {ALL_FEATURES})
    if unknown:
        words = f"module {request.name} has no feature {', '.join(unknown)} (it has: {', '.join(known) or 'none'})"
        raise SchemaError(words)
    enabled = known if ALL_FEATURES in request.features else sorted(set(request.features))
    for name in enabled:
        stmt = module.i_features[name]
        if getattr(stmt, "i_not_implemented", False):  # RFC 7950 section 7.20.1
            needs = " and ".join(f'"{condition.arg}"' for condition in stmt.search("if-feature"))
            raise SchemaError(f"feature {name} of {request.name} needs {needs}, which does not hold")
    return enabled


def _raise_errors(ctx: Any, name: str | None) -> None:
    for position, code, arguments in ctx.errors:
        if error.is_error(error.err_level(code)):
            where = f"{Path(position.ref).name}:{position.line}: " if position.line else ""
            raise SchemaError(f"{where}{error.err_to_str(code, arguments)}" + (f" (loading {name})" if name else ""))


def _position(stmt: Any) -> str:
    return f"{Path(stmt.pos.ref).name}:{stmt.pos.line}: "


class _Builder:
    """Walks pyang's expanded tree once."""

    def __init__(self, ctx: Any, served: ServedModules) -> None:
        self._ctx = ctx
        self._served = served
        self._modules = served.modules
        self._leafs: list[tuple[SchemaNode, Any]] = []
        self._defaults: list[tuple[SchemaNode, Sequence[Any]]] = []
        # Modules that leafrefs lead into: these are implemented too (RFC 7950 section 5.6.5).
        self.referred: set[str] = set()
        self._identities = _derived_identities(ctx)
        self._collector = ConstraintCollector(_expression)
        self._namespaces = {module.name: module.namespace for module in served.modules.values()}
        self._prefixes: dict[Any, Mapping[str, str]] = {}

    def build(self) -> LoadedSchema:
        blank = Module("", "", "", "", "1.1", implemented=False, path="")
        root = SchemaNode("", blank, Kind.ROOT, None)
        rpcs: dict[tuple[str, str], SchemaNode] = {}
        notifications: dict[tuple[str, str], SchemaNode] = {}
        for name, module in self._modules.items():
            if not module.implemented:
                continue
            holder = SchemaNode("", blank, Kind.ROOT, None)
            self._children(self._served.statements[name], holder, ())
            for key, node in holder.children.items():
                if node.kind is Kind.RPC:
                    rpcs[key] = node
                elif node.kind is Kind.NOTIFICATION:
                    notifications[key] = node
                else:
                    node.position = len(root.children)
                    root.children[key] = node
                node.parent = root
        self._types(root, (*rpcs.values(), *notifications.values()))
        tree = SchemaTree(root, rpcs, notifications, self._modules, self._served.others, _named(self._identities))
        for top in (root, *rpcs.values(), *notifications.values()):
            for node in top.everything():
                node.complete()
        for operation, tops in self._collector.references(root).items():
            operation.refers = tops
        constraints = self._collector.constraints(root)
        scopes, conditions = classify(root, constraints), triggers(root, constraints)
        return LoadedSchema(tree, operations_variants(self._ctx), scopes, conditions, fingerprint(tree)[:32])

    def _children(self, stmt: Any, parent: SchemaNode, cases: tuple[Case, ...], holders: tuple[Any, ...] = ()) -> None:
        """The nodes below a statement; ``holders``: the statements of the choices and cases around them."""
        for child in getattr(stmt, "i_children", None) or ():
            if getattr(child, "i_not_implemented", False):
                continue
            if not self._modules[child.i_module.i_modulename].implemented:
                continue  # pyang takes augments also from modules that are only imported
            if child.keyword == "choice":
                mandatory = child.search_one("mandatory")
                default = child.search_one("default")
                choice = Choice(
                    child.arg,
                    mandatory is not None and mandatory.arg == "true",
                    default.arg.rpartition(":")[2] if default is not None else None,
                )
                for case in child.i_children:
                    if not getattr(case, "i_not_implemented", False):
                        self._case(case, parent, (*cases, Case(choice, case.arg)), (*holders, child))
            elif child.keyword in _KINDS:
                self._node(child, parent, cases, holders)

    def _case(self, stmt: Any, parent: SchemaNode, cases: tuple[Case, ...], holders: tuple[Any, ...]) -> None:
        if stmt.keyword == "case":
            self._children(stmt, parent, cases, (*holders, stmt))
        else:  # pyang wraps the short form itself; kept for versions that do not
            self._node(stmt, parent, cases, holders)

    def _node(self, stmt: Any, parent: SchemaNode, cases: tuple[Case, ...], holders: tuple[Any, ...]) -> None:
        module = self._modules[stmt.i_module.i_modulename]
        kind = _KINDS[stmt.keyword]
        ordered = stmt.search_one("ordered-by")
        mandatory = stmt.search_one("mandatory")
        node = SchemaNode(
            name=stmt.arg if kind not in (Kind.INPUT, Kind.OUTPUT) else stmt.keyword,
            module=module,
            kind=kind,
            parent=parent,
            config=getattr(stmt, "i_config", None) is not False,
            presence=stmt.search_one("presence") is not None,
            # Order matters where the user gives it, and in state, where it may mean something (RFC 7950 7.7.7).
            user_ordered=(ordered is not None and ordered.arg == "user")
            or (kind in (Kind.LIST, Kind.LEAF_LIST) and getattr(stmt, "i_config", None) is not True),
            mandatory=mandatory is not None and mandatory.arg == "true",
            cases=cases,
            position=len(parent.children),
            min_elements=int(count.arg) if (count := stmt.search_one("min-elements")) is not None else 0,
            max_elements=int(count.arg)
            if (count := stmt.search_one("max-elements")) is not None and count.arg != "unbounded"
            else None,
        )
        self._protect(stmt, node, parent)
        if kind in (Kind.LEAF, Kind.LEAF_LIST):
            self._leafs.append((node, stmt.search_one("type")))
            given = stmt.search("default") or _typedef_default(stmt)
            node.defaults = tuple(str(default.arg) for default in given)
            self._defaults.append((node, given))
            if node.mandatory:
                node.defaults = ()
        self._refuse_hazards(stmt, node, holders)
        node.whens = tuple(
            When(self._expression(condition, node), context is node)
            for condition, context in conditions(stmt, node, holders)
        )
        within_data = parent.kind is not Kind.ROOT and kind in (Kind.ACTION, Kind.NOTIFICATION)
        (parent.operations if within_data else parent.children)[(module.namespace, node.name)] = node
        self._children(stmt, node, ())
        if kind is Kind.LIST:
            self._keys(stmt, node)
        self._collector.add(stmt, node, holders)

    @staticmethod
    def _refuse_hazards(stmt: Any, node: SchemaNode, holders: tuple[Any, ...]) -> None:
        expressions = [(must, node) for must in stmt.search("must")]
        for expression, at in (*expressions, *conditions(stmt, node, holders)):
            found = hazard(_expression(expression.arg), at.path.count("/") if at.name else 0)
            if found is not None:
                words = f'{expression.keyword} "{expression.arg}" has {found}, on which libyang can crash'
                raise SchemaError(f"{_position(expression)}the {words}; such a module is not served")

    def _types(self, root: SchemaNode, operations: Sequence[SchemaNode]) -> None:
        """The type of every leaf; of a leafref it is that of the leaf it leads to, which is found in the whole tree."""
        statements = dict(self._leafs)
        pending: set[SchemaNode] = set()

        def type_of(node: SchemaNode) -> LeafType:
            if node.type is None:
                if node in pending:
                    raise SchemaError(
                        f"{_position(statements[node])}the leafrefs at {node.path} lead round in a circle"
                    )
                pending.add(node)
                node.type = made(statements[node], node)
                pending.discard(node)
            return node.type

        def made(stmt: Any, node: SchemaNode) -> LeafType:
            last = _chain(stmt)[-1]
            if last.arg == "leafref":
                path = self._expression(last.search_one("path"), node)
                syntax = _expression(path.text)
                needed = {name for name in self._modules_in(path) if not self._modules[name].implemented}
                self.referred |= needed
                if needed:
                    return _UNKNOWN  # until the tree has been built with these as well
                target = leafref_target(node, path, syntax, root, operations)
                if target is None or target not in statements:
                    raise SchemaError(f'{_position(stmt)}the path "{path.text}" of {node.path} leads to no leaf')
                return replace(type_of(target), path=path)
            if last.arg == "union":
                return _union([made(member, node) for member in last.search("type")])
            return _leaf_type(stmt, self._identities)

        for node, _ in self._leafs:
            type_of(node)
        for node, given in self._defaults:
            if node.defaults:  # no key has any, nor has a mandatory leaf
                node.defaults = tuple(_default_text(default, node.type) for default in given)

    def _modules_in(self, path: Expression) -> Iterator[str]:
        """Names of the modules that the steps of a leafref's path are in."""
        for prefix in _PREFIX.findall(path.text):
            yield from (name for name, namespace in self._namespaces.items() if namespace == path.prefixes.get(prefix))

    @staticmethod
    def _protect(stmt: Any, node: SchemaNode, parent: SchemaNode) -> None:
        """The extensions of ietf-netconf-acm, which hold for all that is below (RFC 8341 section 3.4.5)."""
        node.deny_all = parent.deny_all or stmt.search_one((ACCESS_MODULE, "default-deny-all")) is not None
        write = stmt.search_one((ACCESS_MODULE, "default-deny-write")) is not None
        node.deny_write = node.deny_all or parent.deny_write or write
        # Who may see the rules of access control is one thing; what is wrong with one must be possible to say.
        node.secret = node.deny_all and node.module.name != ACCESS_MODULE

    def _expression(self, stmt: Any, node: SchemaNode) -> Expression:
        """A statement's XPath: prefixes are those of its file, names without one are of the node's module."""
        file = stmt.i_orig_module
        prefixes = self._prefixes.get(file)
        if prefixes is None:
            prefixes = self._prefixes[file] = {
                prefix: self._namespaces[name]
                for prefix in file.i_prefixes
                if (name := module_of_prefix(file, prefix)) in self._namespaces
            }
        return Expression(stmt.arg, node.namespace, prefixes)

    @staticmethod
    def _keys(stmt: Any, node: SchemaNode) -> None:
        key = stmt.search_one("key")
        if key is None:
            return
        node.keys = tuple(k.rpartition(":")[2] for k in key.arg.split())
        keyed = {(node.namespace, k): node.children[(node.namespace, k)] for k in node.keys}
        node.children = keyed | node.children
        for position, child in enumerate(node.children.values()):
            child.position = position
        node.key_nodes = tuple(keyed.values())
        for child in node.key_nodes:
            child.mandatory = True
            child.defaults = ()


# More of them are not listed in a message.
LISTED_IDENTITIES = 12

_PREFIX = re.compile(r"([A-Za-z_][\w.-]*):(?=[A-Za-z_])")
_UNKNOWN = LeafType("leafref", "", Lexical.ENGINE)


def _expression(text: str) -> Any:
    """pyang's syntax tree of an XPath expression; None for one that it cannot read."""
    try:
        return xpath_parser.parse(text)
    except (xpath_lexer.XPathError, SyntaxError):
        return None


def _typedef_default(stmt: Any) -> Sequence[Any]:
    """The default that a leaf or leaf-list takes from its typedef chain (RFC 7950 sections 7.6.1, 7.7.2)."""
    least = stmt.search_one("min-elements")
    if least is not None and int(least.arg) > 0:
        return ()
    typedef = getattr(stmt.search_one("type"), "i_typedef", None)
    while typedef is not None:
        default = typedef.search_one("default")
        if default is not None:
            return (default,)
        typedef = getattr(typedef.search_one("type"), "i_typedef", None)
    return ()


def _default_text(default: Any, kind: LeafType | None) -> str:
    """A default's value in canonical form; the name of an identity with its module's name (RFC 7950 section 9.10.3)."""
    text = str(default.arg)
    if kind is None or not kind.prefixed:
        return text if kind is None else canonical_default(kind, text)
    prefix, _, name = text.rpartition(":")
    file = default.i_orig_module
    module = file.i_prefixes[prefix][0] if prefix in file.i_prefixes else file.i_modulename
    named = f"{module}:{name}"
    return named if any(named in member.identities for member in (kind, *_all_members(kind))) else text


def _all_members(kind: LeafType) -> Iterator[LeafType]:
    for member in kind.members:
        yield member
        yield from _all_members(member)


def _chain(type_stmt: Any) -> list[Any]:
    """The type statement and those of the typedefs below it, the built-in type last."""
    chain = [type_stmt]
    typedef = getattr(type_stmt, "i_typedef", None)
    while typedef is not None:
        inner = typedef.search_one("type")
        chain.append(inner)
        typedef = getattr(inner, "i_typedef", None)
    return chain


def _leaf_type(type_stmt: Any, identities: Mapping[Any, frozenset[str]]) -> LeafType:
    chain = _chain(type_stmt)
    base = chain[-1].arg
    common = next(
        (
            t.i_typedef.arg
            for t in chain
            if getattr(t, "i_typedef", None) is not None and t.i_typedef.i_module.i_modulename in _COMMON_TYPES
        ),
        None,
    )
    allowed: frozenset[str] = frozenset()
    partial: frozenset[str] = frozenset()
    if base == "identityref":
        # An identity derived from each base (RFC 7950 section 9.10.2).
        bases = [identities.get(b.i_identity, frozenset()) for b in chain[-1].search("base")]
        allowed = frozenset.intersection(*bases)
        partial = frozenset().union(*bases) - allowed
    enums: tuple[tuple[str, int], ...] = ()
    if base == "enumeration":
        enums = tuple((member.arg, int(member.i_value)) for member in _members(chain, "enum"))
    # Of XPath expressions libyang has a canonical form that only instance-identifiers come out of unharmed.
    path = any(name == PATH_TYPE for name in (getattr(getattr(t, "i_typedef", None), "arg", "") for t in chain))
    prefixed = base in ("identityref", "instance-identifier") or common == "xpath1.0"
    return LeafType(
        base,
        "the path of a node that the schema has, with or without keys"
        if path
        else _allows(chain, base, common, allowed),
        Lexical.VERBATIM if common == "xpath1.0" and not path else _lexical(base, common),
        prefixed=prefixed,
        identities=allowed,
        partial=partial,
        enums=enums,
    )


def _union(members: Sequence[LeafType]) -> LeafType:
    allows = " or ".join(dict.fromkeys(member.allows for member in members))
    prefixed = any(member.prefixed for member in members)
    return LeafType("union", allows, Lexical.ENGINE, tuple(members), prefixed)


def _named(identities: Mapping[Any, frozenset[str]]) -> dict[str, frozenset[str]]:
    return {f"{stmt.i_module.i_modulename}:{stmt.arg}": derived for stmt, derived in identities.items()}


def _derived_identities(ctx: Any) -> dict[Any, frozenset[str]]:
    """Each identity statement, and "module:name" of all that are derived from it, at any distance."""
    children: dict[Any, list[Any]] = {}
    statements = [
        statement
        for module in ctx.modules.values()
        if module.keyword == "module"
        for statement in module.i_identities.values()
        if not getattr(statement, "i_not_implemented", False)
    ]
    for statement in statements:
        for base in statement.search("base"):
            children.setdefault(base.i_identity, []).append(statement)

    def derived(statement: Any) -> frozenset[str]:
        found: set[str] = set()
        for child in children.get(statement, ()):
            found.add(f"{child.i_module.i_modulename}:{child.arg}")
            found |= derived(child)
        return frozenset(found)

    return {statement: derived(statement) for statement in statements}


def _lexical(base: str, common: str | None) -> Lexical:
    if common in _ADDRESS_LEXICAL:
        return _ADDRESS_LEXICAL[common]
    if base in _INTEGERS:
        return Lexical.INTEGER
    if base == "identityref":
        return Lexical.IDENTITY
    if base in ("boolean", "enumeration", "empty") or (base == "string" and common is None):
        return Lexical.VERBATIM
    return Lexical.ENGINE


def _allows(chain: Sequence[Any], base: str, common: str | None, identities: frozenset[str]) -> str:
    """What the type allows, in words for an error message."""

    def restriction(keyword: str) -> str | None:
        return next((s.arg for t in chain if (s := t.search_one(keyword)) is not None), None)

    if base == "enumeration":
        return "one of " + ", ".join(e.arg for e in _members(chain, "enum"))
    if base == "bits":
        return "any of " + ", ".join(b.arg for b in _members(chain, "bit"))
    if base == "boolean":
        return "true or false"
    if base == "empty":
        return "no value"
    if base == "identityref":
        words = " and from ".join(stmt.arg for stmt in chain[-1].search("base"))
        listed = f": {', '.join(sorted(identities))}" if 0 < len(identities) <= LISTED_IDENTITIES else ""
        return f"an identity derived from {words}{listed}"
    if base == "instance-identifier":
        return "an instance-identifier: the absolute path of a node, with a prefix at each name and keys in predicates"
    words = f"{common} ({base})" if common else base
    if base in _INTEGERS or base == "decimal64":
        spec = chain[-1].i_type_spec
        span = restriction("range")
        if span is None and base in _INTEGERS:
            span = "min..max"
        return f"{words} {_numbers(span, spec)}" if span else words
    length = restriction("length")
    if length:
        words += f" of length {length}"
    # Each pattern of the chain must match (RFC 7950 section 9.4.5), or not (section 9.4.6).
    patterns = [] if common else [stmt for t in reversed(chain) for stmt in t.search("pattern")]
    return words + " and".join(
        f"{' not' if stmt.search_one('modifier') is not None else ''} matching {stmt.arg}" for stmt in patterns
    )


def _numbers(span: str, spec: Any) -> str:
    """A range with the numbers that ``min`` and ``max`` stand for."""
    span = re.sub(r"\bmin\b", str(spec.min), span)
    return re.sub(r"\bmax\b", str(spec.max), span)


def _members(chain: Sequence[Any], keyword: str) -> list[Any]:
    """The enums or bits of the type that restricts last, but those whose if-feature does not hold."""
    members: list[Any] = next((found for t in chain if (found := t.search(keyword))), [])
    return [member for member in members if not getattr(member, "i_not_implemented", False)]


def _parsed(file: str) -> Any:
    """The statements of a file that has been loaded before, as they stand in it."""
    # Extensions of a module in YIN have arguments that only their modules tell of; the parser looks for them.
    folder = str(Path(file).parent) if file.endswith(".yin") else ""
    ctx = context.Context(repository.FileRepository(folder, use_env=False, no_path_recurse=True))
    ctx.trim_yin = False
    parser = yin_parser.YinParser() if file.endswith(".yin") else yang_parser.YangParser()
    return parser.parse(ctx, file, Path(file).read_text(encoding="utf-8"))


def yang_of(file: str) -> str:
    """The YANG text of a module that was written in YIN."""
    return yang_text(_parsed(file))


def yin_of(file: str, tree: SchemaTree) -> str:
    """The YIN document of a module or submodule of the set."""
    module = _parsed(file)
    owner = module.search_one("belongs-to")
    own = module if owner is None else owner
    names = {own.search_one("prefix").arg: own.arg}
    names |= {stmt.search_one("prefix").arg: stmt.arg for stmt in module.search("import")}

    def extension(prefix: str, name: str) -> Argument:
        its = tree.modules[names[prefix]]
        for where in (its.path, *(path for _, _, path in its.submodules)):
            for stmt in (module if where == file else _parsed(where)).search("extension"):
                if stmt.arg == name:
                    argument = stmt.search_one("argument")
                    if argument is None:
                        return None, False
                    as_element = argument.search_one("yin-element")
                    return argument.arg, as_element is not None and as_element.arg == "true"
        raise SchemaError(f"no extension {name} in {its.name}")

    namespaces = {prefix: tree.modules[name].namespace for prefix, name in names.items()}
    return yin_text(module, syntax.yin_map, namespaces, lru_cache(extension))
