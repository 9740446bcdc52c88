// Other people's OpenID provider: `node provider.mjs ROOT`, where ROOT has
// node_modules.
//
// Listens on loopback and prints its port. Is then told for whom it is, in one line
// of JSON, and prints "ready": {"client_id", "client_secret", "redirect_uri", "alg",
// "in_token"}. Ends with its standard input.
//
// Whoever signs in as `jane@example.com`, with any password, has that address;
// `unverified:jane@example.com` has it without a proof, `nameless` has none.
// `in_token` puts it into the ID token, where it otherwise has to be asked for at
// the userinfo endpoint.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

// What it says about how it is set up, which is for a test.
console.info = console.warn = () => {};

const { default: Provider } = await import(`${process.argv[2]}/node_modules/oidc-provider/lib/index.js`);

const KINDS = {
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  EdDSA: ["ed25519", {}],
};

// One for each, so that it has to be found.
function keys() {
  return Object.entries(KINDS).map(([alg, [kind, options]]) => {
    const { privateKey } = generateKeyPairSync(kind, options);
    return { ...privateKey.export({ format: "jwk" }), kid: `for ${alg}`, use: "sig", alg };
  });
}

function account(id) {
  const email = id.split(":").at(-1);
  const address = id === "nameless" ? {} : { email, email_verified: !id.startsWith("unverified:") };
  return { accountId: id, claims: () => ({ sub: id, ...address }) };
}

let answer = (_, response) => response.writeHead(503).end();
const server = createServer((request, response) => {
  if (request.url === "/favicon.ico") response.writeHead(204).end();
  else answer(request, response);
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));

for await (const line of createInterface({ input: process.stdin })) {
  const { client_id, client_secret, redirect_uri, alg, in_token } = JSON.parse(line);
  const client = { client_id, client_secret, redirect_uris: [redirect_uri], id_token_signed_response_alg: alg };
  const provider = new Provider(`http://localhost:${server.address().port}`, {
    clients: [client],
    jwks: { keys: keys() },
    cookies: { keys: ["only for tests"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"] },
    conformIdTokenClaims: !in_token,
    findAccount: (_, id) => account(id),
    pkce: { methods: ["S256"], required: () => true },
  });
  // Its pages fetch their letters from elsewhere, and tests have no network.
  provider.use(async (context, next) => {
    await next();
    if (typeof context.body === "string") context.body = context.body.replace(/@import url\(.*?\);/, "");
  });
  answer = provider.callback();
  console.log("ready");
}
process.exit();
