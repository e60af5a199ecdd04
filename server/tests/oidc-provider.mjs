// A real OpenID Connect provider for the tests: any name signs in, groups follow from the name. Prints "ready".
// PORT, REDIRECT and MODULES (where npm put oidc-provider) come by the environment.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(`${process.env.MODULES}/package.json`);
const module = await import(pathToFileURL(require.resolve('oidc-provider')).href);
const Provider = module.Provider ?? module.default;

const issuer = `http://127.0.0.1:${process.env.PORT}`;
const groups = { anna: ['everybody', 'shop-team'], bert: ['everybody'], admin: ['everybody'], mallory: ['strangers'] };
let moved = false;
let left = false;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'lockstep', client_secret: 'a-secret-of-the-tests:/+%', grant_types: ['authorization_code'],
    response_types: ['code'], redirect_uris: [process.env.REDIRECT], token_endpoint_auth_method: 'client_secret_basic',
  }],
  scopes: ['openid', 'profile', 'groups'],
  claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  cookies: { keys: ['of-the-tests'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, preferred_username: id.split('#')[0],
      groups: left ? [] : moved ? ['everybody'] : (groups[id.split('#')[0]] ?? []),
    }),
  }),
});

const server = provider.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'));
// Somebody is taken out of all teams.
process.on('SIGUSR2', () => { moved = true; console.log('moved'); });
// And of everything.
process.on('SIGHUP', () => { left = true; console.log('left'); });
process.on('SIGTERM', () => server.close(() => process.exit(0)));
