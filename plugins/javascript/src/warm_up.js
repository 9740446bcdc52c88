(function () {
  "use strict";
  class Kind {
    constructor(name) {
      this.name = name;
    }
  }
  const given = JSON.parse('{"id":7,"name":"Jane","paid":true,"items":[{"sku":"a","price":1.5,"quantity":2}]}');
  const { id, name, ...rest } = given;
  const made = { id, name: `${name} `.trim().toUpperCase(), total: 0, skus: [], kind: new Kind("x") };
  for (const item of rest.items) {
    made.total += item.price * item.quantity;
    made.skus.push(item.sku.replace(/a/g, "b"));
  }
  for (const [key, value] of Object.entries(given)) {
    switch (key) {
      case "id":
        made[key] = value ?? null;
        break;
      default:
        made.last = typeof value;
    }
  }
  made.large = rest.items.filter((item) => item.price > 1 && item.sku !== "").map((item) => item.sku).join(",");
  made.sum = rest.items.reduce((sum, item) => sum + item.quantity, 0);
  made.has = name.includes("a") || name.startsWith("J") ? name.split("a").length : Math.round(Number("1.5"));
  made.found = new Map([["a", 1]]).get("a");
  let n = 0;
  while (n < 3 && !made.absent?.there) n++;
  try {
    throw new TypeError("x");
  } catch (error) {
    made.error = error.message;
  }
  return made;
})();
