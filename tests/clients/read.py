"""What does the official Python client see? read.py <port> <key> <streams.json>, one JSON line a record.

The client is used as it comes from PyPI; only its address is set. A list that the site refuses is a line with the
error code that the client raised.
"""

import json
import sys

from chargebee import APIError, Chargebee

port, key, streams = sys.argv[1:4]
# Without this on the class it insists on TLS, whatever `protocol` says.
Chargebee.verify_ca_certs = False
client = Chargebee(api_key=key, site="127", chargebee_domain=f"0.0.1:{port}", protocol="http")


def say(**line):
    print(json.dumps(line))


def plain(model):
    """The attributes that the client made of a record; what it left as it was inside them."""
    fields = {name: value for name, value in vars(model).items() if name not in ("raw_data", "_response_type")}
    return json.loads(json.dumps(fields, default=lambda nested: nested.raw_data))


def pages(name, asked):
    model = getattr(client, name.title().replace("_", ""))
    asked = {"limit": 100} | asked
    while True:
        page = model.list(asked)
        for element in page.list:
            yield plain(getattr(element, name))
        if not page.next_offset:
            return
        asked["offset"] = page.next_offset


for stream, about in json.load(open(streams)).items():
    name = about["record"]
    asked = {n: v for n, v in about["query"].items() if n != "sort"}
    if sort := about["query"].get("sort"):
        asked["sort_by"] = {"asc": sort}
    try:
        for record in pages(name, asked):
            say(stream=stream, record=record)
    except APIError as error:
        say(stream=stream, refused=error.api_error_code)
        continue
    if "gone" in about:
        for event in pages("event", {"event_type": {"in": [about["gone"]]}, "sort_by": {"asc": "occurred_at"}}):
            say(stream=stream, record=event["content"][name], gone=True)
