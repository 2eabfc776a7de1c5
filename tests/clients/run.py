#!/usr/bin/env python3
"""Do foreign clients read the simulated Chargebee as they read the real one, and do we hold what they see?

run.py [situation ..]   (`make clients`; needs network once, python3, node and npm)

Installs the official Python and Node clients and the Singer tap, unchanged and at fixed versions, below
~/.cache/tidegate/clients. For each situation: serves a site, syncs it into a new lake, reads it with each client, and
compares every row by id: version, modification time, whether it is deleted, amounts, number and sum of lines. Exit
code 1 on any difference, 2 when something does not run. What the tap is known to lose is worked out from our rows, and any other loss is a difference.

Environment: TIDEGATE, a built binary; without it cargo builds one.
Absent: writes, and real sites.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from datetime import datetime
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate" / "clients"
STREAMS = json.loads((HERE / "streams.json").read_text())
PYTHON, NODE, TAP = "chargebee==3.29.0", "chargebee@3.33.0", "tap-chargebee==1.7.1"
# Currencies of Chargebee without minor units; written here again, so that our list is compared too.
ZERO_DECIMAL = set("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split())
# What the tap does not offer, where it sends a filter that has no effect, and of which deletes it never learns.
TAP_ABSENT = {"usages", "hosted_pages", "unbilled_charges"}
TAP_UNFILTERED = {"gifts"}
TAP_BLIND = {"item_families", "items", "item_prices"}
# Where rows leave the list for good, so that only a complete scan can tell.
SCANNED = {"unbilled_charges"}
# What Chargebee answers for a list of the other catalog.
INCOMPATIBLE = "configuration_incompatible"
# Differences of one stream that are printed.
SHOWN = 5
# name: (options of `simulate`, days that pass before a second sync)
SITUATIONS = {
    "catalog v2": ([], 0),
    "a month later": (["--behind", "30d"], 30),
    "catalog v1": (["--catalog", "v1"], 0),
    "rows without updated_at": (["--chaos", "no_updated_at"], 0),
}


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:4]))} ..: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def virtual_environment(name, requirement):
    python = CACHE / name / "bin" / "python"
    package, version = requirement.split("==")
    probe = f"from importlib.metadata import version as v; assert v({package!r}) == {version!r}"
    if not python.exists() or subprocess.run([python, "-c", probe], capture_output=True).returncode:
        say(f"installing {requirement} into {CACHE / name}")
        run(sys.executable, "-m", "venv", "--clear", CACHE / name)
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement)
    return python


def node_folder():
    folder = CACHE / "node"
    package = folder / "node_modules" / "chargebee" / "package.json"
    if not package.exists() or json.loads(package.read_text())["version"] != NODE.split("@")[1]:
        say(f"installing {NODE} from npm into {folder}")
        folder.mkdir(parents=True, exist_ok=True)
        run("npm", "install", "--no-audit", "--no-fund", "--prefix", folder, NODE)
    return folder


def readers():
    """name -> what reads a site: (port, key) -> lines. The tap is left out, aloud, where it cannot be installed."""
    python, node, lists = virtual_environment("py", PYTHON), node_folder(), HERE / "streams.json"
    found = {
        "Python": lambda port, key: run(python, HERE / "read.py", port, key, lists),
        "Node": lambda port, key: run("node", HERE / "read.mjs", port, key, lists, cwd=node),
    }
    try:
        tap = virtual_environment("tap", TAP)
        found["tap"] = lambda port, key: run(tap, HERE / "read_tap.py", port, key)
    except RuntimeError as error:
        say(f"no run of {TAP}: it cannot be installed on Python {sys.version.split()[0]}: {error}")
    return found


def binary():
    if given := os.environ.get("TIDEGATE"):
        return Path(given).resolve()
    say("building tidegate")
    built = run("cargo", "build", "--locked", "--bin", "tidegate", "--message-format", "json", cwd=ROOT)
    return Path(next(path for line in built.splitlines() if (path := json.loads(line).get("executable"))))


class Site:
    """A simulated site, and a project whose lake holds it."""

    def __init__(self, tidegate, folder, options):
        self.tidegate, self.folder = tidegate, folder
        self.log = open(folder / "simulate.log", "w")
        command = [tidegate, "simulate", "--port", "0", "-o", "json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        announced = ""
        for line in self.process.stdout:
            announced += line
            if line == "}\n":
                break
        if not announced.endswith("}\n"):
            raise RuntimeError(f"`{' '.join(map(str, command))}` does not serve; see {self.log.name}")
        announced = json.loads(announced)["chargebee"]
        self.url, self.key = announced["base_url"], announced["api_key"]
        self.port = self.url.split(":")[2].split("/")[0]
        self.call("init", "--connector", "chargebee", "--name", "acme", "--set", "site=acme-test",
                  "--set", f"base_url={self.url}", "--destination", "lake:./lake")

    def call(self, *arguments):
        return run(self.tidegate, "-C", self.folder, *arguments, env=os.environ | {"ACME_API_KEY": self.key})

    def sync(self):
        """stream -> what the run did in it."""
        done = json.loads(self.call("sync", "acme", "-o", "json", "--no-progress"))
        return {stream["stream"]: stream for stream in done["streams"]}

    def rows(self, sql):
        return json.loads(self.call("query", sql, "-o", "json"))

    def pass_days(self, days):
        urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_sim/advance?days={days}", data=b"").close()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def seconds(value):
    """Epoch seconds of a number, or of the text that the tap and `tidegate query` write."""
    if value is None or isinstance(value, int):
        return value
    return int(datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp())


def money(record, field, currency):
    """In major units; the exact decimal wins over the rounded integer. None where the record has none."""
    exact, minor = record.get(f"{field}_in_decimal"), record.get(field)
    if exact is not None:
        return Decimal(str(exact))
    if minor is None or currency is None:
        return None
    return Decimal(minor) / (1 if currency in ZERO_DECIMAL else 100)


def parts(record, field):
    """The lines of a document, or what a subscription is made of in either catalog. None: the client leaves out the
    plan's amount."""
    if field == "subscription_items" and record.get("plan_id"):
        if "plan_amount" not in record:
            return None
        plan = {"amount": record.get("plan_amount"), "amount_in_decimal": record.get("plan_amount_in_decimal")}
        return [plan, *(record.get("addons") or []), *(record.get("event_based_addons") or [])]
    return record.get(field) or []


def seen(about, record, gone):
    """What a client's record says, in the words of our table."""
    currency = record.get("currency_code") or record.get("preferred_currency_code")
    time = about.get("time", "updated_at")
    facts = {
        "version": record.get("resource_version") or 0,
        "time": seconds(record.get(time)),
        "deleted": gone or record.get("deleted") is True,
    }
    for field, column in about.get("money", {}).items():
        amount = money(record, field, currency)
        if about["record"] == "promotional_credit" and field == "amount" and record["type"] == "decrement":
            amount = -amount
        facts[column] = amount
    lines = about.get("lines")
    if lines and not facts["deleted"] and (made_of := parts(record, lines["field"])) is not None:
        amounts = [money(line, "amount", currency) for line in made_of]
        facts["lines"] = (len(amounts), sum(a for a in amounts if a is not None))
    return facts


def held(site, about):
    """id -> what our table says."""
    time = about.get("time", "source_updated_at")
    amounts = list(about.get("money", {}).values())
    columns = ", ".join(["id", "version", f"{time} as time", "deleted_at", "observed_at", *amounts])
    rows, lines = {}, {}
    if parts := about.get("lines"):
        sql = f"select {parts['parent']} as id, count(*) as lines, sum(amount) as amount from {parts['table']} " \
              f"where deleted_at is null group by {parts['parent']}"
        lines = {row["id"]: (row["lines"], Decimal(row["amount"] or 0)) for row in site.rows(sql)}
    for row in site.rows(f"select {columns} from {about['table']}"):
        deleted = row["deleted_at"] is not None
        facts = {"version": row["version"], "time": seconds(row["time"]), "deleted": deleted}
        facts["observed"] = seconds(row["observed_at"])
        facts |= {name: None if row[name] is None else Decimal(row[name]) for name in amounts}
        if parts and not deleted:
            facts["lines"] = lines.get(row["id"], (0, Decimal(0)))
        rows[row["id"]] = facts
    return rows


def sorted_by_stream(text):
    """stream -> {rows: id -> facts of the newest state, said: lists refused, stops, and fields of the tap's schema}."""
    found = {}
    for line in map(json.loads, text.splitlines()):
        stream = found.setdefault(line["stream"], {"rows": {}, "said": {}})
        if (record := line.get("record")) is None:
            stream["said"] |= line
            continue
        facts = seen(STREAMS[line["stream"]], record, line.get("gone", False))
        before = stream["rows"].get(record["id"])
        if before is None or facts["version"] >= before["version"]:
            stream["rows"][record["id"]] = facts
    return found


def differences(ours, theirs, ignored):
    """Sentences. Facts that are in `ignored` do not count."""
    for key in sorted(ours.keys() | theirs.keys()):
        if key not in theirs:
            yield f"{key}: only here"
        elif key not in ours:
            yield f"{key}: only there"
        else:
            for fact, there in theirs[key].items():
                if fact not in ignored and there != (here := ours[key].get(fact)):
                    yield f"{key}: {fact} is {there} there, {here} here"


def tap_ignores(about, fields):
    """Facts that the tap's schema has no field for."""
    known = {"version": "resource_version", "time": about.get("time", "updated_at"), "deleted": "deleted"}
    known |= {column: field for field, column in about.get("money", {}).items()}
    known |= {"lines": about["lines"]["field"]} if "lines" in about else {}
    return {fact for fact, field in known.items() if field not in fields}


def tap_loses(stream, ours, said):
    """Ids that the tap cannot show: its filter hides rows without a time, where there is no filter it stops at them,
    and of most deletes in the catalog it does not learn."""
    timeless = {key for key, facts in ours.items() if facts["time"] is None}
    if timeless and stream in TAP_UNFILTERED and said.pop("stopped", None):
        return set(ours)
    return timeless | {key for key, facts in ours.items() if facts["deleted"] and stream in TAP_BLIND}


def compare(client, stream, ours, answer, through):
    """(rows there, rows here, differences, remark). Rows changed after `through`, epoch seconds, are not due yet."""
    said, theirs = answer["said"], answer["rows"]
    late = {key for key, facts in theirs.items() if facts["time"] and facts["time"] > through}
    ours = {key: facts for key, facts in ours.items() if key not in late}
    remarks = [f"{len(late)} newer than the sync"] if late else []
    if stream in SCANNED:
        absent = {key: facts for key, facts in ours.items() if key not in theirs}
        # A scan says nothing of rows that were first seen within its lag; a later one does.
        young = {key for key, facts in absent.items() if facts["observed"] > through}
        if young:
            remarks.append(f"{len(young)} gone, and too young for a scan to prove it")
        agreed = young | {key for key, facts in absent.items() if facts["deleted"]}
        ours = {key: facts for key, facts in ours.items() if key not in agreed}
    here, ignored = len(ours), set()
    if client == "tap":
        ignored = tap_ignores(STREAMS[stream], said["fields"])
        if lost := tap_loses(stream, ours, said):
            remarks.append(f"the tap loses {len(lost)}")
            ours = {key: facts for key, facts in ours.items() if key not in lost}
    theirs = {key: facts for key, facts in theirs.items() if key not in late}
    found = [f"it said {said[word]}" for word in ("refused", "stopped") if word in said]
    return len(theirs), here, found + list(differences(ours, theirs, ignored)), ", ".join(remarks)


def situation(name, tidegate, clients, folder):
    """Prints the table of one situation; how many differences there are."""
    options, days = SITUATIONS[name]
    site, total = Site(tidegate, folder, options), 0
    try:
        done = site.sync()
        if days:
            site.pass_days(days)
            done = site.sync()
        offered = [stream for stream in STREAMS if "not_offered" not in done[stream]]
        ours = {stream: held(site, STREAMS[stream]) for stream in offered}
        print(f"\n{name}\n{'client':8}{'stream':24}{'there':>7}{'here':>7}{'differ':>8}")
        for client, read in clients.items():
            answers = sorted_by_stream(read(site.port, site.key))
            for stream in STREAMS:
                answer = answers.get(stream, {"rows": {}, "said": {}})
                if stream not in offered:
                    if not answer["rows"] and answer["said"].get("refused", INCOMPATIBLE) == INCOMPATIBLE:
                        continue
                    there, here, found, remark = len(answer["rows"]), 0, ["we say that it is not offered"], ""
                elif client == "tap" and stream in TAP_ABSENT:
                    continue
                elif client == "tap" and not answer["said"]:
                    there, here, found, remark = 0, len(ours[stream]), ["the tap does not discover it"], ""
                else:
                    through = done[stream]["data_through"] // 1_000_000
                    there, here, found, remark = compare(client, stream, ours[stream], answer, through)
                print(f"{client:8}{stream:24}{there:7}{here:7}{len(found):8}  {remark}".rstrip())
                for sentence in found[:SHOWN]:
                    print(f"{'':10}{sentence}")
                if len(found) > SHOWN:
                    print(f"{'':10}and {len(found) - SHOWN} more")
                total += len(found)
    finally:
        site.stop()
    return total


def main(names):
    if unknown := [name for name in names if name not in SITUATIONS]:
        sys.exit(f"no such situation: {unknown[0]}; there are: {', '.join(SITUATIONS)}")
    clients, tidegate, total = readers(), binary(), 0
    for name in names or SITUATIONS:
        with tempfile.TemporaryDirectory(prefix="tidegate-clients-") as folder:
            total += situation(name, tidegate, clients, Path(folder))
    print(f"\n{total} differences")
    return 1 if total else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (RuntimeError, OSError) as error:
        say(error)
        sys.exit(2)
