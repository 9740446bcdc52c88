// The configuration of `field-mapper` as rows: where a value comes from, what is
// done to it, where it goes. What this does not show (`also`) stays as JSON.

import { button, choice, fresh, labelled, make, read, write } from "./kit.js";
import { lastName, mapperPath } from "./tree.js";

const PLAIN = [
  ["string", "to text"], ["number", "to a number"], ["boolean", "to true or false"], ["trim", "without spaces around"],
  ["lowercase", "to lower case"], ["uppercase", "to upper case"], ["phone", "to a phone number (E.164)"],
  ["date", "to a date (RFC 3339)"],
];
const WITH_SETTING = [["split", "split into a list at…"], ["join", "join a list with…"], ["lookup", "look up in a table…"]];

/// An editor of `config` for a `source` or an `endpoint`; `changed` is called
/// after each change.
export function mapperEditor(config, place, changed) {
  const state = {
    type: config.type ?? null, subject: config.subject ?? null, account: config.account ?? null,
    tags: [...(config.tags ?? [])], rules: [...(config.rules ?? [])], also: config.also ?? null,
  };
  const rows = [];
  // The input that a pick in the tree goes to.
  let target = null;
  const whole = make("div", { class: "mapper" });
  whole.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-takes=path]")) target = event.target;
  });

  const row = (path, value, options) => {
    const one = valueRow(value, { path, changed, ...options });
    rows.push(one);
    return one;
  };

  function draw(focus = null) {
    rows.length = 0;
    whole.replaceChildren();
    if (place === "source") whole.append(aboutTheEvent());
    whole.append(theRules());
    if (place === "source") whole.append(furtherEvents());
    whole.querySelector(focus)?.focus();
  }

  function aboutTheEvent() {
    const field = (name, title, hint) => {
      const heading = make("h5", {}, title);
      if (state[name] === null) {
        const add = () => {
          state[name] = { from: "" };
          redraw(`[data-row="${name}"] input`);
        };
        const set = button("Set it", add, { "aria-label": `Set the ${title.toLowerCase()}` });
        return make("div", { class: "mapper-field is-unset" }, heading, make("p", { class: "hint" }, hint), set);
      }
      const remove = () => {
        state[name] = null;
        redraw();
      };
      const one = row(name, state[name], { title, remove, set: (value) => { state[name] = value; } });
      return make("div", { class: "mapper-field" }, heading, one.element);
    };
    const tags = make("div", { class: "mapper-field" }, make("h5", {}, "Tags"), make("p", { class: "hint" }, "Endpoints and filters select by tags. A value that is a list is as many tags."));
    state.tags.forEach((tag, at) => {
      const remove = () => {
        state.tags.splice(at, 1);
        redraw();
      };
      tags.append(row(`tags[${at}]`, tag, { title: `Tag ${at + 1}`, remove, set: (value) => { state.tags[at] = value; } }).element);
    });
    tags.append(button("Add a tag", () => {
      state.tags.push({ from: "" });
      redraw(`[data-row="tags[${state.tags.length - 1}]"] input`);
    }));
    return make("section", { class: "mapper-part" }, make("h4", {}, "The event"),
      field("type", "Type", "What happened, such as order.placed. Not set: what the source says, or the body's event or type."),
      field("subject", "Subject", "Whom or what it is about, such as a customer's phone number. Not needed."),
      field("account", "Account", "The managed account that it belongs to. Not needed."), tags);
  }

  function theRules() {
    const list = make("ol", { class: "mapper-rules" });
    state.rules.forEach((rule, at) => {
      const remove = () => {
        state.rules.splice(at, 1);
        redraw();
      };
      const one = row(`rules[${at}]`, rule, { title: `Rule ${at + 1}`, remove, isRule: true, set: (value) => { state.rules[at] = value; } });
      list.append(make("li", {}, one.element));
    });
    const add = button("Add a rule", () => {
      state.rules.push({ to: "", from: "" });
      redraw(`[data-row="rules[${state.rules.length - 1}]"] [data-takes=path]`);
    });
    const none = make("p", { class: "empty" }, "No rules yet. Pick a field of what comes in, or add a rule: only what rules name goes on.");
    const title = place === "source" ? "Its data" : "The body";
    return make("section", { class: "mapper-part" }, make("h4", {}, title), state.rules.length === 0 ? none : list, add);
  }

  function furtherEvents() {
    const text = make("textarea", { rows: "6", spellcheck: "false", class: "code", "data-row": "also" });
    text.value = state.also === null ? "" : write(state.also);
    const problem = make("p", { class: "problem", role: "status" });
    text.addEventListener("input", () => {
      try {
        state.also = text.value.trim() === "" ? null : read(text.value);
        problem.textContent = "";
        changed();
      } catch (error) {
        problem.textContent = `This is no JSON yet: ${error.message}`;
      }
    });
    rows.push({ path: "also", mark: (message) => { problem.textContent = message; } });
    const hint = 'A list, each with an optional condition: [{"when": {"from": "data.coupon", "exists": true}, "type": {"const": "coupon.used"}, "rules": []}]';
    return make("details", { class: "mapper-part", open: state.also !== null }, make("summary", {}, "More events of the same request"), labelled("Further events, as JSON", text, hint), problem);
  }

  function redraw(focus = null) {
    draw(focus);
    changed();
  }

  /// A field was picked in the tree: into the input that was used last, or as a
  /// rule of its own.
  function take(from) {
    const path = mapperPath(from);
    if (target?.isConnected) {
      target.value = path;
      target.dispatchEvent(new Event("input", { bubbles: true }));
      const to = target.closest(".mapper-row").querySelector("[data-takes=target]");
      if (to?.value === "") {
        to.value = targetName(from, state.rules);
        to.dispatchEvent(new Event("input", { bubbles: true }));
      }
      // The next field is another rule.
      target = null;
      return;
    }
    state.rules.push({ to: targetName(from, state.rules), from: path });
    redraw(`[data-row="rules[${state.rules.length - 1}]"] [data-takes=target]`);
  }

  draw();
  return {
    element: whole,
    take,
    config: () => {
      const made = {};
      for (const name of ["type", "subject", "account"]) if (state[name] !== null && !isEmpty(state[name])) made[name] = state[name];
      const tags = withoutEmptyEnd(state.tags);
      if (tags.length > 0) made.tags = tags;
      made.rules = withoutEmptyEnd(state.rules);
      if (state.also !== null) made.also = state.also;
      return made;
    },
    /// Shows each mistake at the row that it is about; answers those that are at none.
    mark: (list) => {
      rows.forEach((one) => one.mark(""));
      return list.filter(({ path, message }) => {
        const about = rows.find((one) => path === one.path || path.startsWith(`${one.path}.`) || path.startsWith(`${one.path}[`));
        // Where in the JSON it stands is no news to whoever sees the row.
        about?.mark(message.replace(/ at line \d+ column \d+$/, ""));
        return !about;
      });
    },
  };
}

/// What was added and not begun yet is no mistake.
const isEmpty = (value) => value.from === "" && !value.to && !value.required && !value.convert && !("default" in value);

/// Those at the end only: mistakes are told by number.
function withoutEmptyEnd(values) {
  const last = values.findLastIndex((value) => !isEmpty(value));
  return values.slice(0, last + 1);
}

function targetName(place, rules) {
  const name = lastName(place).replace(/[.[\]"$]/g, "_") || "value";
  const each = place.segments.some((segment) => segment.each);
  const wanted = each ? `${name}[]` : name;
  const taken = (text) => rules.some((rule) => rule.to === text);
  if (!taken(wanted)) return wanted;
  let next = 2;
  while (taken(`${name}_${next}${each ? "[]" : ""}`)) next += 1;
  return `${name}_${next}${each ? "[]" : ""}`;
}

/// One value with its origin, conversions and what happens when it is missing.
function valueRow(value, { path, title, remove, set, changed, isRule = false }) {
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
    const typed = make("input", {
      value: one.from ?? "", "aria-label": `${title}: from`, placeholder: "customer.phone", spellcheck: "false",
      autocomplete: "off", "data-takes": "path", input: () => update({ from: typed.value }),
    });
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
  const mark = (message) => {
    problem.textContent = message;
    element.classList.toggle("is-wrong", message !== "");
    source[message === "" ? "removeAttribute" : "setAttribute"]("aria-invalid", "true");
  };
  return { path, element, mark };
}

function whenMissing(title, one, update) {
  const required = make("input", {
    type: "checkbox", checked: one.required === true, id: fresh(),
    change: () => update({ required: required.checked || undefined }),
  });
  const has = "default" in one;
  const fill = (value) => jsonInput(`${title}: when it is missing`, value, (made) => update({ default: made }));
  const hold = make("span");
  const show = (value) => hold.replaceChildren(make("span", {}, "take "), fill(value));
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
    make("span", {}, wanted, make("label", { for: wanted.id }, "when missing, "), hold));
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
