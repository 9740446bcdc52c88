// A plugin to copy: makes orders of a shop's webhooks, keeps the large ones and
// greets who ordered. What each function is given and gives back is in `wit/`.
//
//     npm install
//     npm run build
//     hookyard plugin test plugin.wasm tests/*.json
//
// A refusal is thrown: `{ code, message }`. Anything else that is thrown is the
// plugin's fault. The engine is QuickJS: the language is all there, and what
// browsers and Node add to it (TextDecoder, URL, fetch) is not.

import log from "hookyard:plugin/log@0.1.0";

const SCHEMA = {
  type: "object",
  properties: {
    greeting: { type: "string", minLength: 1, description: "What stands before the name." },
    min_total: { type: "integer", minimum: 0, description: "Orders below this are dropped." },
  },
  required: ["greeting"],
  additionalProperties: false,
};

export const settings = {
  describe() {
    return {
      name: "order-greeter",
      version: "1.0.0",
      summary: "Greets who ordered something.",
      configSchema: JSON.stringify(SCHEMA),
      capabilities: [],
      examples: examples(),
    };
  },

  check(config) {
    const { greeting, min_total = 0 } = JSON.parse(config);
    const issues = [];
    if (typeof greeting !== "string" || greeting === "") {
      issues.push({ path: "greeting", message: "must be text that is not empty" });
    }
    if (!Number.isInteger(min_total) || min_total < 0) {
      issues.push({ path: "min_total", message: "must not be negative" });
    }
    if (issues.length > 0) throw issues;
  },
};

export const mapper = {
  map(request, _config) {
    // Understood, and no event: none is made, and nothing is refused.
    if (request.query.some(({ name }) => name === "test")) return [];
    const body = textOf(request.body);
    const { order } = read("body", body);
    const shop = request.headers.find(({ name }) => name === "x-shop");
    return [{
      type: "order.placed",
      occurredAt: null,
      subject: `order:${order}`,
      account: shop ? shop.value : null,
      tags: [],
      data: body,
    }];
  },
};

export const filter = {
  keep(event, config) {
    const { order, total } = read("data", event.data);
    const { min_total = 0 } = JSON.parse(config);
    return total < min_total
      ? { tag: "drop", val: `order ${order}: a total of ${total} is below ${min_total}` }
      : { tag: "keep" };
  },
};

export const transformer = {
  transform(event, message, config) {
    const { order, total, customer } = read("data", event.data);
    const { greeting } = JSON.parse(config);
    log.write("info", `greeting for order ${order}`);
    const text = `${greeting}, ${customer.name}! Order ${order} came to ${total}.`;
    const body = JSON.stringify({ text, shop: event.account, at: event.occurredAt });
    const others = message.headers.filter(({ name }) => name !== "x-order");
    return {
      method: message.method,
      target: `orders/${order}`,
      headers: [...others, { name: "x-order", value: String(order) }],
      body: bytesOf(body),
    };
  },
};

// The order that JSON text holds; anything else is refused.
function read(what, text) {
  try {
    const order = JSON.parse(text);
    const whole = Number.isInteger(order.order) && Number.isInteger(order.total);
    if (whole && typeof order.customer.name === "string") return order;
  } catch {
    // No JSON, or no object: refused below, like any other that is no order.
  }
  const message = `${what}: an order has whole numbers \`order\` and \`total\`, and a text \`customer.name\``;
  throw { code: "bad-input", message };
}

// Bytes as UTF-8 text; empty, which is no JSON, when they are none.
function textOf(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  try {
    return decodeURIComponent(escape(binary));
  } catch {
    return "";
  }
}

function bytesOf(text) {
  const binary = unescape(encodeURIComponent(text));
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}

// Run by the host when the plugin is uploaded, and shown to whoever uses it.
function examples() {
  const config = { greeting: "Hello", min_total: 10 };
  const order = { order: 7, total: 25, customer: { name: "Jane" } };
  const at = "2026-11-21T08:30:00.000Z";
  const placed = { type: "order.placed", account: "shop-1", occurred_at: at, data: order };
  const small = { type: "order.placed", data: { order: 8, total: 5, customer: { name: "Joe" } } };
  const example = (name, job, input, output) => ({
    name,
    job,
    config: JSON.stringify(config),
    input: JSON.stringify(input),
    output: JSON.stringify(output),
  });
  return [
    example(
      "An order becomes an event",
      "mapper",
      { request: { headers: [{ name: "x-shop", value: "shop-1" }], body: JSON.stringify(order) } },
      [{ type: "order.placed", subject: "order:7", account: "shop-1", data: order }],
    ),
    example("A small order is dropped", "filter", { event: small }, { drop: "order 8: a total of 5 is below 10" }),
    example(
      "Who ordered is greeted",
      "transformer",
      { event: placed, message: { body: "{}" } },
      {
        method: "POST",
        target: "orders/7",
        headers: [{ name: "x-order", value: "7" }],
        body: JSON.stringify({ text: "Hello, Jane! Order 7 came to 25.", shop: "shop-1", at }),
      },
    ),
  ];
}
