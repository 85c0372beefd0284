"""Judges answers by their JSON schemas.

One line of JSON for each on standard input: {"schema": ..., "answer": "text"}. One line for each on
standard output: {"verdict": "valid"}, or "twice" (valid, with a name twice in an object), "invalid"
or "unknown" (the schema cannot be judged) with "why".

A schema that does not say its draft must be satisfied as every draft that it is a schema of. The
formats that the server follows are judged, others are remarks. Regular expressions are those of
ECMA-262 in that `\\d` and `\\w` are ASCII.
"""

import json
import re
import sys

import jsonschema
from jsonschema import FormatChecker, ValidationError, validators

FORMATS = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"]
DRAFTS = [
    jsonschema.Draft202012Validator,
    jsonschema.Draft7Validator,
    jsonschema.Draft4Validator,
]


def pattern(validator, pattern, instance, schema):
    # In Python `$` matches before a last line's end too, in a schema it does not.
    strict = re.sub(r"(?<!\\)\$$", r"\\Z", pattern)
    if validator.is_type(instance, "string") and not re.search(strict, instance, re.ASCII):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def missing_checkers():
    return [name for name in FORMATS if name not in FormatChecker.checkers]


class Twice(Exception):
    pass


def pairs(found):
    if len(dict(found)) != len(found):
        raise Twice
    return dict(found)


def judges(schema):
    """The validators whose drafts `schema` may be of."""
    named = schema.get("$schema") if isinstance(schema, dict) else None
    of_name = validators.validator_for({"$schema": named}, default=None) if named else None
    for draft in [of_name] if of_name else DRAFTS:
        try:
            draft.check_schema(schema)
        except jsonschema.SchemaError:
            continue
        yield validators.extend(draft, {"pattern": pattern})


def constant(name):
    raise ValueError(f"`{name}` is no number of JSON")


def judge(schema, answer):
    verdict = "valid"
    try:
        json.loads(answer, object_pairs_hook=pairs, parse_constant=constant)
    except Twice:
        verdict = "twice"
    except ValueError as error:
        return {"verdict": "invalid", "why": f"no JSON: {error}"}
    value = json.loads(answer)
    judged = 0
    for draft in judges(schema):
        try:
            draft(schema, format_checker=FormatChecker(FORMATS)).validate(value)
        except ValidationError as error:
            where = "/".join(map(str, error.absolute_schema_path))
            return {"verdict": "invalid", "why": f"{where}: {error.message[:300]}"}
        except Exception as error:
            return {"verdict": "unknown", "why": f"{type(error).__name__}: {error}"[:300]}
        judged += 1
    return {"verdict": verdict} if judged else {"verdict": "unknown", "why": "a schema of no draft"}


def main():
    if missing := missing_checkers():
        sys.exit(f"no checkers of the formats {missing}")
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(judge(asked["schema"], asked["answer"])), flush=True)


main()
