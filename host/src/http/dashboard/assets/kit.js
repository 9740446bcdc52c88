// What our scripts share: elements made of text (never of markup), calls of the
// API through the dashboard's gateway, and previews that follow what is typed.

/// An element. `properties` are attributes; functions among them listen to the
/// event that they are named after. Children are elements or text.
export function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/// A button that does not send its form.
export function button(text, act, properties = {}) {
  return make("button", { type: "button", click: act, ...properties }, text);
}

/// A sentence of the API's: what stands between backticks is code.
export function sentence(text) {
  const parts = String(text).split("`");
  return parts.map((part, at) => {
    if (at % 2 === 0) return part;
    return at < parts.length - 1 ? make("code", {}, part) : `\`${part}`;
  });
}

/// What a control is for, above it.
export function labelled(text, control, hint = null) {
  control.id ||= fresh();
  const label = make("label", { for: control.id }, text);
  if (!hint) return make("div", { class: "field" }, label, control);
  const note = make("p", { class: "hint", id: fresh() }, sentence(hint));
  control.setAttribute("aria-describedby", note.id);
  return make("div", { class: "field" }, label, control, note);
}

export function choice(options, chosen, changed, properties = {}) {
  const select = make("select", { change: () => changed(select.value), ...properties });
  for (const [value, text] of options) {
    select.append(make("option", { value, selected: value === chosen }, text));
  }
  return select;
}

let made = 0;
export const fresh = () => `made-${++made}`;

/// JSON that keeps the digits of its numbers, where the browser can.
export function read(text) {
  if (typeof JSON.rawJSON !== "function") return JSON.parse(text);
  return JSON.parse(text, (_key, value, context) => {
    const loses = typeof value === "number" && context && JSON.stringify(value) !== context.source;
    return loses ? JSON.rawJSON(context.source) : value;
  });
}

export const write = (value, indent = 2) => JSON.stringify(value, null, indent);

/// Whether it is an object whose members are to be looked at.
export const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !JSON.isRawJSON?.(value);

/// Calls the API: `call("POST /v1/try", {...})`. Only what reads and previews is
/// let through, and a component that is uploaded: a body that is no object goes
/// as it is.
export async function call(what, body = null) {
  const isJson = body !== null && !(body instanceof Blob);
  try {
    const answer = await fetch(`/ask?call=${encodeURIComponent(what)}`, {
      method: "POST",
      headers: { "content-type": isJson || body === null ? "application/json" : "application/wasm" },
      body: isJson ? JSON.stringify(body) : body,
    });
    if (answer.status === 401) return { ok: false, status: 401, body: { detail: "you are not signed in any more; sign in in another tab, what you typed is still here" } };
    const text = await answer.text();
    try {
      return { ok: answer.ok, status: answer.status, body: read(text) };
    } catch {
      return { ok: false, status: answer.status, body: { detail: `the server answered ${answer.status}` } };
    }
  } catch {
    return { ok: false, status: 0, body: { detail: "the server cannot be reached; what you typed is still here" } };
  }
}

/// Runs `work` a moment after the last change, one at a time, and shows only the
/// newest answer.
export function follow(work, show, wait = 250) {
  let timer = null;
  let running = false;
  let again = false;
  async function run() {
    if (running) {
      again = true;
      return;
    }
    running = true;
    const answer = await work();
    running = false;
    if (again) {
      again = false;
      run();
    } else {
      show(answer);
    }
  }
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, wait);
  };
}

/// What is wrong, as pairs of a path below `steps` and a sentence. The API names
/// all of a configuration's mistakes in one detail.
export function mistakes(problem) {
  const parts = String(problem.detail ?? problem.title ?? "it did not work").split(/; (?=steps\[\d+\]\.config)/);
  const found = parts.map((part) => {
    const named = /^(steps\[\d+\]\.config[^:\s]*): ([\s\S]*)$/.exec(part);
    return named ? { path: named[1], message: named[2] } : { path: problem.field ?? "", message: part };
  });
  return found;
}

/// The mistakes at and below `start`, with the rest of their paths.
export function below(list, start) {
  const inside = ({ path }) => path === start || path.startsWith(`${start}.`) || path.startsWith(`${start}[`);
  const rest = (path) => path.slice(start.length).replace(/^\./, "");
  return list.filter(inside).map(({ path, message }) => ({ path: rest(path), message }));
}

/// `1,234`
export const number = (value) => Number(value).toLocaleString("en");

/// `1 event`, `2 events`
export const count = (many, noun) => `${number(many)} ${noun}${Number(many) === 1 ? "" : "s"}`;

/// Text that is JSON, indented; any other as it is.
export function pretty(text) {
  try {
    return write(read(text));
  } catch {
    return text;
  }
}
