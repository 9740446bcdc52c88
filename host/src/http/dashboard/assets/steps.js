// The editor of one step's configuration, by its plugin: rows for `field-mapper`,
// an expression for `tag-filter`, code for the three that run it, and a form of
// the plugin's schema for any other. Each has `element`, `config()`, `mark(list)`,
// which answers the mistakes that it had no place for, and maybe `take(place)`
// for a field that was picked in the tree.

import { button, call, count, follow, isObject, make, number, write } from "./kit.js";
import { codeEditor } from "./code.js";
import { mapperEditor } from "./mapper.js";
import { jsonOnly, schemaForm } from "./schema-form.js";
import { jqPath, scriptPath } from "./tree.js";

const SCRIPTS = {
  mapper: "function map(request) {\n  const order = request.json;\n  return { type: order.event, data: order };\n}\n",
  filter: "function keep(event) {\n  return !event.tags.includes('test');\n}\n",
  transformer: "function transform(event, message) {\n  return { body: { type: event.type, ...event.data } };\n}\n",
};
const PROGRAMS = { mapper: "{type: .json.event, data: .json}", filter: ".tags | index(\"test\") | not", transformer: ".data" };

/// What a step begins with that is to do a job, for a document as it came last.
export function beginning(plugin, job, document) {
  const type = ["event", "type"].find((name) => typeof document?.[name] === "string");
  const known = {
    "field-mapper": job === "mapper" && type ? { type: { from: type }, rules: [] } : { rules: [] },
    "tag-filter": { expression: "not test" },
    javascript: { source: SCRIPTS[job] },
    jq: { program: PROGRAMS[job] },
    template: { body: "{{ event.type }} happened" },
    "json-schema": { schema: { type: "object" } },
  };
  return known[plugin] ?? {};
}

export function configEditor(step, { place, job, endpoint, schema, changed }) {
  const own = isObject(step.config) ? step.config : {};
  switch (step.plugin) {
    case "field-mapper":
      if (Array.isArray(own.rules) && Array.isArray(own.also ?? []) && (own.also ?? []).every(isObject)) return mapperEditor(own, place, changed);
      break;
    case "tag-filter": return expression(step.config, endpoint, changed);
    case "javascript":
      return script(own, "source", "Script", SCRIPT_HINTS[job], (at) => scriptPath(at, scriptRoot(at.root, job)), changed);
    case "jq":
      return script(own, "program", "Program", PROGRAM_HINTS[job], (at) => jqPath(at, jqRoot(at.root, job)), changed);
    case "template":
      if (typeof own.body === "string") {
        return script(own, "body", "Template", "The language of Jinja, over event and data. A field that is missing is refused: data.name | default('somebody').",
          (at) => `{{ ${scriptPath(at, at.root === "event" ? "event" : "data")} }}`, changed);
      }
      break;
    default:
  }
  return schema ? schemaForm(schema, step.config ?? {}, changed) : jsonOnly(step.config ?? {}, changed);
}

const SCRIPT_HINTS = {
  mapper: "`map(request)` gives an event `{type, data, subject, tags}`, a list of them, or null.",
  filter: "`keep(event)` gives true, false or the reason for dropping.",
  transformer: "`transform(event, message)` gives what changes of the message: `{body, headers, method, target}`.",
};
const PROGRAM_HINTS = {
  mapper: "The input is the request: `.json`, `.headers`, `.query`, `.body`. Each output is an event: `{type, data, subject, tags}`.",
  filter: "The input is the event: `.type`, `.subject`, `.tags`, `.data`. It goes on if an output is neither false nor null.",
  transformer: "The input is the event: `.type`, `.subject`, `.tags`, `.data`; `$message` is the message. The one output is the body.",
};

const scriptRoot = (root, job) =>
  job === "mapper" ? { headers: "request.headers", query: "request.query" }[root] ?? "request.json" : root === "event" ? "event" : "event.data";

const jqRoot = (root, job) =>
  job === "mapper" ? { headers: ".headers", query: ".query" }[root] ?? ".json" : root === "event" ? "" : ".data";

function script(config, member, label, hint, spelled, changed) {
  const state = { ...config };
  const editor = codeEditor({
    label, hint, text: String(config[member] ?? ""), rows: member === "body" ? 8 : 14,
    changed: (text) => {
      state[member] = text;
      changed();
    },
  });
  return {
    element: editor.element,
    config: () => state,
    take: (place) => editor.insert(spelled(place)),
    mark: (list) => {
      editor.mark(list.map(({ message }) => message).join("; "));
      return [];
    },
  };
}

/// How many of the last events an expression over tags would keep.
const LAST = 1000;

function expression(config, endpoint, changed) {
  let text = typeof config === "string" ? config : String(config?.expression ?? "");
  const answer = make("div", { class: "matches", role: "status" });
  const ask = follow(() => matching(endpoint, text), (made) => answer.replaceChildren(...made), 400);
  const editor = codeEditor({
    label: "Keep the events whose tags satisfy",
    hint: 'Tags with and, or, not and parentheses; * stands for any letters; quotes hold tags with spaces: paid and not (test or "big customer")',
    text, rows: 2,
    changed: (typed) => {
      text = typed;
      changed();
      if (endpoint) ask();
    },
  });
  const words = make("p", { class: "chips" });
  for (const word of ["and", "or", "not", "(", ")"]) words.append(button(word, () => editor.insert(` ${word} `), { class: "quiet" }));
  const offer = (tag) => words.append(button(tag, () => editor.insert(/^[\w:.*-]+$/.test(tag) ? tag : JSON.stringify(tag)), { class: "chip" }));
  const first = async () => {
    const [made, tags] = await Promise.all([matching(endpoint, text), recentTags()]);
    answer.replaceChildren(...made);
    tags.forEach(offer);
  };
  return {
    ready: endpoint ? first() : null,
    element: make("div", {}, editor.element, words, answer),
    config: () => ({ expression: text }),
    mark: (list) => {
      editor.mark(list.map(({ message }) => message).join("; "));
      return [];
    },
  };
}

async function recentTags() {
  const recent = await call("GET /v1/events?limit=100");
  const seen = new Map();
  for (const event of recent.body?.items ?? []) for (const tag of event.tags) seen.set(tag, (seen.get(tag) ?? 0) + 1);
  return [...seen].sort((one, other) => other[1] - one[1]).slice(0, 12).map(([tag]) => tag);
}

/// Runs this one step over what the endpoint was last asked to send.
async function matching(endpoint, text) {
  const body = { steps: [{ plugin: "tag-filter", config: { expression: text } }], last: LAST };
  const { ok, body: found } = await call(`POST /v1/endpoints/${endpoint}/shadow`, body);
  if (!ok) return [make("p", { class: "hint" }, found.field?.startsWith("steps") ? "" : found.detail ?? "")];
  if (found.compared === 0) return [make("p", { class: "hint" }, "There are no events for this endpoint yet; how many match is shown once there are.")];
  const kept = found.candidate.sent;
  const share = Math.round((100 * kept) / found.compared);
  const meter = make("meter", { min: "0", max: found.compared, value: kept, "aria-label": "events that match" });
  const headline = make("p", {}, make("strong", {}, `${number(kept)} of the last ${count(found.compared, "event")} match`), ` (${share} %) `, meter);
  const rows = (found.newest ?? []).slice(0, 5).map((one) => make("tr", {},
    make("td", {}, make("a", { href: `/events/${one.event_id}` }, one.event_type)),
    make("td", {}, one.tags.join(", ") || "no tags"),
    make("td", {}, one.outcome === "send" ? "matches" : one.outcome === "drop" ? "does not" : one.reason ?? one.outcome)));
  const table = make("table", {}, make("caption", {}, "The newest"),
    make("thead", {}, make("tr", {}, ...["Event", "Tags", "This expression"].map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, ...rows));
  return [headline, rows.length > 0 ? table : null].filter(Boolean);
}

/// What a step's configuration comes to in a line, for the list.
export function gist(step) {
  const config = step.config ?? {};
  switch (step.plugin) {
    case "field-mapper": {
      const events = [config, ...(Array.isArray(config.also) ? config.also : [])];
      const rules = count(events.reduce((sum, event) => sum + (event?.rules?.length ?? 0), 0), "rule");
      return events.length > 1 ? `${count(events.length, "event")}, ${rules}` : rules;
    }
    case "tag-filter": return typeof config === "string" ? config : (config.expression ?? "");
    case "javascript": return count(String(config.source ?? "").split("\n").length, "line");
    case "jq": return String(config.program ?? "").slice(0, 60);
    default: return write(config, 0).slice(0, 60);
  }
}
