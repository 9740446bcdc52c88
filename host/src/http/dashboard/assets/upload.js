// A component goes to the API as the bytes that it is, and is not held in between.

import { call, make, sentence } from "./kit.js";

for (const form of document.querySelectorAll("form[data-upload]")) {
  form.hidden = false;
  const answer = form.querySelector("[data-answer]");
  const file = form.querySelector("input[type=file]");
  const name = form.querySelector("input[name=name]");
  file.addEventListener("change", () => {
    const said = file.files[0]?.name.replace(/\.wasm$/i, "").toLowerCase().replace(/[^a-z0-9-]+/g, "-").replace(/^[^a-z]+/, "");
    if (said && !name.value) name.value = said.slice(0, 64);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const send = form.querySelector("button");
    send.disabled = true;
    answer.replaceChildren(make("p", {}, "Checking, compiling, and running its examples…"));
    const { ok, body } = await call(`POST /v1/plugins?name=${encodeURIComponent(name.value)}`, file.files[0]);
    send.disabled = false;
    if (ok) location.assign(`/plugins/${encodeURIComponent(body.name)}`);
    else answer.replaceChildren(make("p", { class: "problem" }, sentence(body?.detail ?? "It was not accepted.")));
  });
}
