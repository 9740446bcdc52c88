// A receiver as a platform's page describes it: `node receiver.mjs PLATFORM [SECRET]`.
//
// Listens on loopback and prints its port, then one line of JSON per request:
// {"method", "path", "headers", "body", "valid"}. Without SECRET, as before the
// platform has shown it, `valid` is null and everything is taken. Ends with its
// standard input.

import { createServer } from "node:http";
import { text } from "node:stream/consumers";

import { recipeOf } from "./platforms.mjs";

const [platform, secret] = process.argv.slice(2);
const check = recipeOf(platform);

// DMtoLead's handshake: the token that came goes back, as JSON.
function handshake(body) {
  if (platform !== "dmtolead") return;
  try {
    const { event, verifyToken } = JSON.parse(body);
    if (event === "webhook.verify") return { verifyToken };
  } catch {
    // Not JSON, so not the handshake.
  }
}

const server = createServer(async (request, response) => {
  const { method, url: path, headers } = request;
  const body = await text(request);
  const holds = secret === undefined ? null : check(secret, headers, body);
  console.log(JSON.stringify({ method, path, headers, body, valid: holds }));

  const echo = handshake(body);
  if (method !== "POST") response.writeHead(405).end();
  else if (echo) response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(echo));
  else if (holds === false) response.writeHead(401).end("Invalid signature");
  else response.writeHead(200).end("OK");
});

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.stdin.resume().on("close", () => process.exit());
