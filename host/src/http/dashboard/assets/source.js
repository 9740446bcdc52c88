// A source's page: a sample sent to its own URL, and the fields of a way to prove
// oneself that are of use with it.

import { make, pretty, sentence } from "./kit.js";

for (const form of document.querySelectorAll("form[data-sample]")) {
  const answer = form.querySelector("[data-answer]");
  const send = form.querySelector("button[data-send]");
  send.hidden = false;
  const whole = async (event) => {
    event.preventDefault();
    send.disabled = true;
    try {
      // The address may be another's, as the world sees it; this page's own
      // server is the one that has the source.
      const path = new URL(form.dataset.sample, location.href).pathname;
      const sent = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: form.querySelector("textarea").value, credentials: "omit" });
      const text = await sent.text();
      const lead = make("p", { class: sent.ok ? "outcome is-good" : "outcome is-bad" }, ...told(sent.status, text));
      answer.replaceChildren(lead, ...(sent.ok ? [] : [make("pre", { tabindex: "0" }, pretty(text))]));
    } catch {
      answer.replaceChildren(make("p", { class: "outcome is-bad" }, "The server cannot be reached."));
    }
    send.disabled = false;
  };
  form.addEventListener("submit", whole);
}

function told(status, text) {
  let body = {};
  try {
    body = JSON.parse(text);
  } catch {
    // Shown as it is.
  }
  if (status === 202 && body.event_ids?.length > 0) {
    const links = body.event_ids.flatMap((id, at) => [at > 0 ? ", " : "", make("a", { href: `/events/${encodeURIComponent(id)}` }, id)]);
    const onward = body.event_ids.length === 1 ? `/deliveries?event=${encodeURIComponent(body.event_ids[0])}` : "/deliveries";
    return ["It was taken and became ", ...links, ". ", make("a", { href: onward }, "See where it went"), "."];
  }
  if (status === 202) return ["It was taken, and no event was made of it: ", make("a", { href: `/requests/${encodeURIComponent(body.request_id)}` }, "see why"), "."];
  if (status === 401) return ["It was refused, because a sample does not prove who sent it. That is what strangers get: it is kept below as refused."];
  return sentence(`It was answered ${status}: ${body.detail ?? ""}`);
}

for (const form of document.querySelectorAll("form[data-verification]")) {
  const scheme = form.querySelector("[name='verification.scheme']");
  const fields = [...form.querySelectorAll("[data-for]")];
  const follow = () => {
    const chosen = scheme.selectedOptions[0];
    for (const field of fields) {
      const wanted = field.dataset.for.split(" ");
      const is = wanted.includes(scheme.value) || (wanted.includes("senders") && chosen.dataset.sender === "yes") || (wanted.includes("tokens") && chosen.dataset.token === "yes");
      field.hidden = !is;
      // What is hidden is not sent.
      field.querySelectorAll("input, select, textarea").forEach((one) => { one.disabled = !is; });
    }
    const about = form.querySelector("p[data-about]");
    if (about) about.replaceChildren(...sentence(chosen.dataset.about ?? ""));
  };
  scheme.addEventListener("change", follow);
  follow();
}
