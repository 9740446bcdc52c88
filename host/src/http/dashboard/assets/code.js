// A text area with line numbers and a mark where a mistake is. The tab key stays
// what it is elsewhere: it leads out.

import { button, fresh, make, sentence } from "./kit.js";

/// `marked` mistakes have a line, and a column where it is known.
export function codeEditor({ label, hint, text, rows = 14, changed }) {
  const area = make("textarea", { class: "code-text", spellcheck: "false", autocapitalize: "off", autocomplete: "off", wrap: "off", rows, id: fresh() });
  area.value = text;
  const numbers = make("pre", { class: "code-numbers", "aria-hidden": "true" });
  const behind = make("pre", { class: "code-behind", "aria-hidden": "true" });
  const problem = make("p", { class: "problem", role: "status", id: fresh() });
  const note = hint ? make("p", { class: "hint", id: fresh() }, sentence(hint)) : null;
  area.setAttribute("aria-describedby", note ? `${note.id} ${problem.id}` : problem.id);
  let mistake = null;

  const count = () => area.value.split("\n").length;
  const paint = () => {
    const lines = Array.from({ length: count() }, (_, at) => at + 1);
    numbers.replaceChildren(...lines.map((line) => make("span", { class: line === mistake?.line ? "is-wrong" : null }, `${line}\n`)));
    behind.replaceChildren();
    if (mistake) {
      const [start, end] = span(area.value, mistake);
      behind.append(area.value.slice(0, start), make("mark", {}, area.value.slice(start, end) || " "), area.value.slice(end));
    }
    scroll();
  };
  const scroll = () => {
    numbers.scrollTop = behind.scrollTop = area.scrollTop;
    behind.scrollLeft = area.scrollLeft;
  };
  area.addEventListener("scroll", scroll);
  area.addEventListener("input", () => {
    mistake = null;
    paint();
    changed(area.value);
  });
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
    const before = area.value.slice(0, area.selectionStart);
    const indent = /[^\n]*$/.exec(before)[0].match(/^\s*/)[0];
    if (indent === "") return;
    event.preventDefault();
    insert(`\n${indent}`);
  });
  const insert = (words) => {
    area.setRangeText(words, area.selectionStart, area.selectionEnd, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
    area.focus();
  };

  const mark = (message) => {
    mistake = message ? placeIn(message) : null;
    problem.replaceChildren();
    if (message) problem.append(...sentence(mistake ? message.replace(/ at line \d+ column \d+$/, "") : message));
    if (mistake) {
      const [start, end] = span(area.value, mistake);
      const go = () => {
        area.focus();
        area.setSelectionRange(start, end);
      };
      problem.append(" ", button(`Go to line ${mistake.line}`, go, { class: "quiet" }));
    }
    area[message ? "setAttribute" : "removeAttribute"]("aria-invalid", "true");
    paint();
  };
  paint();
  const frame = make("div", { class: "code-frame" }, numbers, make("div", { class: "code-pane" }, behind, area));
  const element = make("div", { class: "field" }, make("label", { for: area.id }, label), frame, problem, note);
  return { element, insert, mark, text: () => area.value, area };
}

/// Where a message says that it is about: `source:3:14: ...`, `line 2: ...`,
/// `column 6: ...`. What stands behind `at` is a place in what was made, or in the
/// configuration's JSON.
export function placeIn(message) {
  const both = /(?:source|program):(\d+):(\d+)/.exec(message);
  if (both) return { line: Number(both[1]), column: Number(both[2]) };
  const line = /\bline (\d+): /.exec(message);
  if (line) return { line: Number(line[1]), column: null };
  const column = /\bcolumn (\d+): /.exec(message);
  return column ? { line: 1, column: Number(column[1]) } : null;
}

/// The word at a place, or the whole line where no column is known.
function span(text, { line, column }) {
  const lines = text.split("\n");
  const at = Math.min(line, lines.length) - 1;
  const start = lines.slice(0, at).reduce((sum, one) => sum + one.length + 1, 0);
  if (column === null) return [start, start + lines[at].length];
  const from = Math.min(column - 1, lines[at].length);
  const word = /^(\w+|\S)?/.exec(lines[at].slice(from))[0].length;
  return [start + from, start + from + word];
}
