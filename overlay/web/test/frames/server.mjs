// Serves the bare pages of the test, and a node's stream under two names of different bandwidth, so that a player has
// something to switch between.
import { readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const files = {
  '/page.html': here('page.html'),
  '/page.js': here('page.js'),
  '/hls.mjs': here('../../node_modules/hls.js/dist/hls.mjs'),
  '/shaka.js': here('../../node_modules/shaka-player/dist/shaka-player.compiled.js'),
};
const kind = (path) => (path.endsWith('.html') ? 'text/html; charset=utf-8' : 'text/javascript; charset=utf-8');

/** The names under which the one video rendition is offered. */
const names = ['low', 'high'];
const bandwidths = { low: 400_000, high: 1_600_000 };

/** Starts the server in front of a node. origin is its address. */
export async function serve(node) {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://test');
    try {
      if (files[url.pathname]) {
        response.writeHead(200, { 'content-type': kind(url.pathname), 'cache-control': 'no-store' });
        response.end(await readFile(files[url.pathname]));
      } else {
        await pass(node.http, url, response);
      }
    } catch {
      if (!response.headersSent) response.writeHead(502);
      response.end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Passes a request on to the node, with the one name in place of the two on the way there, and back. */
async function pass(base, url, response) {
  const asked = /^(\/live\/[^/]+\/)(low|high)(\.m3u8|\/)/.exec(url.pathname);
  const name = asked?.[2] ?? names[0];
  const path = asked ? url.pathname.replace(asked[0], `${asked[1]}video${asked[3]}`) : url.pathname;
  const answer = await fetch(base + path + url.search);
  const headers = {};
  for (const [key, value] of answer.headers) {
    if (!['content-length', 'content-encoding', 'transfer-encoding', 'connection', 'etag'].includes(key)) headers[key] = value;
  }
  let body = Buffer.from(await answer.arrayBuffer());
  if (path.endsWith('/index.m3u8')) body = twice(body.toString());
  else if (path.endsWith('.m3u8')) body = body.toString().replace(/(URI="|^)video(\.m3u8|\/)/gm, `$1${name}$2`);
  response.writeHead(answer.status, headers);
  response.end(body);
}

/** Offers the one variant of a multivariant playlist under both names. */
function twice(text) {
  return text.replace(/^(#EXT-X-STREAM-INF:.*)\nvideo\.m3u8$/m, (_, attributes) =>
    names
      .map((name) => {
        const line = attributes
          .replace(/([:,])BANDWIDTH=\d+/, `$1BANDWIDTH=${bandwidths[name]}`)
          .replace(/AVERAGE-BANDWIDTH=\d+/, `AVERAGE-BANDWIDTH=${bandwidths[name]}`);
        return `${line}\n${name}.m3u8`;
      })
      .join('\n'),
  );
}
