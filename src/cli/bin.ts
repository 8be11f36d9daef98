#!/usr/bin/env node
// Not `import "./main.ts"`: bundlers drop that, because the package declares that its modules have no side effects.
await import("./main.ts")
