"""Requests that are made of the document name the model that is there, so that they are answered."""

import schemathesis

MODEL = "it"


@schemathesis.hook
def map_body(context, body):
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        body["model"] = MODEL
    return body
