"""What does the Singer tap see? read_tap.py <port> <key>, one JSON line a record.

The tap is used as it comes from PyPI: discover, then one run a stream, in one process, since it learns of deleted
coupons, plans and addons while it reads events. Only the address of its requests is replaced: it has
https://<site>.chargebee.com built in. A stream in which it stops is a line with what it raised.
"""

import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import requests
import tap_chargebee

port, key = sys.argv[1:3]
folder = Path(tempfile.mkdtemp())
send = requests.request


def to_simulator(method, url, **rest):
    return send(method, f"http://127.0.0.1:{port}{urlsplit(url).path}", **rest)


requests.request = to_simulator


def tap(*arguments):
    out = io.StringIO()
    sys.argv = ["tap-chargebee", "--config", str(folder / "config.json"), *arguments]
    with contextlib.redirect_stdout(out):
        tap_chargebee.main()
    return out.getvalue()


def written(name, content):
    (folder / name).write_text(json.dumps(content))
    return str(folder / name)


written("config.json", {"api_key": key, "site": "acme-test", "start_date": "2000-01-01T00:00:00Z"})
for entry in json.loads(tap("--discover"))["streams"]:
    stream = entry["tap_stream_id"]
    next(about for about in entry["metadata"] if not about["breadcrumb"])["metadata"]["selected"] = True
    print(json.dumps({"stream": stream, "fields": sorted(entry["schema"]["properties"])}))
    try:
        lines = tap("--catalog", written("catalog.json", {"streams": [entry]}))
    except Exception as error:
        print(json.dumps({"stream": stream, "stopped": f"{type(error).__name__}: {error}".splitlines()[0]}))
        continue
    for message in map(json.loads, lines.splitlines()):
        if message["type"] == "RECORD":
            print(json.dumps({"stream": stream, "record": message["record"]}))
