// Drives oauth4webapi and openid-client through every flow of the server that
// standard input describes. Any surprise throws.
import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';

const config = JSON.parse(await text(process.stdin));
const issuer = new URL(config.issuer);
const insecure = { [oauth.allowInsecureRequests]: true }; // plain HTTP on loopback

const unescape = (s) => s.replace(/&#(\d+);/g, (_, n) => String.fromCharCode(n)).replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&quot;/g, '"').replace(/&amp;/g, '&');

// A browser that logs in and agrees.
class Browser {
  cookies = new Map();

  async fetch(url, form) {
    const r = await fetch(url, {
      method: form ? 'POST' : 'GET',
      body: form,
      redirect: 'manual',
      headers: { cookie: [...this.cookies].map(([k, v]) => `${k}=${v}`).join('; '), accept: 'text/html' },
    });
    for (const c of r.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(c);
      this.cookies.set(name, value);
    }
    return r;
  }

  async login() {
    const form = new URLSearchParams({ username: config.user, password: config.password });
    assert.equal((await this.fetch(new URL('/api/login/', issuer), form)).status, 302);
  }

  async authorize(url) {
    assert.match((await this.fetch(url)).headers.get('location'), /^\/api\/login\/\?next=/);
    await this.login();
    const page = await this.fetch(url);
    assert.equal(page.status, 200);
    const form = new URLSearchParams({ allow: 'Authorize' });
    for (const [, name, value] of (await page.text()).matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)) {
      form.append(unescape(name), unescape(value));
    }
    const answer = await this.fetch(new URL('/api/o/authorize/', issuer), form);
    assert.equal(answer.status, 302);
    return new URL(answer.headers.get('location'));
  }

  async connect(userCode) {
    await this.login();
    for (const form of [{ user_code: userCode }, { user_code: userCode, allow: 'Authorize' }]) {
      assert.equal((await this.fetch(new URL('/api/o/device/', issuer), new URLSearchParams(form))).status, 200);
    }
  }
}

const me = new URL('/api/v2/me/', issuer);

async function withOauth4webapi() {
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...insecure }));
  assert.deepEqual(as.code_challenge_methods_supported, ['S256']);
  assert.equal(as.authorization_response_iss_parameter_supported, true);
  const resource = new URL('/api', issuer);
  const rs = await oauth.processResourceDiscoveryResponse(resource, await oauth.resourceDiscoveryRequest(resource, insecure));
  assert.deepEqual(rs.authorization_servers, [config.issuer]);

  for (const [name, id, auth, redirect] of [
    ['public', config.public.id, oauth.None(), config.publicRedirect],
    ['client_secret_basic', config.confidential.id, oauth.ClientSecretBasic(config.confidential.secret), config.confidentialRedirect],
    ['client_secret_post', config.confidential.id, oauth.ClientSecretPost(config.confidential.secret), config.confidentialRedirect],
  ]) {
    const client = { client_id: id };
    const verifier = oauth.generateRandomCodeVerifier();
    const state = oauth.generateRandomState();
    const url = new URL(as.authorization_endpoint);
    url.search = new URLSearchParams({
      client_id: id, redirect_uri: redirect, response_type: 'code', scope: 'read write', state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', resource: resource.href,
    });
    const params = oauth.validateAuthResponse(as, client, await new Browser().authorize(url), state);
    const exchange = () => oauth.authorizationCodeGrantRequest(as, client, auth, params, redirect, verifier, insecure);
    const response = await exchange();
    assert.equal(response.headers.get('cache-control'), 'no-store');
    const tokens = await oauth.processAuthorizationCodeResponse(as, client, response);
    assert.equal(tokens.scope, 'read write');
    assert.equal((await oauth.protectedResourceRequest(tokens.access_token, 'GET', me, undefined, undefined, insecure)).status, 200);

    const refresh = (token) => oauth.refreshTokenGrantRequest(as, client, auth, token, { additionalParameters: { scope: 'read' }, ...insecure });
    const fresh = await oauth.processRefreshTokenResponse(as, client, await refresh(tokens.refresh_token));
    assert.notEqual(fresh.refresh_token, tokens.refresh_token);
    assert.equal(fresh.scope, 'read');
    await assert.rejects(oauth.protectedResourceRequest(tokens.access_token, 'GET', me, undefined, undefined, insecure), (e) => e.cause[0].parameters.error === 'invalid_token');
    await assert.rejects(oauth.protectedResourceRequest(fresh.access_token, 'POST', new URL('/api/v2/tokens/', issuer), undefined, undefined, insecure), (e) => e.cause[0].parameters.error === 'insufficient_scope');

    if (name !== 'public') {
      const introspect = async (token) => oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(as, client, auth, token, insecure));
      const seen = await introspect(fresh.access_token);
      assert.equal(seen.active, true);
      assert.equal(seen.username, config.user);
      assert.deepEqual(await introspect('nonsense'), { active: false });
      await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, fresh.access_token, insecure));
      assert.deepEqual(await introspect(fresh.access_token), { active: false });
    } else {
      await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, fresh.refresh_token, insecure));
    }
    await assert.rejects(refresh(fresh.refresh_token).then((r) => oauth.processRefreshTokenResponse(as, client, r)), { error: 'invalid_grant' });
    await assert.rejects(exchange().then((r) => oauth.processAuthorizationCodeResponse(as, client, r)), { error: 'invalid_grant' });
    console.log('oauth4webapi', name, 'ok');
  }

  const machine = { client_id: config.machine.id };
  const grant = async (secret) => oauth.processClientCredentialsResponse(as, machine,
    await oauth.clientCredentialsGrantRequest(as, machine, oauth.ClientSecretBasic(secret), { scope: 'read' }, insecure));
  assert.equal((await grant(config.machine.secret)).refresh_token, undefined);
  await assert.rejects(grant('wrong'), (e) => e.cause?.[0]?.scheme === 'basic' || e.error === 'invalid_client');
  console.log('oauth4webapi client_credentials ok');

  const client = { client_id: config.device.id };
  const d = await oauth.processDeviceAuthorizationResponse(as, client, await oauth.deviceAuthorizationRequest(as, client, oauth.None(), { scope: 'read' }, insecure));
  const poll = async () => oauth.processDeviceCodeResponse(as, client, await oauth.deviceCodeGrantRequest(as, client, oauth.None(), d.device_code, insecure));
  await assert.rejects(poll(), { error: 'authorization_pending' });
  await assert.rejects(poll(), { error: 'slow_down' });
  await new Browser().connect(d.user_code);
  assert.equal((await poll()).scope, 'read');
  await assert.rejects(poll(), { error: 'invalid_grant' });
  console.log('oauth4webapi device ok');
}

async function withOpenidClient() {
  const discover = (id, secret, auth) => openid.discovery(issuer, id, secret, auth, { algorithm: 'oauth2', execute: [openid.allowInsecureRequests] });
  for (const [name, c, redirect] of [
    ['public', await discover(config.public.id, undefined, openid.None()), config.publicRedirect],
    ['basic', await discover(config.confidential.id, config.confidential.secret, openid.ClientSecretBasic(config.confidential.secret)), config.confidentialRedirect],
  ]) {
    const pkceCodeVerifier = openid.randomPKCECodeVerifier();
    const expectedState = openid.randomState();
    const url = openid.buildAuthorizationUrl(c, {
      redirect_uri: redirect, scope: 'write', state: expectedState,
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
    });
    const tokens = await openid.authorizationCodeGrant(c, await new Browser().authorize(url), { pkceCodeVerifier, expectedState });
    assert.equal((await openid.fetchProtectedResource(c, tokens.access_token, me, 'GET')).status, 200);
    const fresh = await openid.refreshTokenGrant(c, tokens.refresh_token);
    if (name !== 'public') {
      assert.equal((await openid.tokenIntrospection(c, fresh.access_token)).active, true);
    }
    await openid.tokenRevocation(c, fresh.refresh_token);
    await assert.rejects(openid.refreshTokenGrant(c, fresh.refresh_token), { error: 'invalid_grant' });
    console.log('openid-client', name, 'ok');
  }

  const machine = await discover(config.machine.id, config.machine.secret, openid.ClientSecretPost(config.machine.secret));
  assert.ok((await openid.clientCredentialsGrant(machine, { scope: 'read' })).expires_in > 0);
  console.log('openid-client client_credentials ok');

  const device = await discover(config.device.id, undefined, openid.None());
  const d = await openid.initiateDeviceAuthorization(device, { scope: 'read' });
  const [tokens] = await Promise.all([openid.pollDeviceAuthorizationGrant(device, d), new Browser().connect(d.user_code)]);
  assert.equal(tokens.scope, 'read');
  console.log('openid-client device ok');
}

await withOauth4webapi();
await withOpenidClient();
console.log('all done');
