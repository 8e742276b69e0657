"""XPath 1.0 with YANG's functions, on frozen trees: filters, and the conditions of YANG modules."""

from mlag_agent.data.xpath.compiled import Compiled
from mlag_agent.data.xpath.evaluate import Evaluation, Expressions
from mlag_agent.data.xpath.select import XPathFilter
from mlag_agent.data.xpath.syntax import Scope, XPathError
from mlag_agent.data.xpath.values import Budget, TooCostlyError

__all__ = ["Budget", "Compiled", "Evaluation", "Expressions", "Scope", "TooCostlyError", "XPathError", "XPathFilter"]
