import { defineConfig, type Plugin } from 'vite';

// The node that `npm run dev` takes streams and the API from.
const node = process.env['PUSHCART_URL'] ?? 'http://127.0.0.1:8080';

// watchPages answers /watch/NAME in development as the node does: one page for every name.
function watchPages(): Plugin {
  return {
    name: 'pushcart-watch-pages',
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        if (request.url?.startsWith('/watch/')) request.url = '/watch.html';
        next();
      });
    },
  };
}

export default defineConfig({
  base: '/',
  plugins: [watchPages()],
  build: {
    outDir: 'dist/site',
    emptyOutDir: true,
    target: ['chrome94', 'firefox100', 'safari15.4'],
    // Everything is a file of its own: the pages' Content-Security-Policy allows no inline script or style.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // hls.js is most of it, and there is no point at which less of it would do.
    chunkSizeWarningLimit: 800,
    rolldownOptions: { input: { index: 'index.html', watch: 'watch.html' } },
  },
  server: { host: '127.0.0.1', proxy: { '/live': node, '/api': node } },
});
