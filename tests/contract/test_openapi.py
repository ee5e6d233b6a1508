"""The route table of synq-intake and schema/http/openapi.yaml say the same."""

import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROUTE = re.compile(r'^SYNQ_ROUTE\((\w+), "([^"]+)", (\w+), ([^)]*)\)', re.M)
METHODS = {"get", "post", "put", "patch", "delete"}


def routes():
    text = (ROOT / "producer" / "routes.def").read_text()
    return {(m.upper(), path): flags for m, path, _, flags in ROUTE.findall(text)}


def document():
    return yaml.safe_load((ROOT / "schema" / "http" / "openapi.yaml").read_text())


def operations():
    return {
        (method.upper(), path): operation
        for path, item in document()["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def test_every_route_is_documented():
    assert routes(), "the table was not read"
    assert set(routes()) - set(operations()) == set()


def test_every_documented_operation_has_a_route():
    assert set(operations()) - set(routes()) == set()


def test_open_routes_and_no_others_need_no_key():
    for key, flags in routes().items():
        is_open = operations()[key].get("security") == []
        assert is_open == ("ROUTE_OPEN" in flags), key


def test_routes_with_a_body_document_it():
    for key, flags in routes().items():
        assert ("requestBody" in operations()[key]) == ("ROUTE_BODY" in flags), key


def test_every_reference_leads_somewhere():
    whole = document()

    def walk(node):
        if isinstance(node, dict):
            target = node.get("$ref")
            if target:
                at = whole
                for part in target.removeprefix("#/").split("/"):
                    assert part in at, target
                    at = at[part]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(whole)
