// Uses the tools of the server at an address as a client of the TypeScript SDK:
//
//	node client.mjs v1|v2 ADDRESS CLIENT_ID
//
// A CLIENT_ID that is a URL is that of a metadata document.
//
// It prints a line of JSON for each thing that it does. A line with the member "open" has
// the address that somebody must open in a browser.
import { createServer } from 'node:http';
import { once } from 'node:events';

const [version, address, clientID] = process.argv.slice(2);
const say = (line) => console.log(JSON.stringify(line));

const modern = version === 'v2';
const sdk = modern
  ? await import('@modelcontextprotocol/client')
  : {
      ...(await import('@modelcontextprotocol/sdk/client/index.js')),
      ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
      ...(await import('@modelcontextprotocol/sdk/client/auth.js')),
    };

const callbacks = createServer();
callbacks.listen(0, '127.0.0.1');
await once(callbacks, 'listening');
const redirectUrl = `http://127.0.0.1:${callbacks.address().port}/callback`;
callbacks.on('request', (request, response) => {
  // The browser also asks for an icon, at any time.
  if (request.url.startsWith('/callback?')) callbacks.emit('callback', request, response);
  else response.writeHead(404).end();
});

// What an application keeps.
const document = URL.canParse(clientID) ? clientID : undefined;
const kept = { client: document ? undefined : { client_id: clientID }, state: crypto.randomUUID() };
const provider = {
  redirectUrl,
  clientMetadataUrl: document,
  clientMetadata: {
    client_name: 'Test', redirect_uris: [redirectUrl], token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code', 'refresh_token'],
  },
  state: () => kept.state,
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => {
    kept.tokens = tokens;
    say({ tokens: tokens.scope, refreshable: 'refresh_token' in tokens });
  },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  redirectToAuthorization: (url) => say({ open: String(url) }),
};

// Each request to the tools, with what it was answered.
async function traced(url, init) {
  const response = await fetch(url, init);
  if (String(url) === address && !response.ok && response.status !== 405) {
    say({ status: response.status, challenge: response.headers.get('www-authenticate') });
  }
  return response;
}

let client, transport;
async function connect() {
  client = new sdk.Client({ name: 'test', version: '1' }, modern ? { versionNegotiation: { mode: { pin: '2026-07-28' } } } : {});
  transport = new sdk.StreamableHTTPClientTransport(new URL(address), { authProvider: provider, fetch: traced });
  await client.connect(transport);
}

// Does work again after the browser has come back, if the SDK says that it must.
async function authorized(work) {
  const back = once(callbacks, 'callback');
  try {
    return await work();
  } catch (e) {
    if (!(e instanceof sdk.UnauthorizedError)) throw e;
    const [request, response] = await back;
    response.end('Close this page.');
    const { searchParams } = new URL(request.url, redirectUrl);
    if (searchParams.get('state') !== kept.state) throw new Error('another state');
    await transport.finishAuth(modern ? searchParams : searchParams.get('code'));
    return await work();
  }
}

async function call(name, args) {
  const result = await authorized(() => client.callTool({ name, arguments: args }));
  say({ [name]: result.structuredContent.notes });
}

await authorized(connect);
await call('list_notes', {});
kept.tokens = { ...kept.tokens, access_token: 'expired' };
await call('list_notes', {});
if (!modern) {
  // With a refresh token v1 refreshes where it should ask for more scopes.
  try {
    await client.callTool({ name: 'add_note', arguments: { text: 'from v1' } });
  } catch (e) {
    say({ error: e.code });
  }
  delete kept.tokens.refresh_token;
  await call('list_notes', {});
}
await call('add_note', { text: 'from ' + version });
await client.close();
callbacks.close();
callbacks.closeAllConnections();
