// How a receiver of each platform checks a request: the recipe on the platform's
// own page, written anew, with nothing but Node.
//
// One JSON object on standard input, one on standard output:
//   {"platform", "secret", "headers", "body"}  ->  {"valid"}
//   {"do": "stringify", "body"}                ->  {"text"}

import { createHmac, timingSafeEqual } from "node:crypto";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const hexHmac = (secret, data) => createHmac("sha256", secret).update(data).digest("hex");

// What `express.json()` and then `JSON.stringify(req.body)` leave of a body.
const rewritten = (body) => JSON.stringify(JSON.parse(body));

// Throws where the signature's length differs, as the pages' recipes do.
const sameBytes = (ours, theirs) => timingSafeEqual(Buffer.from(ours), Buffer.from(theirs));

// The name of each is the platform; its receiver gets headers in lower case.
const recipes = {
  dmhub: (secret, headers, body) => sameBytes(hexHmac(secret, body), headers["x-dmhub-signature"]),
  dmtolead: (secret, headers, body) => sameBytes(hexHmac(secret, body), headers["x-dmtolead-signature"]),
  docssmith: (secret, headers, body) => hexHmac(secret, body) === headers["x-docssmith-demo2-signature"],
  connectgain: (secret, headers, body) => hexHmac(secret, rewritten(body)) === headers["x-webhook-signature"],
  "connectgain-python-style": (secret, headers, body) =>
    sameBytes(hexHmac(secret, body), headers["x-webhook-signature"]),
};

// A platform's check: (secret, headers, body) -> whether its receiver would take
// the request. What the recipe throws is a "no".
export function recipeOf(platform) {
  const recipe = recipes[platform];
  if (!recipe) throw new Error(`${platform} is none of ${Object.keys(recipes).join(", ")}`);
  return (secret, headers, body) => {
    if (typeof secret !== "string") throw new Error("a secret is missing");
    try {
      return recipe(secret, headers, body);
    } catch {
      return false;
    }
  };
}

function answer({ do: operation, platform, secret, headers, body }) {
  if (operation === "stringify") return { text: rewritten(body) };
  return { valid: recipeOf(platform)(secret, headers, body) };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.log(JSON.stringify(answer(JSON.parse(await text(process.stdin)))));
}
