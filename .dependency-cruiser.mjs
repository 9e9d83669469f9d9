const pure = "^packages/restante/src/(bytes|wire|crypto|e3x|card|box|application|mesh|mail|peer|peer\\.ts)";
const restante = "^packages/restante/src/";
const tests = "\\.test\\.ts$";

/** Folders of the library and the folders that each may import. */
const down = {
  bytes: [],
  wire: ["bytes"],
  crypto: ["bytes"],
  e3x: ["bytes", "wire", "crypto"],
  card: ["bytes", "wire", "crypto"],
  box: ["bytes", "wire", "crypto", "e3x", "card"],
  mesh: ["bytes", "wire", "crypto", "e3x", "card"],
  mail: ["bytes", "wire", "crypto", "e3x", "card"],
  application: ["bytes", "wire", "crypto", "e3x"],
  peer: ["bytes", "crypto", "e3x", "card", "box", "application", "mesh", "mail"],
  transport: ["bytes"],
  store: ["bytes"],
};
const layers = Object.entries(down).map(([folder, below]) => ({
  name: `layer-${folder}`,
  comment: `${folder} may import only itself${below.map((b) => `, ${b}`).join("")}`,
  severity: "error",
  from: { path: `${restante}${folder}/`, pathNot: tests },
  to: { path: restante, pathNot: [folder, ...below].map((f) => `${restante}${f}/`) },
}));

export default {
  forbidden: [
    ...layers,
    {
      name: "no-circular",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "enter-by-index",
      comment: "other folders of the library are entered through their index.ts",
      severity: "error",
      from: { path: `${restante}([^/]+)/`, pathNot: tests },
      to: { path: `${restante}[^/]+/`, pathNot: [`${restante}$1/`, `${restante}[^/]+/index\\.ts$`] },
    },
    {
      name: "enter-by-index-from-root",
      severity: "error",
      from: { path: `${restante}[^/]+\\.ts$`, pathNot: tests },
      to: { path: `${restante}[^/]+/`, pathNot: `${restante}[^/]+/index\\.ts$` },
    },
    {
      name: "pure-imports",
      comment: "the pure part imports itself and its allow-list, nothing else",
      severity: "error",
      from: { path: pure, pathNot: tests },
      to: { pathNot: [pure, "^node_modules/@noble/", "^node_modules/@scure/base/", "^node_modules/cborg/"] },
    },
    {
      name: "layer-discovery",
      comment: "discovery.ts may wait, but knows formats only: neither machines nor the driver",
      severity: "error",
      from: { path: `${restante}discovery\\.ts$` },
      to: { path: restante, pathNot: `${restante}(bytes|wire|crypto|card)/` },
    },
    {
      name: "library-no-node",
      comment: "restante runs in browsers: no node: import anywhere",
      severity: "error",
      from: { path: restante, pathNot: tests },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "package-order",
      comment: "restante <- bazaar <- node <- web, lab; lab is imported by nothing",
      severity: "error",
      from: { path: "^packages/([^/]+)/", pathNot: tests },
      to: { path: "^packages/lab/", pathNot: "^packages/$1/" },
    },
    {
      name: "restante-imports-no-sibling",
      severity: "error",
      from: { path: "^packages/restante/" },
      to: { path: "^packages/(bazaar|node|web|lab)/" },
    },
    {
      name: "bazaar-below-node",
      severity: "error",
      from: { path: "^packages/bazaar/" },
      to: { path: "^packages/(node|web|lab)/" },
    },
    {
      name: "bazaar-pure",
      comment: "formats know themselves, machines know formats; libp2p and Node stay in net, storage and route.ts",
      severity: "error",
      from: { path: "^packages/bazaar/src/(format|offline)/", pathNot: tests },
      to: {
        path: ["^packages/bazaar/src/", "^node_modules/(@libp2p/|libp2p/)"],
        pathNot: "^packages/bazaar/src/(format|offline)/",
      },
    },
    {
      name: "bazaar-format-is-leaf",
      severity: "error",
      from: { path: "^packages/bazaar/src/format/", pathNot: tests },
      to: { path: "^packages/bazaar/src/", pathNot: "^packages/bazaar/src/format/" },
    },
    {
      name: "no-path-into-package",
      comment: "another package is entered by its name, never by a path",
      severity: "error",
      from: { path: "^packages/([^/]+)/" },
      to: { path: "^packages/", pathNot: "^packages/$1/", dependencyTypes: ["local"] },
    },
    {
      name: "testing-for-tests",
      comment: "testing/ is the home of what tests of several packages share; nothing that is built may need it",
      severity: "error",
      from: { path: "^packages/", pathNot: tests },
      to: { path: "^testing/" },
    },
    {
      name: "unresolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "undeclared-dependency",
      severity: "error",
      from: { path: "^packages/(restante|bazaar|node|lab)/src/", pathNot: tests },
      to: { dependencyTypes: ["npm-no-pkg", "npm-unknown", "npm-dev"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: ["/dist/", "\\.svelte$"] },
    tsPreCompilationDeps: true,
    combinedDependencies: false,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["restante-source", "import", "node", "types", "default"],
    },
  },
};
