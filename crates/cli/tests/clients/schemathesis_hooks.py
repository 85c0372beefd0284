"""Requests that are made of the document name the model that is there, so that they are answered."""

import schemathesis

MODEL = "it"


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        body["model"] = MODEL
