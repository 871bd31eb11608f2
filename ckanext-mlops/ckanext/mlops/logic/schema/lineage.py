"""Input schemas of the actions of lineage."""

from __future__ import annotations

from ckan.logic.schema import validator_args
from ckan.types import Schema, Validator, ValidatorFactory

from ckanext.mlops.logic.schema.common import MAX_PAGE, MAX_TARGET, at_most, between

DIRECTIONS = ("both", "upstream", "downstream")
MAX_DEPTH = 20
MAX_NODES = 2000
MAX_NODES_BRIEF = 20_000
MAX_NODE = 3000
MAX_IMPACT_DEPTH = 100
LEVELS = ("datasets", "files", "steps")


@validator_args
def lineage_show(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, one_of: ValidatorFactory
) -> Schema:
    """``id`` of a node; ``direction``, ``depth``, ``max_nodes``, ``level``, ``at`` a moment, ``detail``."""
    return {
        "id": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "direction": [default("both"), one_of(list(DIRECTIONS))],
        "depth": [default(5), between(1, MAX_DEPTH)],
        "max_nodes": [default(200), between(1, MAX_NODES_BRIEF)],
        "level": [default("datasets"), one_of(list(LEVELS))],
        "at": [default(""), unicode_safe, at_most(MAX_TARGET)],
        "detail": [default("full"), one_of(["full", "brief"])],
    }


@validator_args
def lineage_view(ignore_missing: Validator, one_of: ValidatorFactory) -> Schema:
    """What a resource view of lineage keeps."""
    return {
        "level": [ignore_missing, one_of(list(LEVELS))],
        "direction": [ignore_missing, one_of(list(DIRECTIONS))],
        "depth": [ignore_missing, between(1, MAX_DEPTH)],
    }


@validator_args
def lineage_impact(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, one_of: ValidatorFactory
) -> Schema:
    """``id`` of a node; ``depth``, ``kind`` and ``organization`` of what is wanted, a page of it, ``format``."""
    return {
        "id": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "depth": [default(MAX_IMPACT_DEPTH), between(1, MAX_IMPACT_DEPTH)],
        "kind": [default(""), one_of(["", "dataset", "run", "model"])],
        "organization": [default(""), unicode_safe],
        "limit": [default(100), between(1, MAX_NODES)],
        "offset": [default(0), between(0, 2**31 - 1)],
        "format": [default("json"), one_of(["json", "csv"])],
    }


@validator_args
def lineage_path(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, boolean_validator: Validator
) -> Schema:
    """``start`` and ``end``, nodes; ``all`` ways or the shortest."""
    return {
        "start": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "end": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "all": [default(False), boolean_validator],
    }


@validator_args
def lineage_diff(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, one_of: ValidatorFactory
) -> Schema:
    """``id`` of a node; the moments ``before`` and ``after``; ``direction``, ``depth``, ``max_nodes``, ``level``."""
    return {
        "id": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "before": [not_empty, unicode_safe, at_most(MAX_TARGET)],
        "after": [default(""), unicode_safe, at_most(MAX_TARGET)],
        "direction": [default("upstream"), one_of(list(DIRECTIONS))],
        "depth": [default(5), between(1, MAX_DEPTH)],
        "max_nodes": [default(200), between(1, MAX_NODES)],
        "level": [default("datasets"), one_of(list(LEVELS))],
    }


@validator_args
def lineage_coverage(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of an organization; ``limit`` of datasets of each gap."""
    return {"id": [not_empty, unicode_safe], "limit": [default(100), between(1, MAX_PAGE)]}
