# model-cases.py SERVICE...: for every constraint of every operation's input in botocore's service
# models, a value that breaks it and one that just does not. Prints them as JSON.
import gzip
import json
import os
import sys

import botocore

def model_of(service):
    folder = os.path.join(os.path.dirname(botocore.__file__), "data", service)
    version = sorted(os.listdir(folder))[-1]
    plain = os.path.join(folder, version, "service-2.json")
    opener = open if os.path.exists(plain) else gzip.open
    path = plain if opener is open else plain + ".gz"
    with opener(path, "rt") as file:
        return json.load(file)


def label(name):
    return name[0].lower() + name[1:]


def cases(shapes, operation, path, shape_name, at, wrap, required):
    shape = shapes[shape_name]
    kind = shape["type"]

    def case(rule, value, fails):
        return {
            "operation": operation, "path": path, "rule": rule, "at": at,
            "input": wrap(value), "fails": fails,
        }

    if required:
        yield {
            "operation": operation, "path": path, "rule": "required", "at": at,
            "input": wrap(None), "fails": True,
        }
    if kind == "structure":
        for name, member in shape["members"].items():
            inner = f"{at}.{label(name)}" if at else label(name)
            yield from cases(
                shapes, operation, path, member["shape"], inner,
                lambda value, name=name: wrap({name: value} if value is not None else {}),
                name in shape.get("required", []),
            )
        return
    if kind == "string":
        if "enum" in shape:
            yield case("enum", "SOMETHING_ELSE", True)
            for value in shape["enum"]:
                yield case(f"enum {value}", value, False)
            return
        if "pattern" in shape and shape["pattern"] not in (".+",):
            yield case("pattern", "\n*\u2603?#", True)
        if "max" in shape:
            yield case("max", "a" * (shape["max"] + 1), True)
        if shape.get("min", 0) > 0:
            yield case("min", "", True)
        return
    if kind in ("integer", "long"):
        if "min" in shape:
            yield case("min", shape["min"] - 1, True)
            yield case("at min", shape["min"], False)
        if "max" in shape:
            yield case("max", shape["max"] + 1, True)
            yield case("at max", shape["max"], False)
        return
    if kind == "list":
        if shape.get("min", 0) > 0:
            yield case("min", [], True)
        member = shapes[shape["member"]["shape"]]
        if member["type"] == "string" and "pattern" in member:
            yield {**case("member pattern", ["*"], True), "at": f"{at}.1.member"}
        if member["type"] == "structure":
            for name, part in member["members"].items():
                yield from cases(
                    shapes, operation, path, part["shape"], f"{at}.1.member.{label(name)}",
                    lambda value, name=name: wrap([{name: value} if value is not None else {}]),
                    name in member.get("required", []),
                )
        return
    if kind == "map":
        if shape.get("min", 0) > 0:
            yield case("min", {}, True)
        yield {**case("key pattern", {"*": "a"}, True), "at": f"{at}.*.key"}
        return


found = []
for service in sys.argv[1:]:
    model = model_of(service)
    for name, operation in model["operations"].items():
        found += cases(
            model["shapes"], name, operation["http"]["requestUri"],
            operation["input"]["shape"], "", lambda value: value, False,
        )
print(json.dumps(found))
