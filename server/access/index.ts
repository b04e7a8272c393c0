export { createAuthenticate } from './authenticate.ts';
export { type Credential, holding } from './holding.ts';
export { adoptPlatformKey, allScopes, createKey, listKeys, revokeKey } from './keys.ts';
export { accessRoutes } from './routes.ts';
