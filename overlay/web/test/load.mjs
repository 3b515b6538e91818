// Modules of the pages and of the SDK, for tests that need no browser.
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

/** Loads a TypeScript module by its path from overlay/web; anew each time. */
export async function load(path) {
  const { module } = await runnerImport(fileURLToPath(new URL(`../${path}.ts`, import.meta.url)), { configFile: false });
  return module;
}

/** Waits until something holds, and says what did not. What goes on meanwhile is not on a timer of ours. */
export async function until(holds, what = holds) {
  const end = performance.now() + 5000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`never so: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
