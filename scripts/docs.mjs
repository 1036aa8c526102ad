#!/usr/bin/env node
// Writes docs/directives.md and docs/openvpn-compatibility.md from the directive table. Needs a build:
// npm run build && node scripts/docs.mjs
import { writeFileSync } from 'node:fs';
import { renderCompatibility } from '../dist/config/compatibility.js';
import { renderDirectiveDocs } from '../dist/config/docs.js';

for (const [name, text] of [
  ['directives.md', renderDirectiveDocs()],
  ['openvpn-compatibility.md', renderCompatibility()],
]) {
  writeFileSync(new URL(`../docs/${name}`, import.meta.url), text);
}
