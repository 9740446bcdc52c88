// The pipeline editor: steps in their order, what comes in beside them, and what
// they make of it as one types. It writes the steps' JSON into the form's text
// area, which is all that there is without scripts, and the form saves it.

import { below, button, call, choice, count, follow, fresh, isObject, labelled, make, mistakes, number, pretty, read, sentence, write } from "./kit.js";
import { beginning, configEditor, gist } from "./steps.js";
import { jsonOnly } from "./schema-form.js";
import { lastName, tree } from "./tree.js";

const form = document.querySelector("form[data-pipeline]");
// It is shown once it is whole, so that nothing jumps.
if (form) begin(form).finally(() => form.closest(".workbench").classList.add("is-ready"));

async function begin(form) {
  const { place, id } = form.dataset;
  const area = form.elements["steps:json"];
  let steps;
  try {
    steps = read(area.value || "[]");
  } catch {
    return; // It stays the text that it is, with its mistake.
  }
  const desk = { place, id, endpoint: place === "endpoint" ? id : null, area, steps, plugins: [], versions: new Map(), secrets: [], cards: [], active: null };
  const [plugins, secrets] = await Promise.all([call("GET /v1/plugins"), call("GET /v1/secrets")]);
  desk.plugins = plugins.body?.items ?? [];
  desk.secrets = (secrets.body?.items ?? []).map((secret) => secret.name);

  const list = make("ol", { class: "pipeline-steps" });
  const adder = stepAdder(desk);
  document.querySelector("#pipeline-editor").append(list, adder);
  document.querySelector("#pipeline-editor").hidden = false;
  const raw = form.querySelector("details[data-raw]");
  raw.open = false;
  desk.list = list;
  desk.changed = () => {
    area.value = write(desk.steps);
    form.dataset.changed = "yes";
    desk.preview.ask();
  };
  area.addEventListener("input", () => {
    try {
      const typed = read(area.value);
      if (!Array.isArray(typed)) return;
      desk.steps = typed;
      Promise.all(typed.map((step) => describe(desk, step))).then(() => draw(desk));
      desk.preview.ask();
    } catch {
      // Not JSON yet: what was there stays until it is.
    }
  });
  form.addEventListener("submit", () => delete form.dataset.changed);
  addEventListener("beforeunload", (event) => form.dataset.changed && event.preventDefault());
  desk.preview = preview(desk);
  await desk.preview.ready;
  const wanted = new URLSearchParams(location.search).get("add");
  if (wanted && !steps.some((step) => step.plugin === wanted) && !insert(desk, wanted)) list.before(insteadOfMapper(desk, wanted));
  await Promise.all(steps.map((step) => describe(desk, step)));
  draw(desk);
  area.value = write(desk.steps);
  shadowRun(desk);
  await Promise.all([desk.preview.now(), ...desk.cards.map((one) => one.ready)]);
}

/// Whether a source's first step makes its events.
const isMapped = (desk) => desk.place === "source" && jobAt(desk, desk.steps[0], 0) === "mapper";

const canDo = (desk, plugin) => desk.plugins.find((one) => one.name === plugin)?.interfaces ?? [];

/// What a step does where it stands, as the host finds it.
function jobAt(desk, step, at) {
  if (step?.job) return step.job;
  const wanted = desk.place === "endpoint" ? ["transformer", "filter"] : at === 0 ? ["mapper", "filter"] : ["filter"];
  return wanted.find((job) => canDo(desk, step?.plugin).includes(job));
}

/// Adds a step where its plugin has something to do, and gives its place: a source's
/// mapper first, any other last. None where the plugin has nothing to do.
function insert(desk, plugin) {
  const jobs = canDo(desk, plugin);
  const wanted = desk.place === "endpoint" ? ["transformer", "filter"] : isMapped(desk) ? ["filter"] : ["mapper", "filter"];
  const job = wanted.find((one) => jobs.includes(one));
  if (!job) return null;
  const step = { plugin, config: beginning(plugin, job, desk.document) };
  const at = job === "mapper" ? 0 : desk.steps.length;
  desk.steps.splice(at, 0, step);
  return step;
}

/// For a plugin that only maps, where another does already.
function insteadOfMapper(desk, plugin) {
  const step = { plugin, config: beginning(plugin, "mapper", desk.document) };
  const replace = async () => {
    desk.steps[0] = step;
    await describe(desk, step);
    notice.remove();
    draw(desk, '[data-step="0"] summary');
    desk.changed();
    say(`${plugin} is now step 1`);
  };
  const notice = canDo(desk, plugin).includes("mapper")
    ? make("p", { class: "notice" }, `${desk.steps[0].plugin} makes the events already, and one step does. `, button(`Use ${plugin} instead`, replace))
    : make("p", { class: "notice" }, `${plugin} has nothing to do in this pipeline.`);
  return notice;
}

/// What the step's plugin says of itself, once for each version.
async function describe(desk, step) {
  const known = desk.plugins.find((one) => one.name === step.plugin);
  const version = step.version ?? known?.version;
  if (!version) return null;
  const key = `${step.plugin} ${version}`;
  if (!desk.versions.has(key)) {
    const { ok, body } = await call(`GET /v1/plugins/${encodeURIComponent(step.plugin)}/versions/${version}`);
    desk.versions.set(key, ok ? body : null);
  }
  return desk.versions.get(key);
}

const described = (desk, step) =>
  desk.versions.get(`${step.plugin} ${step.version ?? desk.plugins.find((one) => one.name === step.plugin)?.version}`);

function draw(desk, focus = null) {
  desk.cards = desk.steps.map((step, at) => card(desk, step, at));
  const none = desk.place === "source"
    ? "No steps: a request's JSON body is the event's data, and its event or type the event's type. Add a field-mapper to choose and rename fields."
    : "No steps: the event goes out in the endpoint's own envelope. Add a step to filter or reshape it.";
  desk.list.replaceChildren(...(desk.cards.length > 0 ? desk.cards.map((one) => one.element) : [make("li", { class: "empty" }, none)]));
  if (focus) desk.list.querySelector(focus)?.focus();
}

function card(desk, step, at) {
  const known = described(desk, step);
  const problem = make("p", { class: "problem", role: "status" });
  const outcome = make("span", { class: "step-outcome" });
  const move = (by) => {
    const [one] = desk.steps.splice(at, 1);
    desk.steps.splice(at + by, 0, one);
    desk.active = at + by;
    draw(desk, `[data-step="${at + by}"] summary`);
    desk.changed();
    say(`${step.plugin} is now step ${at + by + 1}`);
  };
  const remove = () => {
    desk.steps.splice(at, 1);
    desk.active = null;
    draw(desk, `[data-step="${Math.max(0, at - 1)}"] summary`);
    desk.changed();
    say(`Step ${at + 1}, ${step.plugin}, was removed; save to keep it so`);
  };
  const about = make("span", { class: "hint" }, gist(step));
  const changed = () => {
    step.config = editor.config();
    about.textContent = gist(step);
    desk.changed();
  };
  let editor = configEditor(step, { place: desk.place, job: jobAt(desk, step, at), endpoint: desk.endpoint, schema: known?.description?.config_schema, changed });
  const holder = make("div", { class: "step-config" }, editor.element);
  const asJson = button("Edit as JSON", () => {
    editor = jsonOnly(step.config ?? {}, changed);
    holder.replaceChildren(editor.element);
    asJson.hidden = true;
  }, { class: "quiet" });
  const head = make("summary", {}, make("span", { class: "step-number" }, `${at + 1}`), make("strong", {}, step.plugin), " ", about, " ", outcome);
  const buttons = make("div", { class: "step-buttons" },
    button("↑", () => move(-1), { disabled: at === 0, "aria-label": `Move step ${at + 1}, ${step.plugin}, up` }),
    button("↓", () => move(1), { disabled: at === desk.steps.length - 1, "aria-label": `Move step ${at + 1}, ${step.plugin}, down` }),
    asJson,
    button("Remove", remove, { class: "quiet", "aria-label": `Remove step ${at + 1}, ${step.plugin}` }));
  const summary = known?.summary ? make("p", { class: "hint" }, known.summary) : null;
  const details = make("details", { class: "step", open: true, "data-step": at }, head, summary, holder, problem, settings(desk, step, known), buttons);
  details.addEventListener("focusin", () => { desk.active = at; });
  return {
    element: make("li", {}, details),
    take: (picked) => editor.take?.(picked),
    takes: () => typeof editor.take === "function",
    ready: editor.ready,
    open: () => { details.open = true; },
    show: (words, kind) => {
      outcome.textContent = words;
      outcome.className = `step-outcome ${kind}`;
    },
    mark: (list) => {
      const inside = below(list, `steps[${at}].config`);
      const others = list.filter(({ path }) => (path === `steps[${at}]` || path.startsWith(`steps[${at}].`)) && !path.startsWith(`steps[${at}].config`));
      const left = [...editor.mark(inside), ...others.map(({ path, message }) => ({ path: path.slice(`steps[${at}].`.length), message }))];
      problem.replaceChildren(...sentence(left.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ")));
      details.classList.toggle("is-wrong", inside.length + others.length > 0);
    },
  };
}

/// What a step has beside its configuration.
function settings(desk, step, known) {
  const newest = desk.plugins.find((one) => one.name === step.plugin)?.version;
  const set = (name, value) => {
    if (value === undefined) delete step[name];
    else step[name] = value;
    desk.changed();
  };
  const versions = [...Array(newest ?? step.version ?? 1)].map((_, at) => [String(at + 1), `version ${at + 1}${at + 1 === newest ? ", the newest" : ""}`]).reverse();
  const version = choice(step.version ? versions : [["", "the newest"], ...versions], step.version ? String(step.version) : "", async (chosen) => {
    set("version", chosen === "" ? undefined : Number(chosen));
    await describe(desk, step);
    draw(desk, `[data-step="${desk.steps.indexOf(step)}"] .step-settings summary`);
  });
  const failure = choice([["fail", desk.place === "source" ? "keep the request, to run it again" : "the delivery fails and can be replayed"], ["pass", "go on as if the step were not there"], ["drop", "drop it"]],
    step.on_failure ?? "fail", (chosen) => set("on_failure", chosen === "fail" ? undefined : chosen));
  const behind = step.version && newest && step.version < newest
    ? make("p", { class: "notice" }, `Version ${newest} is there. Choose it here for this step, or upgrade all steps on `, make("a", { href: `/plugins/${encodeURIComponent(step.plugin)}` }, "the plugin's page"), ", which can take it back.")
    : null;
  return make("details", { class: "step-settings", open: behind !== null || (known?.capabilities ?? []).some((one) => !["history", "summaries"].includes(one)) },
    make("summary", {}, "Version, failures and grants"), behind, jobs(desk, step),
    labelled("Version", version, "A step stays at its version until somebody changes it."),
    labelled("When the step fails", failure), grants(desk, step, known, set), budget(step, set));
}

/// At an endpoint a plugin may do either of two jobs.
function jobs(desk, step) {
  const both = ["transformer", "filter"];
  if (desk.place !== "endpoint" || !both.every((job) => canDo(desk, step.plugin).includes(job))) return null;
  const now = jobAt(desk, step, 0);
  const chosen = choice([["transformer", "change the message"], ["filter", "let the event pass, or drop it"]], now, (job) => {
    const isUntouched = write(step.config) === write(beginning(step.plugin, now, desk.document));
    if (isUntouched) step.config = beginning(step.plugin, job, desk.document);
    step.job = job;
    draw(desk, `[data-step="${desk.steps.indexOf(step)}"] .step-settings summary`);
    desk.changed();
  });
  return labelled("It is to", chosen);
}

const REACH = {
  history: "earlier events of the same subject", summaries: "summaries by the operator's language model",
  secrets: "sign with these secrets, without seeing them", state: "keep values from one event to the next", http: "send requests to these hosts",
};

function grants(desk, step, known, set) {
  // What is the tenant's own, plugins of the house are granted without being asked.
  const isGiven = (name) => known?.first_party && ["history", "summaries"].includes(name);
  const wanted = (known?.capabilities ?? []).filter((name) => !isGiven(name));
  if (wanted.length === 0) return make("p", { class: "hint" }, "It asks for no grants: it sees its input and nothing else.");
  const given = { ...(isObject(step.grants) ? step.grants : {}) };
  const tell = (name, value) => {
    if (value === undefined) delete given[name];
    else given[name] = value;
    set("grants", { ...given });
  };
  const box = (text, checked, changed) => {
    const tick = make("input", { type: "checkbox", checked, id: fresh(), change: () => changed(tick.checked) });
    return make("div", { class: "check" }, tick, make("label", { for: tick.id }, text));
  };
  const rows = wanted.map((name) => {
    if (name === "secrets") {
      const chosen = new Set(given.secrets ?? []);
      const boxes = desk.secrets.map((secret) => box(secret, chosen.has(secret), (on) => {
        if (on) chosen.add(secret);
        else chosen.delete(secret);
        tell("secrets", chosen.size > 0 ? [...chosen] : undefined);
      }));
      const none = make("p", { class: "hint" }, "There are no secrets yet: ", make("a", { href: "/secrets" }, "keep one"), ".");
      return make("fieldset", {}, make("legend", {}, `secrets: ${REACH.secrets}`), ...(boxes.length > 0 ? boxes : [none]));
    }
    if (name === "http") {
      const hosts = make("textarea", { rows: "2", placeholder: "api.example.com", spellcheck: "false" });
      hosts.value = (given.http ?? []).join("\n");
      hosts.addEventListener("input", () => {
        const all = hosts.value.split("\n").map((line) => line.trim()).filter(Boolean);
        tell("http", all.length > 0 ? all : undefined);
      });
      return labelled(`http: ${REACH.http}, one a line`, hosts, "A preview sends nothing there.");
    }
    return box(`${name}: ${REACH[name] ?? ""}`, given[name] === true, (on) => tell(name, on || undefined));
  });
  return make("fieldset", { class: "grants" }, make("legend", {}, "Grants"), make("p", { class: "hint" }, "The plugin asks for these; without them the step cannot be saved."), ...rows);
}

function budget(step, set) {
  const [kib, mib] = [1024, 1024 * 1024];
  const fields = [["fuel", "Fuel, usually 200,000,000", 1], ["memory", "Memory in MiB, usually 32", mib], ["output", "Output in MiB, usually 8", mib], ["log", "Log in KiB, usually 16", kib]];
  const given = { ...(step.budget ?? {}) };
  const inputs = fields.map(([name, text, unit]) => {
    const typed = make("input", {
      type: "number", min: "0", step: "any", value: given[name] ? given[name] / unit : "",
      input: () => {
        if (typed.value === "") delete given[name];
        else given[name] = Math.round(Number(typed.value) * unit);
        set("budget", Object.keys(given).length > 0 ? { ...given } : undefined);
      },
    });
    return labelled(text, typed);
  });
  return make("details", {}, make("summary", {}, "What a call may use"), ...inputs);
}

function stepAdder(desk) {
  const fits = (one) => (desk.place === "source" ? one.interfaces.some((job) => job !== "transformer") : one.interfaces.some((job) => job !== "mapper"));
  const options = desk.plugins.filter(fits).map((one) => [one.name, `${one.name}: ${one.summary}`]);
  const select = choice([["", "choose a plugin…"], ...options], "", () => {});
  const add = async () => {
    if (!select.value) return select.focus();
    const step = insert(desk, select.value);
    if (!step) {
      desk.list.previousElementSibling?.remove();
      return desk.list.before(insteadOfMapper(desk, select.value));
    }
    await describe(desk, step);
    const at = desk.steps.indexOf(step);
    desk.active = at;
    select.value = "";
    draw(desk, `[data-step="${at}"] summary`);
    desk.changed();
    say(`${step.plugin} was added as step ${at + 1}`);
  };
  return make("div", { class: "step-add" }, labelled("Add a step", select), button("Add", add));
}

const ORDER = { event: "order.placed", customer: { name: "Jane Smith", phone: "+1 202 555 1234", email: "jane@example.com" }, data: { order_id: "ORD-1", total: "49.99", items: [{ sku: "A1", count: 2 }] } };

/// What comes in, and what the steps make of it.
function preview(desk) {
  const inputs = document.querySelector("#pipeline-input");
  const result = document.querySelector("#pipeline-result");
  const shown = make("div", { class: "input-shown" });
  const state = { chosen: "sample", sample: desk.place === "source" ? write(ORDER) : write({ type: "order.placed", tags: ["paid"], data: ORDER.data }) };
  const ask = follow(() => trial(desk, state), (answer) => present(desk, result, answer));
  const select = async () => {
    const recent = await recently(desk);
    // What another page has sent somebody here for.
    const asked = new URLSearchParams(location.search).get("on");
    if (asked && !recent.some(({ id }) => id === asked)) recent.unshift({ id: asked, title: asked });
    state.chosen = asked ?? recent[0]?.id ?? "sample";
    const options = [...recent.map(({ id, title }) => [id, title]), ["sample", "A sample of your own"]];
    const picker = choice(options, state.chosen, async (chosen) => {
      state.chosen = chosen;
      await showInput(desk, state, shown, ask);
      ask();
    });
    const noun = desk.place === "source" ? "request" : "event";
    const hint = recent.length > 0 ? `The newest ${noun}s. Pick a field to use it.` : `No ${noun} has come yet, so this is a sample. Pick a field to use it.`;
    inputs.replaceChildren(labelled("What comes in", picker, hint), shown);
    await showInput(desk, state, shown, ask);
  };
  return { ask, ready: select(), now: async () => present(desk, result, await trial(desk, state)) };
}

async function recently(desk) {
  if (desk.place === "source") {
    const { body } = await call(`GET /v1/requests?source=${desk.id}&limit=20`);
    return (body?.items ?? []).filter((one) => one.bytes !== null).map((one) => ({ id: one.id, title: titled(one.id, one.received_at, one.state, count(one.bytes, "byte")) }));
  }
  const { body } = await call(`GET /v1/deliveries?endpoint=${desk.id}&limit=20`);
  const seen = new Map((body?.items ?? []).map((one) => [one.event_id, one]));
  if (seen.size > 0) return [...seen].map(([id, one]) => ({ id, title: titled(id, one.created_at, one.event_type, one.state) }));
  const { body: events } = await call("GET /v1/events?limit=20");
  return (events?.items ?? []).map((one) => ({ id: one.id, title: titled(one.id, one.received_at, one.type) }));
}

/// Many come in one second; the end of an id tells them apart.
function titled(id, time, ...words) {
  const at = new Date(time);
  const isToday = at.toDateString() === new Date().toDateString();
  return [`${isToday ? at.toLocaleTimeString() : at.toLocaleString()} …${id.slice(-5)}`, ...words.filter(Boolean)].join(", ");
}

async function showInput(desk, state, shown, ask) {
  const pick = (place, value) => take(desk, place, value);
  if (state.chosen === "sample") {
    const typed = make("textarea", { class: "code", rows: "12", spellcheck: "false" });
    const branches = make("div");
    const grow = () => {
      try {
        const roots = rootsOfSample(desk, read(typed.value));
        desk.document = roots[0].value;
        branches.replaceChildren(tree(roots, "The sample", pick));
      } catch {
        branches.replaceChildren(make("p", { class: "hint" }, "Not JSON: it is tried as text."));
      }
    };
    typed.value = state.sample;
    typed.addEventListener("input", () => {
      state.sample = typed.value;
      grow();
      ask();
    });
    grow();
    shown.replaceChildren(branches, make("details", { class: "input-typed" }, make("summary", {}, "Change the sample"), labelled("The sample", typed)));
    return;
  }
  const what = desk.place === "source" ? "requests" : "events";
  const { ok, body } = await call(`GET /v1/${what}/${state.chosen}`);
  if (!ok) return shown.replaceChildren(make("p", { class: "problem" }, body?.detail ?? ""));
  const roots = desk.place === "source" ? rootsOfRequest(body) : rootsOfEvent(body);
  desk.document = roots[0].value;
  shown.replaceChildren(tree(roots, "What came in", pick));
  if (roots[0].text) shown.append(make("pre", {}, roots[0].text));
}

function rootsOfRequest(request) {
  const headers = { title: "Headers", root: "headers", value: Object.fromEntries((request.headers ?? []).map(({ name, value }) => [name, value])) };
  const query = { title: "Query", root: "query", value: Object.fromEntries(new URLSearchParams(request.query ?? "")) };
  const isForm = /^application\/x-www-form-urlencoded/i.test(headers.value["content-type"] ?? "") && !/^\s*[{[]/.test(request.body ?? "");
  let value;
  try {
    value = isForm ? Object.fromEntries(new URLSearchParams(request.body)) : read(request.body);
  } catch {
    value = {};
  }
  const body = { title: "Body", root: "document", value, text: isObject(value) || Array.isArray(value) ? null : request.body ?? "(binary)" };
  return [body, ...(Object.keys(query.value).length > 0 ? [query] : []), headers];
}

function rootsOfEvent({ id, type, occurred_at, subject, account, tags, data }) {
  return [
    { title: "Data", root: "document", value: data },
    { title: "Event", root: "event", value: { id, type, occurred_at, subject, account, tags } },
  ];
}

const rootsOfSample = (desk, value) => (desk.place === "source" ? [{ title: "Body", root: "document", value }] : rootsOfEvent({ tags: [], ...value }));

/// A picked field goes to the step that was worked at last, or to the first that
/// can take one.
function take(desk, place) {
  const able = (at) => desk.cards[at]?.takes();
  const at = able(desk.active) ? desk.active : desk.cards.findIndex((one) => one.takes());
  if (at < 0) return say("Add a field-mapper or a script to use a field");
  desk.cards[at].open();
  desk.cards[at].take(place);
  say(`${lastName(place)} goes to step ${at + 1}`);
}

async function trial(desk, state) {
  const body = { steps: desk.steps };
  if (desk.place === "source") {
    body.source = desk.id;
    if (state.chosen === "sample") body.request = { body: state.sample, headers: { "content-type": "application/json" } };
    else body.request_id = state.chosen;
  } else {
    body.endpoint = desk.id;
    if (state.chosen !== "sample") body.event_id = state.chosen;
    else {
      try {
        body.event = { type: "test", data: null, ...read(state.sample) };
        delete body.event.id;
      } catch (error) {
        return { ok: false, body: { detail: `The sample is no JSON: ${error.message}` } };
      }
    }
  }
  return call("POST /v1/try", body);
}

function present(desk, result, { ok, body }) {
  if (!ok) {
    const list = mistakes(body);
    desk.cards.forEach((one) => {
      one.mark(list);
      one.show("", "");
    });
    const isStep = list.some(({ path }) => path.startsWith("steps["));
    const lead = isStep ? "A step is not right yet" : "It could not be tried";
    result.replaceChildren(make("p", { class: "outcome is-bad" }, lead), make("ul", {}, ...list.map(({ path, message }) => make("li", {}, sentence(path ? `${path}: ${message}` : message)))));
    return;
  }
  const failures = [];
  desk.cards.forEach((one, at) => {
    const report = body.steps[at];
    const words = report ? said(report) : "not reached";
    one.show(words, report && ["refused", "faulted"].includes(report.outcome) ? "is-bad" : "");
    if (report && ["refused", "faulted"].includes(report.outcome)) failures.push(failure(report, at));
  });
  desk.cards.forEach((one) => one.mark(failures));
  result.replaceChildren(...outcome(body), ...body.steps.map((report, at) => stepReport(report, at)));
}

/// A refusal as a mistake of the configuration: `field-mapper` begins with the
/// rule that it is about.
function failure({ message, code }, at) {
  const rule = /^((?:also\[\d+\]\.)?(?:rules\[\d+\]|tags\[\d+\]|type|subject|account|when)): ([\s\S]*)$/.exec(message ?? "");
  const path = rule ? `steps[${at}].config.${rule[1]}` : `steps[${at}].config`;
  return { path, message: rule ? rule[2] : `${code ? `${code}: ` : ""}${message}` };
}

function said(report) {
  switch (report.outcome) {
    case "mapped": return `makes ${count(report.events, "event")}`;
    case "kept": return "lets it pass";
    case "dropped": return "drops it";
    case "transformed": return "changes the message";
    case "refused": return "refuses";
    default: return "failed";
  }
}

function outcome(body) {
  const lead = (text, kind) => make("p", { class: `outcome ${kind}` }, sentence(text));
  switch (body.outcome) {
    case "events":
      return [lead(`${count(body.events.length, "event")} would be made`, "is-good"), ...body.events.map(eventShown)];
    case "send": {
      const { message, signed } = body;
      const head = `${signed?.method ?? message.method} ${signed?.url ?? message.target ?? ""}`;
      const headers = signed ? Object.entries(signed.headers) : message.headers.map(({ name, value }) => [name, value]);
      return [lead("It would be sent", "is-good"), make("p", {}, make("code", {}, head)),
        make("pre", { tabindex: "0", "aria-label": "Body" }, pretty(message.body ?? `(binary) ${message.body_base64}`)),
        make("details", {}, make("summary", {}, "Headers, with the signature"), make("pre", {}, headers.map(([name, value]) => `${name}: ${value}`).join("\n")))];
    }
    case "drop": return [lead(`It would not be sent: ${body.reason}`, "is-neutral")];
    case "ignore": return [lead(`No event would be made: ${body.reason}`, "is-neutral")];
    default: return [lead(`It would fail: ${body.reason}`, "is-bad")];
  }
}

function eventShown(event) {
  const about = [event.subject && `subject ${event.subject}`, event.account && `account ${event.account}`, event.tags.length > 0 && `tags ${event.tags.join(", ")}`].filter(Boolean);
  return make("article", { class: "event-shown" }, make("p", {}, make("strong", {}, event.type), about.length > 0 ? ` · ${about.join(" · ")}` : ""), make("pre", { tabindex: "0", "aria-label": `Data of ${event.type}` }, write(event.data)));
}

function stepReport(report, at) {
  const cost = `${number(report.fuel)} fuel, ${(report.duration_us / 1000).toFixed(1)} ms`;
  const parts = [];
  if (report.reason) parts.push(make("p", {}, sentence(report.reason)));
  if (report.message && typeof report.message === "string") parts.push(make("p", { class: "problem" }, sentence(report.message)));
  if (report.backtrace?.length > 0) parts.push(make("pre", {}, report.backtrace.join("\n")));
  if (report.log.length > 0) parts.push(make("pre", { "aria-label": "Log" }, report.log.map(({ level, text }) => `${level}: ${text}`).join("\n")));
  if (isObject(report.message)) parts.push(make("pre", { "aria-label": "The message after this step" }, pretty(report.message.body ?? "")));
  return make("details", { class: "step-report" }, make("summary", {}, `Step ${at + 1}, ${report.plugin} ${report.version}: ${said(report)} `, make("span", { class: "hint" }, cost)), ...parts);
}

/// Runs what is typed over what the endpoint was asked to send before.
function shadowRun(desk) {
  const form = document.querySelector("form[data-shadow]");
  if (!form) return;
  form.querySelector("[data-noscript]").remove();
  const result = make("div", { role: "status" });
  const run = form.querySelector("button");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    run.disabled = true;
    result.replaceChildren(make("p", {}, "Running both pipelines over the last events…"));
    const last = Number(form.elements["last:number"].value) || 1000;
    const { ok, body } = await call(`POST /v1/endpoints/${desk.id}/shadow`, { steps: desk.steps, last });
    run.disabled = false;
    const wrong = () => make("p", { class: "problem" }, sentence(mistakes(body).map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ")));
    result.replaceChildren(...(ok ? compared(body) : [wrong()]));
  });
  form.append(result);
}

const KINDS = [
  ["same", "come to the same"], ["changed", "are sent with another message"], ["dropped", "are dropped that were sent before"],
  ["failed", "fail that did not before"], ["added", "are sent that were not before"],
];

function compared(body) {
  if (body.compared === 0) return [make("p", { class: "empty" }, "There are no events for this endpoint yet, so there is nothing to compare.")];
  const rows = KINDS.map(([name, text]) => make("tr", {}, make("td", { class: "number" }, number(body[name])), make("td", {}, text)));
  const head = make("p", {}, make("strong", {}, `Of the last ${count(body.compared, "event")}:`), body.complete ? "" : " Time ran out before all were compared.");
  const cost = make("p", { class: "hint" }, `Fuel: ${number(body.current.fuel)} before, ${number(body.candidate.fuel)} with these steps.`);
  return [head, make("table", { class: "counts" }, make("tbody", {}, ...rows)), cost, ...body.examples.map(example)];
}

function example(one) {
  const say = ({ outcome, reason }) => (reason ? `${outcome}: ${reason}` : outcome);
  const value = (given) => (given === undefined ? "nothing" : write(given, 0));
  const differences = (one.diff ?? []).map(({ path, before, after }) => make("tr", {},
    make("th", { scope: "row" }, make("code", {}, path || "/")), make("td", {}, make("del", {}, value(before))), make("td", {}, make("ins", {}, value(after)))));
  const table = make("table", { class: "diff" }, make("thead", {}, make("tr", {}, ...["Where", "Now", "With these steps"].map((title) => make("th", { scope: "col" }, title)))), make("tbody", {}, ...differences));
  const link = make("a", { href: `/events/${encodeURIComponent(one.event_id)}` }, "The event");
  return make("details", { class: "step-report" }, make("summary", {}, `${one.kind}: ${one.event_id}`),
    make("p", {}, link, `. Now: ${say(one.current)}. With these steps: ${say(one.candidate)}.`), differences.length > 0 ? table : null);
}

/// Tells those who do not see it what has just changed.
function say(text) {
  const place = document.getElementById("said");
  if (place) place.textContent = text;
}
