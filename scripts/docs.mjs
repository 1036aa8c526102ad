#!/usr/bin/env node
// Writes docs/directives.md from the directive table. Needs a build: npm run build && node scripts/docs.mjs
import { writeFileSync } from 'node:fs';
import { renderDirectiveDocs } from '../dist/config/docs.js';

writeFileSync(new URL('../docs/directives.md', import.meta.url), renderDirectiveDocs());
