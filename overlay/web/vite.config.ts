import { existsSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vite';

// The node that `npm run dev` takes streams and the API from.
const node = process.env['PUSHCART_URL'] ?? 'http://127.0.0.1:8080';

const pages = ['index', 'watch', 'studio', 'publish'].filter((name) => existsSync(`${name}.html`));

// namedPages answers /watch/NAME, /studio/NAME and /publish/NAME in development as the node does: one page for every name.
function namedPages(): Plugin {
  return {
    name: 'pushcart-named-pages',
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        const page = /^\/(watch|studio|publish)\/[^/]/.exec(request.url ?? '')?.[1];
        if (page) request.url = `/${page}.html`;
        next();
      });
    },
  };
}

export default defineConfig({
  base: '/',
  plugins: [namedPages()],
  build: {
    outDir: 'dist/site',
    emptyOutDir: true,
    target: ['chrome94', 'firefox100', 'safari15.4'],
    // Everything is a file of its own: the pages' Content-Security-Policy allows no inline script or style.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // hls.js is most of it, and there is no point at which less of it would do.
    chunkSizeWarningLimit: 800,
    rolldownOptions: { input: Object.fromEntries(pages.map((name) => [name, `${name}.html`])) },
  },
  server: { host: '127.0.0.1', proxy: { '/live': node, '/api': node, '/whip': node, '/.well-known': node } },
});
