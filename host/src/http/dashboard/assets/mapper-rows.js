// One row of `field-mapper`'s editor: where a value comes from, what is done to it,
// what happens when it is missing; and the condition of a further event.

import { button, choice, fresh, make, read, sentence, write } from "./kit.js";

const PLAIN = [
  ["string", "to text"], ["number", "to a number"], ["boolean", "to true or false"], ["trim", "without spaces around"],
  ["lowercase", "to lower case"], ["uppercase", "to upper case"], ["phone", "to a phone number (E.164)"],
  ["date", "to a date (RFC 3339)"],
];
const WITH_SETTING = [["split", "split into a list at…"], ["join", "join a list with…"], ["lookup", "look up in a table…"]];

/// One value with its origin, conversions and what happens when it is missing.
export function valueRow(value, { path, title, remove, set, changed, isRule = false }) {
  let one = { ...value };
  const problem = make("p", { class: "problem", role: "status" });
  const update = (change) => {
    one = { ...one, ...change };
    for (const key of Object.keys(one)) if (one[key] === undefined) delete one[key];
    set(one);
    changed();
  };
  set(one);
  const isConst = "const" in one;
  const origin = choice([["from", "Field"], ["const", "Fixed value"]], isConst ? "const" : "from", (kind) => {
    update(kind === "const" ? { from: undefined, const: "" } : { const: undefined, from: "" });
    source.replaceWith((source = sourceInput()));
    source.focus();
  }, { "aria-label": `${title}: where the value comes from` });
  const sourceInput = () => {
    if ("const" in one) return jsonInput(`${title}: the value`, one.const, (made) => update({ const: made }));
    const typed = pathInput(`${title}: from`, one.from ?? "", () => update({ from: typed.value }));
    return typed;
  };
  let source = sourceInput();
  const line = make("div", { class: "mapper-line" }, origin, source);
  if (isRule) {
    const to = make("input", {
      value: one.to ?? "", "aria-label": `${title}: to`, placeholder: "contact.phone", spellcheck: "false",
      autocomplete: "off", "data-takes": "target", input: () => update({ to: to.value }),
    });
    line.append(make("span", { class: "mapper-arrow", "aria-hidden": "true" }, "→"), to);
  }
  line.append(button("Remove", remove, { "aria-label": `Remove ${title.toLowerCase()}`, class: "quiet" }));
  const element = make("div", { class: "mapper-row", role: "group", "aria-label": title, "data-row": path }, line,
    conversions(title, one.convert, (convert) => update({ convert })), whenMissing(title, one, update), problem);
  return { path, element, mark: marks(element, problem, () => source) };
}

/// A condition: something is there, is not, or is this.
export function conditionRow(value, { path, title, remove, set, changed }) {
  let one = { ...value };
  const problem = make("p", { class: "problem", role: "status" });
  const update = (made) => {
    one = made;
    set(one);
    changed();
  };
  const typed = pathInput(`${title}: field`, one.from ?? "", () => update({ ...one, from: typed.value }));
  const hold = make("span");
  const wanted = (value) => hold.replaceChildren(jsonInput(`${title}: the value`, value, (made) => update({ from: one.from, equals: made })));
  const kind = "equals" in one ? "equals" : one.exists === false ? "missing" : "exists";
  const is = choice([["exists", "is there"], ["missing", "is not there"], ["equals", "is"]], kind, (chosen) => {
    update(chosen === "equals" ? { from: one.from, equals: "" } : { from: one.from, exists: chosen === "exists" });
    if (chosen === "equals") wanted("");
    else hold.replaceChildren();
  }, { "aria-label": `${title}: what has to be so` });
  if (kind === "equals") wanted(one.equals);
  const drop = button("Remove", remove, { "aria-label": `Remove ${title.toLowerCase()}`, class: "quiet" });
  const element = make("div", { class: "mapper-row", role: "group", "aria-label": title, "data-row": path },
    make("div", { class: "mapper-line" }, typed, is, hold, drop), problem);
  return { path, element, mark: marks(element, problem, () => typed) };
}

/// Shows a mistake at its row, or that there is none.
function marks(element, problem, input) {
  return (message) => {
    problem.replaceChildren(...sentence(message));
    element.classList.toggle("is-wrong", message !== "");
    input()[message === "" ? "removeAttribute" : "setAttribute"]("aria-invalid", "true");
  };
}

/// Takes what is picked in the tree, too.
function pathInput(label, value, input) {
  return make("input", {
    value, "aria-label": label, placeholder: "customer.phone", spellcheck: "false", autocomplete: "off",
    "data-takes": "path", input,
  });
}

function whenMissing(title, one, update) {
  const required = make("input", {
    type: "checkbox", checked: one.required === true, id: fresh(),
    change: () => update({ required: required.checked || undefined }),
  });
  const has = "default" in one;
  const fill = (value) => jsonInput(`${title}: when it is missing`, value, (made) => update({ default: made }));
  const hold = make("span");
  const show = (value) => hold.replaceChildren(fill(value));
  const wanted = make("input", {
    type: "checkbox", checked: has, id: fresh(),
    change: () => {
      update({ default: wanted.checked ? "" : undefined });
      if (wanted.checked) show("");
      else hold.replaceChildren();
    },
  });
  if (has) show(one.default);
  return make("div", { class: "mapper-missing" },
    make("span", {}, required, make("label", { for: required.id }, "refuse when missing")),
    make("span", {}, wanted, make("label", { for: wanted.id }, "use this when missing "), hold));
}

/// A JSON value in one line: what is no JSON is text.
function jsonInput(label, value, changed) {
  const shown = typeof value === "string" && !isJson(value) ? value : write(value, 0);
  const typed = make("input", {
    value: shown ?? "", "aria-label": label, spellcheck: "false", autocomplete: "off", placeholder: "text, 42, true, null",
    title: 'Text as it is; 42, true, null, lists and objects are JSON; "42" in quotes is text',
    input: () => changed(isJson(typed.value) ? read(typed.value) : typed.value),
  });
  return typed;
}

function isJson(text) {
  try {
    read(text);
    return true;
  } catch {
    return false;
  }
}

function conversions(title, given, changed) {
  const list = given === undefined ? [] : Array.isArray(given) ? [...given] : [given];
  const whole = make("div", { class: "mapper-convert" });
  const tell = () => changed(list.length === 0 ? undefined : list.length === 1 ? list[0] : [...list]);
  const draw = () => {
    whole.replaceChildren();
    list.forEach((conversion, at) => {
      const name = typeof conversion === "string" ? conversion : Object.keys(conversion)[0];
      const drop = () => {
        list.splice(at, 1);
        draw();
        tell();
        whole.querySelector("select").focus();
      };
      const settings = setting(title, name, conversion, (made) => {
        list[at] = made;
        tell();
      });
      whole.append(make("span", { class: "chip" }, name, settings, button("×", drop, { "aria-label": `${title}: no ${name}`, class: "quiet" })));
    });
    const menu = [["", list.length === 0 ? "convert…" : "and then…"], ...PLAIN, ...WITH_SETTING];
    const add = choice(menu, "", (name) => {
      if (!name) return;
      list.push(beginning(name));
      draw();
      tell();
      (whole.querySelector(".chip:last-of-type input, .chip:last-of-type textarea") ?? whole.querySelector("select")).focus();
    }, { "aria-label": `${title}: convert` });
    whole.append(add);
  };
  draw();
  return whole;
}

const beginning = (name) => ({ split: { split: "," }, join: { join: ", " }, lookup: { lookup: { table: {} } } })[name] ?? name;

function setting(title, name, conversion, changed) {
  const text = (label, value, made, properties = {}) => {
    const typed = make("input", { value, "aria-label": `${title}: ${label}`, autocomplete: "off", input: () => changed(made(typed.value)), ...properties });
    return typed;
  };
  if (name === "phone") {
    const country = typeof conversion === "object" ? (conversion.phone?.country ?? "") : "";
    const made = (code) => (code === "" ? "phone" : { phone: { country: code } });
    return text("calling code of national numbers", country, made, { placeholder: "calling code", class: "short", inputmode: "tel" });
  }
  if (name === "split") return text("split at", conversion.split, (at) => ({ split: at }), { class: "short" });
  if (name === "join") return text("join with", conversion.join, (between) => ({ join: between }), { class: "short" });
  if (name === "lookup") return lookup(title, conversion.lookup, changed);
  return null;
}

/// A table of two columns, one pair a line: `1 = new`.
function lookup(title, given, changed) {
  const line = ([from, to]) => `${from} = ${typeof to === "string" && !isJson(to) ? to : write(to, 0)}`;
  const typed = make("textarea", { rows: "3", "aria-label": `${title}: table, one pair a line`, spellcheck: "false", placeholder: "1 = new\n2 = paid\n* = other" });
  const pairs = Object.entries(given?.table ?? {});
  typed.value = [...pairs, ...("default" in (given ?? {}) ? [["*", given.default]] : [])].map(line).join("\n");
  typed.addEventListener("input", () => {
    const made = { table: {} };
    for (const text of typed.value.split("\n").filter((text) => text.includes("="))) {
      const [from, to] = [text.slice(0, text.indexOf("=")).trim(), text.slice(text.indexOf("=") + 1).trim()];
      const value = isJson(to) ? read(to) : to;
      if (from === "*") made.default = value;
      else made.table[from] = value;
    }
    changed({ lookup: made });
  });
  return typed;
}
