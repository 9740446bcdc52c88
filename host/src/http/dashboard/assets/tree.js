// A document as a tree, out of which a place can be picked by pointer or keyboard
// (the tree pattern of the ARIA practices). What is shown is text, whatever it is.

import { isObject, make, write } from "./kit.js";

/// A place: what it begins with (`document`, `headers`, `query` or `event`), and
/// keys, indexes and "each of a list" from there.
const KEY = (key) => ({ key });
const INDEX = (index) => ({ index });
const EACH = { each: true };

/// At most this many members of one object or list are shown.
const SHOWN = 200;

/// `roots` are `{title, root, value}`; `pick` is given a place and its value.
export function tree(roots, label, pick) {
  const top = make("ul", { role: "tree", "aria-label": label, class: "tree" });
  for (const { title, root, value } of roots) {
    top.append(item({ name: title, place: { root, segments: [] }, value, level: 1, open: true, pick, isRoot: true }));
  }
  top.querySelector("[role=treeitem]")?.setAttribute("tabindex", "0");
  top.addEventListener("keydown", (event) => steer(top, event));
  return top;
}

function item({ name, place, value, level, open = false, pick, isRoot = false }) {
  const inside = members(place, value);
  const twisty = make("span", { class: "tree-twisty", "aria-hidden": "true" });
  const shown = make("span", { class: "tree-value" }, summary(value));
  const line = make("span", { class: "tree-line" }, twisty, make("span", { class: "tree-name" }, name), " ", shown);
  const node = make("li", {
    role: "treeitem", tabindex: "-1", "aria-level": level, "aria-expanded": inside ? String(open) : null,
    class: isRoot ? "tree-root" : "tree-item",
  });
  node.append(line);
  // A branch that nobody looks into costs nothing.
  const fill = () => {
    if (!inside || node.querySelector(":scope > ul")) return;
    const group = make("ul", { role: "group" });
    for (const member of inside.slice(0, SHOWN)) group.append(item({ ...member, level: level + 1, pick, open: level < 2 }));
    if (inside.length > SHOWN) group.append(make("li", { role: "none", class: "hint" }, `and ${inside.length - SHOWN} more`));
    node.append(group);
  };
  node.openBranch = (wanted) => {
    if (!inside) return;
    fill();
    node.setAttribute("aria-expanded", String(wanted));
  };
  if (open) fill();
  const turn = () => node.openBranch(node.getAttribute("aria-expanded") !== "true");
  node.pickIt = () => (isRoot ? turn() : pick(place, value));
  line.addEventListener("click", (event) => {
    focusOn(node);
    if (inside && event.target === twisty) turn();
    else node.pickIt();
  });
  return node;
}

/// What can be looked into: null where nothing can.
function members(place, value) {
  const at = (segment) => ({ root: place.root, segments: [...place.segments, segment] });
  if (Array.isArray(value)) {
    const each = value.length > 0 ? [{ name: "each", place: at(EACH), value: value[0] }] : [];
    return [...each, ...value.map((one, index) => ({ name: `[${index}]`, place: at(INDEX(index)), value: one }))];
  }
  if (!isObject(value)) return null;
  return Object.entries(value).map(([key, one]) => ({ name: key, place: at(KEY(key)), value: one }));
}

function summary(value) {
  if (Array.isArray(value)) return value.length === 1 ? "1 element" : `${value.length} elements`;
  if (isObject(value)) return "";
  const text = write(value, 0) ?? "";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function focusOn(node) {
  node.closest("[role=tree]").querySelectorAll("[tabindex='0']").forEach((other) => other.setAttribute("tabindex", "-1"));
  node.setAttribute("tabindex", "0");
  node.focus();
}

const visible = (top) =>
  [...top.querySelectorAll("[role=treeitem]")].filter((node) => !node.parentElement.closest("[aria-expanded=false]"));

function steer(top, event) {
  const node = event.target.closest("[role=treeitem]");
  if (!node || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = visible(top);
  const at = all.indexOf(node);
  const state = node.getAttribute("aria-expanded");
  const go = (other) => other && focusOn(other);
  const keys = {
    ArrowDown: () => go(all[at + 1]),
    ArrowUp: () => go(all[at - 1]),
    Home: () => go(all[0]),
    End: () => go(all[all.length - 1]),
    ArrowRight: () => (state === "false" ? node.openBranch(true) : state === "true" && go(all[at + 1])),
    ArrowLeft: () => (state === "true" ? node.openBranch(false) : go(node.parentElement.closest("[role=treeitem]"))),
    Enter: () => node.pickIt(),
    " ": () => node.pickIt(),
  };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
}

/// The place as `field-mapper` writes it.
export function mapperPath({ root, segments }) {
  const start = { document: "", headers: "$headers", query: "$query", event: "$event" }[root];
  return segments.reduce((path, segment) => path + mapperSegment(segment, path === ""), start);
}

function mapperSegment({ key, index, each }, first) {
  if (each) return "[]";
  if (index !== undefined) return `[${index}]`;
  const plain = key !== "" && !/[.[\]"]/.test(key) && !(first && key.startsWith("$"));
  return plain ? (first ? key : `.${key}`) : `[${JSON.stringify(key)}]`;
}

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/// As JavaScript writes it; `start` names what the root is there.
export function scriptPath({ segments }, start) {
  const step = ({ key, index, each }) => {
    if (each) return "[0]";
    if (index !== undefined) return `[${index}]`;
    return IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  };
  return start + segments.map(step).join("");
}

/// As jq writes it.
export function jqPath({ segments }, start) {
  const step = ({ key, index, each }) => {
    if (each) return "[]";
    if (index !== undefined) return `[${index}]`;
    return /^[A-Za-z_]\w*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
  };
  const path = start + segments.map(step).join("");
  return path.startsWith("[") ? `.${path}` : path;
}

/// The name that a value would have elsewhere: the last key on its way.
export function lastName({ segments }) {
  const named = segments.filter((segment) => segment.key !== undefined);
  return named.length > 0 ? named[named.length - 1].key : "value";
}
