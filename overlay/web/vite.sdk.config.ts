import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { defineConfig, type Plugin } from 'vite';

const outDir = 'dist/sdk';

/**
 * declarations writes pushcart-cards.d.ts: what index.ts declares, behind the types that it passes on. Neither needs any other
 * file, so one follows the other without their imports.
 */
function declarations(): Plugin {
  return {
    name: 'pushcart-declarations',
    async closeBundle() {
      const made = await mkdtemp(join(tmpdir(), 'pushcart-sdk-'));
      try {
        await promisify(execFile)('node_modules/.bin/tsc', ['--project', 'sdk', '--outDir', made]);
        const files = ['types', 'countdown', 'localise', 'index'].map((name) => readFile(join(made, `${name}.d.ts`), 'utf8'));
        const text = (await Promise.all(files)).join('').replaceAll(/^(import|export) .* from '.*';\n/gm, '');
        await writeFile(join(outDir, 'pushcart-cards.d.ts'), text);
        await copyFile('sdk/npm-package.json', join(outDir, 'package.json'));
        await copyFile('sdk/README.md', join(outDir, 'README.md'));
      } finally {
        await rm(made, { recursive: true });
      }
    },
  };
}

// The SDK as one file, for pages of others.
export default defineConfig({
  plugins: [declarations()],
  publicDir: false,
  build: {
    outDir,
    emptyOutDir: true,
    target: ['chrome94', 'firefox100', 'safari15.4'],
    rolldownOptions: { output: { minify: true } },
    lib: { entry: 'sdk/index.ts', formats: ['es'], fileName: () => 'pushcart-cards.js' },
  },
});
