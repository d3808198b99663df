// A certified provider on loopback. Its argument is a JSON object: users (a file), client, redirect_uri, signed_out_uri, backchannel_uri.
// and if wanted port, and algorithms, each with a client of its own (`stardust-RS256`). It prints its port. The file of users is read at each sign-in, so a test can move a user to another group.
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import Provider from "oidc-provider";

const settings = JSON.parse(process.argv[2]);
const server = http.createServer();
server.listen(settings.port ?? 0, "127.0.0.1", () => {
  const { port } = server.address();
  const algorithms = settings.algorithms ?? [];
  const key = (kind, options, more) => ({ ...generateKeyPairSync(kind, options).privateKey.export({ format: "jwk" }), use: "sig", ...more });
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    clients: ["ES256", ...algorithms].map((algorithm, at) => ({
      client_id: at ? `${settings.client}-${algorithm}` : settings.client,
      client_secret: settings.secret,
      redirect_uris: [settings.redirect_uri],
      post_logout_redirect_uris: [settings.signed_out_uri],
      backchannel_logout_uri: settings.backchannel_uri,
      backchannel_logout_session_required: true,
      id_token_signed_response_alg: algorithm,
    })),
    jwks: {
      keys: [
        key("ec", { namedCurve: "P-256" }, { kid: "test", alg: "ES256" }),
        ...(algorithms.length ? [key("rsa", { modulusLength: 2048 }, { kid: "rsa" }), key("ed25519", {}, { kid: "ed" })] : []),
      ],
    },
    enabledJWA: { idTokenSigningAlgValues: ["ES256", "RS256", "PS256", "EdDSA"] },
    cookies: { keys: ["a key of the test"] },
    conformIdTokenClaims: false,
    claims: { openid: ["sub"], profile: ["preferred_username"], email: ["email", "email_verified"], groups: ["groups"] },
    scopes: ["openid", "profile", "email", "groups"],
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(ctx, form) {
          ctx.body = `<!doctype html><title>Sign out</title>${form}<button form="op.logoutForm" name="logout" value="yes">Sign out</button>`;
        },
        postLogoutSuccessSource(ctx) {
          ctx.body = "<!doctype html><title>Signed out</title><h1>Signed out at the provider</h1>";
        },
      },
    },
    // the default dispatcher refuses loopback
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount(_ctx, id) {
      const found = JSON.parse(readFileSync(settings.users, "utf8"))[id];
      return found && { accountId: id, claims: () => ({ sub: id, ...found }) };
    },
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope("openid profile email groups");
      await grant.save();
      return grant;
    },
  });
  provider.on("server_error", (_ctx, error) => console.error(error));
  provider.on("backchannel.error", (_ctx, error) => console.error(error));
  const callback = provider.callback();
  server.on("request", async (request, response) => {
    if (!request.url.startsWith("/interaction/")) return callback(request, response);
    if (request.method === "GET") {
      response.setHeader("content-type", "text/html");
      return response.end('<!doctype html><title>Provider</title><form method="post"><label>Account <input name="user"></label><button>Go on</button></form>');
    }
    const parts = [];
    for await (const part of request) parts.push(part);
    const accountId = new URLSearchParams(Buffer.concat(parts).toString()).get("user");
    return provider.interactionFinished(request, response, { login: { accountId } });
  });
  console.log(port);
});
