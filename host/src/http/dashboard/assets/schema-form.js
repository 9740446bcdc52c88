// A form made of a plugin's JSON Schema. What it has no control for is edited as
// JSON, so that nothing is out of reach.

import { choice, fresh, isObject, labelled, make, read, sentence, write } from "./kit.js";

export function schemaForm(schema, config, changed) {
  const state = isObject(config) ? { ...config } : {};
  const shape = resolve(schema, schema);
  const fields = [];
  const whole = make("div", { class: "schema-form" });
  const properties = Object.entries(shape.properties ?? {});
  if (!isObject(config) || properties.length === 0) return jsonOnly(config, changed);
  for (const [name, given] of properties) {
    const of = resolve(given, schema);
    const set = (value) => {
      if (value === undefined) delete state[name];
      else state[name] = value;
      changed();
    };
    const title = (shape.required ?? []).includes(name) ? `${name} (required)` : name;
    const problem = make("p", { class: "problem", role: "status" });
    whole.append(control(title, of, state[name], set, problem), problem);
    fields.push({ name, problem });
  }
  return {
    element: whole,
    config: () => state,
    mark: (list) => {
      fields.forEach(({ problem }) => { problem.textContent = ""; });
      return list.filter(({ path, message }) => {
        const about = fields.find(({ name }) => path === name || path.startsWith(`${name}.`) || path.startsWith(`${name}[`));
        if (about) about.problem.replaceChildren(...sentence(path === about.name ? message : `${path}: ${message}`));
        return !about;
      });
    },
  };
}

/// A reference into the same schema, followed.
function resolve(part, whole, steps = 0) {
  if (!isObject(part) || typeof part.$ref !== "string" || steps > 8) return isObject(part) ? part : {};
  const way = part.$ref.replace(/^#\/?/, "").split("/").filter(Boolean);
  const found = way.reduce((at, step) => at?.[decodeURIComponent(step).replace(/~1/g, "/").replace(/~0/g, "~")], whole);
  return { ...resolve(found, whole, steps + 1), ...part, $ref: undefined };
}

function control(title, of, value, set, problem) {
  const hint = of.description ?? null;
  const shown = of.default === undefined ? "" : `usually ${write(of.default, 0)}`;
  if (Array.isArray(of.enum) && of.enum.every((one) => typeof one === "string")) {
    const options = [["", shown || "not set"], ...of.enum.map((one) => [one, one])];
    return labelled(title, choice(options, value ?? "", (chosen) => set(chosen || undefined)), hint);
  }
  switch (of.type) {
    case "boolean": return check(title, hint, value ?? of.default === true, set);
    case "integer":
    case "number": {
      const typed = make("input", {
        type: "number", value: value ?? "", placeholder: shown, min: of.minimum, max: of.maximum, step: of.type === "integer" ? "1" : "any",
        input: () => set(typed.value === "" ? undefined : Number(typed.value)),
      });
      return labelled(title, typed, hint);
    }
    case "string": return text(title, of, value, set, shown);
    case "array":
      if (of.items?.type === "string" || of.items?.$ref) return lines(title, of, value, set, shown, problem);
      return json(title, value, set, hint, problem);
    default: return json(title, value, set, hint, problem);
  }
}

function text(title, of, value, set, shown) {
  const example = of.examples?.find((one) => typeof one === "string") ?? "";
  const long = /\n/.test(`${value ?? ""}${example}`) || (of.maxLength ?? 0) > 200;
  const typed = make(long ? "textarea" : "input", {
    placeholder: shown || example, spellcheck: "false", maxlength: of.maxLength, rows: long ? "5" : null,
    input: () => set(typed.value === "" && value === undefined ? undefined : typed.value),
  });
  typed.value = typeof value === "string" ? value : "";
  return typeof value === "string" || value === undefined ? labelled(title, typed, of.description ?? null) : json(title, value, set, of.description ?? null);
}

function lines(title, of, value, set, shown, problem) {
  const known = value === undefined || (Array.isArray(value) && value.every((one) => typeof one === "string"));
  if (!known) return json(title, value, set, of.description ?? null, problem);
  const typed = make("textarea", {
    rows: "3", placeholder: shown, spellcheck: "false",
    input: () => {
      const all = typed.value.split("\n").map((line) => line.trim()).filter(Boolean);
      set(all.length > 0 ? all : undefined);
    },
  });
  typed.value = (value ?? []).join("\n");
  return labelled(`${title}, one a line`, typed, of.description ?? null);
}

export function check(title, hint, value, set) {
  const typed = make("input", { type: "checkbox", checked: value, id: fresh(), change: () => set(typed.checked) });
  return make("div", { class: "field check" }, typed, make("label", { for: typed.id }, title), hint ? make("p", { class: "hint" }, hint) : null);
}

function json(title, value, set, hint, problem = make("p", { class: "problem", role: "status" })) {
  const typed = make("textarea", { class: "code", rows: "6", spellcheck: "false" });
  typed.value = value === undefined ? "" : write(value);
  typed.addEventListener("input", () => {
    try {
      const made = typed.value.trim() === "" ? undefined : read(typed.value);
      problem.textContent = "";
      set(made);
    } catch (error) {
      problem.textContent = `This is no JSON yet: ${error.message}`;
    }
  });
  return labelled(`${title}, as JSON`, typed, hint);
}

/// The whole configuration as JSON.
export function jsonOnly(config, changed) {
  let value = config;
  const problem = make("p", { class: "problem", role: "status" });
  const element = json("Configuration", config, (made) => {
    value = made ?? {};
    changed();
  }, null, problem);
  return {
    element: make("div", {}, element, problem),
    config: () => value,
    mark: (list) => {
      problem.replaceChildren(...sentence(list.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ")));
      return [];
    },
  };
}
