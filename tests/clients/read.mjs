// What does the official Node client see? read.mjs <port> <key> <streams.json>, one JSON line a record.
//
// The client is used as it comes from npm; only its address is set. It is found in the folder that is the current one.
// A list that the site refuses is a line with the error code that the client raised.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [port, key, streams] = process.argv.slice(2);
const { default: Chargebee } = createRequire(process.cwd() + "/")("chargebee");
const client = new Chargebee({ apiKey: key, site: "127.0.0.1", hostSuffix: "", protocol: "http", port: Number(port) });

const say = (line) => console.log(JSON.stringify(line));
const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());

async function* pages(name, asked) {
  let offset;
  do {
    const page = await client[camel(name)].list({ limit: 100, ...asked, ...(offset && { offset }) });
    for (const element of page.list) yield element[name];
    offset = page.next_offset;
  } while (offset);
}

for (const [stream, about] of Object.entries(JSON.parse(readFileSync(streams, "utf8")))) {
  const { sort, ...asked } = about.query;
  if (sort) asked.sort_by = { asc: sort };
  try {
    for await (const record of pages(about.record, asked)) say({ stream, record });
  } catch (error) {
    if (!error.api_error_code) throw error;
    say({ stream, refused: error.api_error_code });
    continue;
  }
  if (!about.gone) continue;
  for await (const event of pages("event", { event_type: { in: [about.gone] }, sort_by: { asc: "occurred_at" } })) {
    say({ stream, record: event.content[about.record], gone: true });
  }
}
