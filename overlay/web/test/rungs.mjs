// A live low-latency presentation as a node with a ladder has it: the host's own picture, a smaller one that comes later, and
// sound alone for the worst of networks. The smaller one can fail for a while.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { film } from './film.mjs';

const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const parts = { each: 0.2, inSegment: 5 };
/** How late the smaller picture is, and how late it may be before a gap takes its place; s. */
const late = 0.3;
const tooLate = 1.5;

/** One presentation; it has been live for ten seconds when it starts. */
export class Rungs {
  static async start(seconds) {
    const rungs = new Rungs();
    rungs.began = Date.now() - 10_000;
    const [video, small] = await Promise.all(['480:270', '320:180'].map((size) => film(seconds * 30, { size })));
    rungs.films = { video, '180p': small };
    rungs.server = createServer((request, response) => void rungs.answer(request, response));
    await once(rungs.server.listen(0, '127.0.0.1'), 'listening');
    rungs.url = `http://127.0.0.1:${rungs.server.address().port}/watch/show`;
    return rungs;
  }

  /** The part of the smaller picture at which it fails, and the one at which it is back. */
  gap = [Infinity, Infinity];
  asked = [];

  async stop() {
    this.server.closeAllConnections();
    await once(this.server.close(), 'close');
  }

  /** Has the smaller picture fail from now on, for so many seconds. */
  fail(seconds) {
    const first = this.edge('180p') + 1;
    this.gap = [first, first + Math.round(seconds / parts.each)];
  }

  missing(id, part) {
    return id !== 'video' && part >= this.gap[0] && part < this.gap[1];
  }

  /** When a part is there, in ms since 1970. */
  due(id, part) {
    const wait = this.missing(id, part) ? tooLate : id === 'video' ? 0 : late;
    return this.began + ((part + 1) * parts.each + wait) * 1000;
  }

  /** The last part that is there, with all before it. */
  edge(id) {
    const now = Date.now();
    let last = Math.floor((now - this.began) / 1000 / parts.each);
    while (last >= 0 && this.due(id, last) > now) last--;
    // Behind a gap that is not said yet nothing is.
    return this.gap[0] <= last && this.due(id, this.gap[0]) > now ? this.gap[0] - 1 : last;
  }

  main() {
    const variant = (name, bandwidth, more) => [`#EXT-X-STREAM-INF:BANDWIDTH=${bandwidth},${more}`, `${name}.m3u8`];
    return [
      '#EXTM3U',
      '#EXT-X-INDEPENDENT-SEGMENTS',
      ...variant('video', 900000, 'CODECS="avc1.42c01e",RESOLUTION=480x270,FRAME-RATE=30.000'),
      ...variant('180p', 400000, 'CODECS="avc1.42c01e",RESOLUTION=320x180,FRAME-RATE=30.000'),
      ...variant('audio-64k', 64000, 'CODECS="mp4a.40.2"'),
    ].join('\n');
  }

  playlist(id) {
    const edge = this.edge(id);
    const segments = Math.floor((edge + 1) / parts.inSegment);
    const first = Math.max(0, segments - 12);
    const lines = [
      ...['#EXTM3U', '#EXT-X-VERSION:9', '#EXT-X-TARGETDURATION:1', `#EXT-X-PART-INF:PART-TARGET=${parts.each}`],
      `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,HOLD-BACK=4.5,PART-HOLD-BACK=${3 * parts.each + tooLate}`,
      ...[`#EXT-X-MEDIA-SEQUENCE:${first}`, `#EXT-X-MAP:URI="${id}/init.mp4"`],
    ];
    for (let n = first; n * parts.inSegment <= edge; n++) {
      const inside = Array.from({ length: parts.inSegment }, (_, i) => n * parts.inSegment + i).filter((part) => part <= edge);
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(this.began + n * 1000).toISOString()}`);
      for (const part of n >= segments - 3 ? inside : []) {
        const independent = part % parts.inSegment === 0 ? ',INDEPENDENT=YES' : '';
        const gap = this.missing(id, part) ? ',GAP=YES' : '';
        lines.push(`#EXT-X-PART:DURATION=${parts.each},URI="${id}/${n}.${part % parts.inSegment}.m4s"${independent}${gap}`);
      }
      if (inside.length < parts.inSegment) continue;
      if (inside.some((part) => this.missing(id, part))) lines.push('#EXT-X-GAP');
      lines.push('#EXTINF:1,', `${id}/${n}.m4s`);
    }
    for (const other of Object.keys(this.films).filter((name) => name !== id)) {
      const last = this.edge(other);
      const [msn, part] = [Math.floor(last / parts.inSegment), last % parts.inSegment];
      lines.push(`#EXT-X-RENDITION-REPORT:URI="${other}.m3u8",LAST-MSN=${msn},LAST-PART=${part}`);
    }
    return lines.join('\n');
  }

  async answer(request, response) {
    const { pathname, searchParams } = new URL(request.url, 'http://h');
    const path = /^\/live\/show\/(.+)$/.exec(pathname)?.[1];
    if (path === undefined) return this.page(pathname, response);
    this.asked.push(path);
    const reply = (type, body) => response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(body);
    if (path === 'index.m3u8') return reply('application/vnd.apple.mpegurl', this.main());
    const [, id, rest] = /^([^/.]+)(.*)$/.exec(path);
    const rendition = this.films[id];
    if (!rendition) return response.writeHead(404).end();
    if (rest === '.m3u8') {
      await this.reached(id, searchParams, response);
      return reply('application/vnd.apple.mpegurl', this.playlist(id));
    }
    if (rest === '/init.mp4') return reply('video/mp4', rendition.init);
    const [, n, part] = /^\/(\d+)(?:\.(\d))?\.m4s$/.exec(rest);
    const from = Number(n) * parts.inSegment + Number(part ?? 0);
    return reply('video/mp4', Buffer.concat(rendition.parts.slice(from, part === undefined ? from + parts.inSegment : from + 1)));
  }

  /** Waits until a playlist has what is asked for (rfc8216bis 6.2.5.2), or nobody asks any more. */
  async reached(id, query, response) {
    if (!query.has('_HLS_msn')) return;
    const wanted = Number(query.get('_HLS_msn')) * parts.inSegment + Number(query.get('_HLS_part') ?? parts.inSegment - 1);
    while (this.edge(id) < wanted && !response.destroyed) await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async page(path, response) {
    const file = path.startsWith('/watch/') ? 'watch.html' : path.slice(1);
    const body = await readFile(fileURLToPath(new URL(`../dist/site/${file}`, import.meta.url))).catch(() => null);
    if (body === null) response.writeHead(404).end();
    else response.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/json' }).end(body);
  }
}
