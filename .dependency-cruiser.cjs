/**
 * The import order (ARCHITECTURE.md, Layout), checked by `npm run check:imports`. Upward there are only
 * events: what a lower module wants done above it, it writes down, and the upper one reads.
 *
 * Files are parsed by swc: dependency-cruiser knows TypeScript's own parser up to version 6 only. swc does
 * not tell `import type` from `import`, so every rule here holds for types too.
 */

/** From the lowest; those of one line may import each other, as long as no circle comes of it. */
const layers = [
  ['access', 'businesses', 'channels', 'clients', 'health'],
  ['conversations'],
  ['messages'],
  ['receipts'],
  ['calls', 'identity', 'mail', 'retention', 'simulator', 'twilio'],
  ['realtime'],
  ['webhooks'],
];

/** Folders of `server/` that stand above every module, as its own files (app, worker, omega, main) do. */
const topFolders = ['cli', 'demo'];

const modules = layers.flat();
const anyOf = (names) => `(${names.join('|')})`;
const moduleFile = `^server/${anyOf(modules)}/`;

const upward = layers.slice(0, -1).map((layer, height) => ({
  name: `order-of-modules-${height + 1}`,
  comment: `${layer.join(', ')} stand below ${layers
    .slice(height + 1)
    .flat()
    .join(', ')}.`,
  severity: 'error',
  from: { path: `^server/${anyOf(layer)}/` },
  to: { path: `^server/${anyOf(layers.slice(height + 1).flat())}/` },
}));

module.exports = {
  forbidden: [
    {
      name: 'contract-stands-alone',
      comment: 'The contract is data that a browser can load: it imports itself and typebox, nothing else.',
      severity: 'error',
      from: { path: '^contract/' },
      to: { pathNot: ['^contract/', '^node_modules/typebox/'] },
    },
    {
      name: 'sdk-knows-the-contract-alone',
      comment: 'The SDK is for programs that have no server beside them: it imports itself and the contract.',
      severity: 'error',
      from: { path: '^sdk/' },
      to: { pathNot: ['^sdk/', '^contract/'] },
    },
    {
      name: 'server-stays-within',
      comment:
        'Of our own code the server imports itself and the contract: never sdk, test, bench or scripts.',
      severity: 'error',
      from: { path: '^server/' },
      to: {
        path: '^(?!node_modules/)[^/]+/',
        pathNot: ['^(server|contract)/'],
        dependencyTypesNot: ['core'],
        couldNotResolve: false,
      },
    },
    {
      name: 'core-knows-no-module',
      comment: 'core is what every module stands on: of our own code it imports itself and the contract.',
      severity: 'error',
      from: { path: '^server/core/' },
      to: { path: '^server/', pathNot: ['^server/core/'] },
    },
    {
      name: 'core-folders-have-a-door',
      comment: 'db, http, queue and events are entered by their index.ts, which says what others may call.',
      severity: 'error',
      from: { path: '^(?!test/)', pathNot: ['^server/core/([^/]+)/'] },
      to: { path: '^server/core/[^/]+/', pathNot: ['^server/core/[^/]+/index[.]ts$'] },
    },
    {
      name: 'core-folders-have-a-door-within',
      comment: 'Also between the folders of core.',
      severity: 'error',
      from: { path: '^server/core/([^/]+)/' },
      to: { path: '^server/core/[^/]+/', pathNot: ['^server/core/$1/', '^server/core/[^/]+/index[.]ts$'] },
    },
    {
      name: 'modules-have-a-door',
      comment: 'A module is entered by its index.ts alone; tests and benches may look inside.',
      severity: 'error',
      from: { path: '^(?!(test|bench)/)', pathNot: [moduleFile] },
      to: { path: moduleFile, pathNot: ['^server/[^/]+/index[.]ts$'] },
    },
    {
      name: 'modules-have-a-door-within',
      comment: 'A module is entered by its index.ts alone, by other modules too.',
      severity: 'error',
      from: { path: `^server/${anyOf(modules)}/` },
      to: { path: moduleFile, pathNot: ['^server/$1/', '^server/[^/]+/index[.]ts$'] },
    },
    {
      name: 'modules-do-not-reach-up',
      comment: 'app, worker, omega, main and the command line build modules; no module knows them.',
      severity: 'error',
      from: { path: moduleFile },
      to: { path: ['^server/[^/]+$', `^server/${anyOf(topFolders)}/`] },
    },
    {
      name: 'module-without-a-place',
      comment: 'A new folder of server/ takes its place in `layers`, at the top of .dependency-cruiser.cjs.',
      severity: 'error',
      from: { path: '^server/[^/]+/', pathNot: [`^server/${anyOf(['core', ...modules, ...topFolders])}/`] },
      to: {},
    },
    ...upward,
    {
      name: 'no-circle-of-modules',
      comment: 'Modules of one layer may import each other, but not round in a circle.',
      severity: 'error',
      scope: 'folder',
      from: { path: `^server/${anyOf(modules)}$` },
      to: { circular: true, viaOnly: { path: `^server/${anyOf(modules)}$` } },
    },
    {
      name: 'no-circle-of-files',
      comment:
        'Within a module: a circle of files has no place to begin reading, and breaks by the order of loading.',
      severity: 'error',
      from: { path: '^(server/[^/]+/|[^/]+/)' },
      to: { circular: true, viaOnly: { path: '^$1' } },
    },
    {
      name: 'found',
      comment: 'Every import leads to a file or to an installed package.',
      severity: 'error',
      from: {},
      // Node has modules that are known under `node:` alone (node:sqlite); types say whether they are there.
      to: { couldNotResolve: true, pathNot: ['^node:'] },
    },
    {
      name: 'runs-without-development-packages',
      comment: 'What runs in production imports `dependencies`; an image leaves devDependencies out.',
      severity: 'error',
      from: { path: '^(contract|sdk|server)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    parser: 'swc',
    moduleSystems: ['es6', 'cjs'],
    doNotFollow: { path: '(^|/)node_modules/' },
    // A checkout whose node_modules is a link to another's is the same project.
    preserveSymlinks: true,
    exclude: { path: '^([.]git|[.]omega|coverage|dist)/' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['omega-source', 'import', 'node', 'default', 'types'],
    },
  },
};
