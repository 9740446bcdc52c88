// The configuration of `field-mapper` as rows, which `mapper-rows.js` makes: where a
// value comes from, what is done to it, where it goes. A request may become several
// events: a tab for each, those behind the first with a condition.

import { button, fresh, make } from "./kit.js";
import { conditionRow, valueRow } from "./mapper-rows.js";
import { lastName, mapperPath } from "./tree.js";

/// An editor of `config` for a `source` or an `endpoint`; `changed` is called
/// after each change.
export function mapperEditor(config, place, changed) {
  const id = fresh();
  const events = [eventOf(config), ...(config.also ?? []).map(eventOf)];
  let shown = 0;
  const rows = [];
  const tabs = [];
  // What is wrong, as it was told last: of an event that is not shown as well.
  let wrong = [];
  // The input that a pick in the tree goes to.
  let target = null;
  const whole = make("div", { class: "mapper" });
  whole.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-takes=path]")) target = event.target;
  });

  const path = (part) => (shown === 0 ? part : `also[${shown - 1}].${part}`);
  const row = (part, value, options, of = valueRow) => {
    const one = of(value, { path: path(part), changed, ...options });
    rows.push(one);
    return one;
  };

  function draw(focus = null) {
    rows.length = tabs.length = 0;
    const parts = [];
    if (shown > 0) parts.push(theCondition());
    if (place === "source") parts.push(aboutTheEvent());
    parts.push(theRules());
    whole.replaceChildren(...(events.length > 1 ? tabbed(parts) : parts));
    if (place === "source") whole.append(furtherEvents());
    whole.querySelector(focus)?.focus();
  }

  /// The parts of one event behind the tabs of all.
  function tabbed(parts) {
    const panel = make("div", { role: "tabpanel", id: `${id}-panel`, "aria-labelledby": `${id}-${shown}` }, ...parts);
    events.forEach((_event, at) => {
      tabs.push(button(`Event ${at + 1}`, () => show(at), {
        role: "tab", id: `${id}-${at}`, "aria-selected": String(at === shown), "aria-controls": `${id}-panel`,
      }));
    });
    const list = make("div", {
      class: "mapper-tabs", role: "tablist", "aria-label": "Events of one request",
      keydown: (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!step) return;
        event.preventDefault();
        show((shown + step + events.length) % events.length);
      },
    }, ...tabs);
    return [list, panel];
  }

  function show(at) {
    shown = at;
    draw(`#${id}-${at}`);
    tell();
  }

  function theCondition() {
    const event = events[shown];
    const heading = make("h4", {}, "Only when");
    const remove = button("Remove this event", () => {
      events.splice(shown, 1);
      shown -= 1;
      redraw(".mapper-more button");
    }, { class: "quiet" });
    if (event.when === null) {
      const add = () => {
        event.when = { from: "", exists: true };
        redraw(`[data-row="${path("when")}"] input`);
      };
      const hint = make("p", { class: "hint" }, "It is made of every request, beside the first.");
      const unset = make("div", { class: "mapper-field is-unset" }, hint, button("Set a condition", add), remove);
      return make("section", { class: "mapper-part" }, heading, unset);
    }
    const drop = () => {
      event.when = null;
      redraw();
    };
    const one = row("when", event.when, { title: "The condition", remove: drop, set: (value) => { event.when = value; } }, conditionRow);
    return make("section", { class: "mapper-part" }, heading, one.element, remove);
  }

  function aboutTheEvent() {
    const event = events[shown];
    const field = (name, title, hint) => {
      const heading = make("h5", {}, title);
      if (event[name] === null) {
        const add = () => {
          event[name] = { from: "" };
          redraw(`[data-row="${path(name)}"] input`);
        };
        const set = button(`Set the ${title.toLowerCase()}`, add);
        return make("div", { class: "mapper-field is-unset" }, heading, make("p", { class: "hint" }, hint), set);
      }
      const remove = () => {
        event[name] = null;
        redraw();
      };
      const one = row(name, event[name], { title, remove, set: (value) => { event[name] = value; } });
      return make("div", { class: "mapper-field" }, heading, one.element);
    };
    const tags = make("div", { class: "mapper-field" }, make("h5", {}, "Tags"), make("p", { class: "hint" }, "Endpoints and filters select by tags. A value that is a list is as many tags."));
    event.tags.forEach((tag, at) => {
      const remove = () => {
        event.tags.splice(at, 1);
        redraw();
      };
      tags.append(row(`tags[${at}]`, tag, { title: `Tag ${at + 1}`, remove, set: (value) => { event.tags[at] = value; } }).element);
    });
    tags.append(button("Add a tag", () => {
      event.tags.push({ from: "" });
      redraw(`[data-row="${path(`tags[${event.tags.length - 1}]`)}"] input`);
    }));
    return make("section", { class: "mapper-part" }, make("h4", {}, "The event"),
      field("type", "Type", "What happened, such as order.placed. Not set: what the source says, or the body's event or type."),
      field("subject", "Subject", "Whom or what it is about, such as a customer's phone number. Not needed."),
      field("account", "Account", "The managed account that it belongs to. Not needed."), tags);
  }

  function theRules() {
    const { rules } = events[shown];
    const list = make("ol", { class: "mapper-rules" });
    rules.forEach((rule, at) => {
      const remove = () => {
        rules.splice(at, 1);
        redraw();
      };
      const one = row(`rules[${at}]`, rule, { title: `Rule ${at + 1}`, remove, isRule: true, set: (value) => { rules[at] = value; } });
      list.append(make("li", {}, one.element));
    });
    const add = button("Add a rule", () => {
      rules.push({ to: "", from: "" });
      redraw(`[data-row="${path(`rules[${rules.length - 1}]`)}"] [data-takes=path]`);
    });
    const none = make("p", { class: "empty" }, "No rules yet. Pick a field of what comes in, or add a rule: only what rules name goes on.");
    const title = place === "source" ? "Its data" : "The body";
    return make("section", { class: "mapper-part" }, make("h4", {}, title), rules.length === 0 ? none : list, add);
  }

  function furtherEvents() {
    const add = button("Make another event of the same request", () => {
      events.push(eventOf({}));
      shown = events.length - 1;
      redraw(`#${id}-${shown}`);
    });
    return make("p", { class: "mapper-more" }, add);
  }

  function redraw(focus = null) {
    // What was told is by number, and there are others now.
    wrong = [];
    draw(focus);
    changed();
  }

  /// A field was picked in the tree: into the input that was used last, or as a
  /// rule of its own.
  function take(from) {
    const { rules } = events[shown];
    const picked = mapperPath(from);
    if (target?.isConnected) {
      target.value = picked;
      target.dispatchEvent(new Event("input", { bubbles: true }));
      const to = target.closest(".mapper-row").querySelector("[data-takes=target]");
      if (to?.value === "") {
        to.value = targetName(from, rules);
        to.dispatchEvent(new Event("input", { bubbles: true }));
      }
      // The next field is another rule.
      target = null;
      return;
    }
    rules.push({ to: targetName(from, rules), from: picked });
    redraw(`[data-row="${path(`rules[${rules.length - 1}]`)}"] [data-takes=target]`);
  }

  /// Shows each mistake at the row that it is about, or at the tab of its event;
  /// answers those that are at none.
  function tell() {
    rows.forEach((one) => one.mark(""));
    tabs.forEach((tab, at) => { tab.textContent = `Event ${at + 1}`; });
    return wrong.filter(({ path, message }) => {
      const about = rows.find((one) => path === one.path || path.startsWith(`${one.path}.`) || path.startsWith(`${one.path}[`));
      // Where in the JSON it stands is no news to whoever sees the row.
      about?.mark(message.replace(/ at line \d+ column \d+$/, ""));
      if (about) return false;
      const at = placeOf(path);
      if (at === shown || !tabs[at]) return true;
      tabs[at].textContent = `Event ${at + 1}: not right yet`;
      return false;
    });
  }

  draw();
  return {
    element: whole,
    take,
    config: () => {
      const [first, ...also] = events.map(written);
      return also.length > 0 ? { ...first, also } : first;
    },
    mark: (list) => {
      wrong = list;
      return tell();
    },
  };
}

/// One event of a configuration, with all that it can say.
const eventOf = ({ when, type, subject, account, tags, rules }) => ({
  when: when ?? null, type: type ?? null, subject: subject ?? null, account: account ?? null,
  tags: [...(tags ?? [])], rules: [...(rules ?? [])],
});

/// The same as the configuration has it.
function written(event) {
  const made = {};
  if (event.when !== null) made.when = event.when;
  for (const name of ["type", "subject", "account"]) if (event[name] !== null && !isEmpty(event[name])) made[name] = event[name];
  const tags = withoutEmptyEnd(event.tags);
  if (tags.length > 0) made.tags = tags;
  made.rules = withoutEmptyEnd(event.rules);
  return made;
}

/// Which event a path is about; none where it is about the whole.
function placeOf(path) {
  const also = /^also\[(\d+)\]/.exec(path);
  if (also) return Number(also[1]) + 1;
  return /^(rules|tags|type|subject|account)/.test(path) ? 0 : null;
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
