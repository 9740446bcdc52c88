// What makes pages nicer; every one of them works without it.
"use strict";
(() => {
  const say = (text) => {
    const said = document.getElementById("said");
    if (said) said.textContent = text;
  };

  // A call of the API by whoever is signed in.
  const ask = async (call, body) => {
    const raw = body instanceof Blob || body instanceof ArrayBuffer || typeof body === "string";
    const answer = await fetch("/ask?call=" + encodeURIComponent(call), {
      method: "POST",
      credentials: "same-origin",
      headers: { "content-type": body instanceof Blob ? "application/wasm" : "application/json" },
      body: raw ? body : JSON.stringify(body ?? {}),
    });
    let json = null;
    try { json = await answer.json(); } catch { /* nothing was said */ }
    return { status: answer.status, body: json };
  };

  // Times as they are here; the exact one stays in the title.
  const near = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const far = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
  const localise = (root) => {
    const today = new Date().toDateString();
    for (const time of root.querySelectorAll("time[datetime]")) {
      const at = new Date(time.dateTime);
      if (isNaN(at)) continue;
      time.textContent = (at.toDateString() === today ? near : far).format(at);
    }
  };

  const copyable = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll("[data-copy]")) button.hidden = false;
    for (const text of root.querySelectorAll("pre[data-copied]")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "small";
      button.textContent = "Copy";
      button.setAttribute("aria-label", "Copy " + text.getAttribute("aria-label"));
      button.dataset.copy = text.textContent;
      text.after(button);
    }
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
      say("Copied");
    } catch {
      button.textContent = "Select it and press Ctrl+C";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });

  // A filter is applied as soon as something is chosen.
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-auto]");
    if (form) form.requestSubmit();
  });

  // Lists that are searched where they stand.
  document.addEventListener("input", (event) => {
    const box = event.target.closest("[data-search]");
    if (!box) return;
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const item of document.querySelectorAll(box.dataset.search)) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      if (!item.hidden) shown += 1;
    }
    say(shown + " shown");
  });

  // A choice that shows what belongs to it alone.
  const choose = (select) => {
    for (const part of document.querySelectorAll("[data-when='" + CSS.escape(select.id) + "']")) {
      part.hidden = part.dataset.is !== select.value;
      for (const field of part.querySelectorAll("input, select, textarea")) field.disabled = part.hidden;
    }
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-chooses]")) choose(event.target);
  });

  // What only those need who have no scripts.
  const spare = (root) => {
    for (const part of root.querySelectorAll("[data-scriptless]")) part.hidden = true;
  };

  const prepare = (root) => {
    localise(root);
    copyable(root);
    spare(root);
    for (const select of root.querySelectorAll("select[data-chooses]")) choose(select);
  };

  // Live parts: something changed, so the page is asked for again and its live
  // parts are exchanged, but for one that somebody is in.
  const refresh = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    let changed = 0;
    for (const part of document.querySelectorAll("[data-live][id]")) {
      const other = fresh.getElementById(part.id);
      const busy = part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select");
      if (!other || busy) continue;
      prepare(other);
      if (other.innerHTML === part.innerHTML) continue;
      const open = new Set([...part.querySelectorAll("details[open][id]")].map((one) => one.id));
      for (const one of other.querySelectorAll("details[id]")) if (open.has(one.id)) one.open = true;
      const focused = document.activeElement?.id;
      part.replaceWith(other);
      if (focused) document.getElementById(focused)?.focus();
      changed += 1;
    }
    if (changed) say("The page was updated");
  };

  const follow = (of) => {
    let waiting = false;
    const source = new EventSource("/live?of=" + encodeURIComponent(of) + "&seen=" + (document.body.dataset.liveSeen ?? ""));
    source.addEventListener("changed", async () => {
      if (waiting) return;
      waiting = true;
      try { await refresh(); } finally { waiting = false; }
    });
    document.body.classList.add("is-live");
    addEventListener("pagehide", () => source.close());
  };

  window.hookyard = { ask, say, prepare, refresh };
  prepare(document);

  // On a phone the menu is a strip, which begins where one is.
  const strip = document.querySelector(".side");
  const here = strip?.querySelector("[aria-current]");
  if (here) strip.scrollLeft = here.offsetLeft - (strip.clientWidth - here.offsetWidth) / 2;

  // What was done is said once: not again when the page is loaded again.
  addEventListener("load", () => {
    const done = document.querySelector(".said:target");
    if (!done) return;
    say(done.textContent.trim());
    history.replaceState(history.state, "", location.pathname + location.search);
  });

  // What is led to may not be hidden by a search.
  document.addEventListener("click", (event) => {
    const box = event.target.closest(".side a[href*='#']") && document.querySelector("input[data-search]");
    if (!box?.value) return;
    box.value = "";
    box.dispatchEvent(new Event("input", { bubbles: true }));
  });

  const of = document.body.dataset.liveOf;
  if (of && document.querySelector("[data-live]")) follow(of);
})();
