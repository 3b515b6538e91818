// An origin for the tests of cards: a film as HLS of two renditions with signed states in its parts, card documents, keys, the
// watch page, and a page with hls.js or Shaka Player on it. Each frame has its number burned in, so that a test can say with
// which picture a card came.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { film, rate, ticks, timescale } from './film.mjs';
import { emsg, id3, Signer } from './signer.mjs';

const file = (path) => readFile(fileURLToPath(new URL(`../${path}`, import.meta.url)));

/** Parts are six frames, segments five parts: one second. */
const perPart = 6;
const perSegment = 5;
const seconds = (perPart * perSegment) / rate;
/** The media timeline starts at the time of day: larger than 32 and than 33 bits. */
const start = 158_000_000_000_000;
export const begin = Date.parse('2026-03-01T12:00:00.000Z');

const types = {
  m3u8: 'application/vnd.apple.mpegurl',
  mp4: 'video/mp4',
  m4s: 'video/mp4',
  json: 'application/json',
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
};
/** As the node sends it with its pages, when cards may have pictures from shop.example.com. */
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https://shop.example.com; " +
  "connect-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'; trusted-types 'none'";
const cors = { 'Access-Control-Allow-Origin': '*' };

/** One origin; its fields may be changed while it runs. */
export class Origin {
  /**
   * Starts one with a film of so many seconds: a closed presentation or, with live, one that grows from when it is started
   * and has three seconds then. Its dates begin at the same moment each time, whatever the clock says.
   */
  static async start(seconds, { live = false } = {}) {
    const origin = new Origin();
    const count = seconds * rate;
    origin.films = await Promise.all(['320:180', '480:270'].map((size) => film(count, { start, size })));
    origin.server = createServer((request, response) => void origin.answer(request, response));
    await once(origin.server.listen(0, '127.0.0.1'), 'listening');
    origin.liveSince = live ? Date.now() - 3000 : null;
    origin.url = `http://127.0.0.1:${origin.server.address().port}`;
    return origin;
  }

  constructor() {
    this.signer = new Signer();
    this.keys = [this.signer.jwk];
    /** States by frame: { frame, slots }, in order. */
    this.states = [];
    /** Whether states are in the media, and as date ranges in the playlists. */
    this.inBand = true;
    this.dateRanges = false;
    /** A discontinuity in front of this segment: the media time jumps there. */
    this.cutAt = Infinity;
    /** Documents by ID/REV. */
    this.documents = new Map();
    this.requests = [];
  }

  /** Adds a document and returns what a slot shows of it. */
  card(id, rev, rest = {}) {
    this.documents.set(`${id}/${rev}`, { id, rev, '@type': 'Product', name: `${id} ${rev}`, ...rest });
    return { card: id, rev, since: begin };
  }

  async stop() {
    this.server.closeAllConnections();
    await once(this.server.close(), 'close');
  }

  async answer(request, response) {
    const path = new URL(request.url, this.url).pathname;
    this.requests.push(path);
    const body = await this.body(path).catch((error) => console.error(path, error));
    const type = types[path.split('.').pop()] ?? 'text/html; charset=utf-8';
    const header = path.startsWith('/watch/') ? { 'Content-Security-Policy': policy } : cors;
    response.writeHead(body ? 200 : 404, { 'Content-Type': type, ...header });
    response.end(body);
  }

  async body(path) {
    if (path === '/') return page;
    if (path === '/example') return example(await file('sdk/README.md'));
    if (path === '/watch/show') return file('dist/site/watch.html');
    if (path.startsWith('/assets/')) return file(`dist/site${path}`);
    if (path === '/pushcart-cards.js') return file('dist/sdk/pushcart-cards.js');
    if (path === '/hls.js') return file('node_modules/hls.js/dist/hls.mjs');
    if (path === '/shaka.js') return file('node_modules/shaka-player/dist/shaka-player.compiled.js');
    if (path === '/clock.js') return file('bench/clock.mjs');
    if (path === '/.well-known/jwks.json') return JSON.stringify({ keys: this.keys });
    const document = /^\/live\/show\/cards\/(.*)\.json$/.exec(path);
    if (document) return this.documents.has(document[1]) && JSON.stringify(this.documents.get(document[1]));
    if (path === '/live/show/index.m3u8') return this.multivariant();
    const media = /^\/live\/show\/([01])(?:\.m3u8|\/(init)\.mp4|\/(\d+)\.m4s)$/.exec(path);
    if (!media) return null;
    const rendition = this.films[media[1]];
    if (media[2]) return rendition.init;
    return media[3] ? this.segment(rendition, Number(media[3])) : this.playlist(Number(media[1]));
  }

  /** How many segments a live presentation has by now. */
  get published() {
    return Math.floor((Date.now() - this.liveSince) / 1000 / seconds);
  }

  /** The second of the film that nobody has seen yet, and nobody will for a while: what is shown from then on can be set. */
  get soon() {
    return (this.published + 1) * seconds;
  }

  multivariant() {
    const variant = (i, bandwidth, size) =>
      `#EXT-X-STREAM-INF:BANDWIDTH=${bandwidth},CODECS="avc1.42C01F",RESOLUTION=${size},FRAME-RATE=30.000\n${i}.m3u8\n`;
    return `#EXTM3U\n#EXT-X-VERSION:9\n${variant(0, 300000, '320x180')}${variant(1, 600000, '480x270')}`;
  }

  playlist(rendition) {
    const all = this.films[rendition].parts.length / perSegment;
    const segments = this.liveSince ? Math.min(all, this.published) : all;
    const kind = this.liveSince ? 'EVENT' : 'VOD';
    const lines = ['#EXTM3U', '#EXT-X-VERSION:9', `#EXT-X-TARGETDURATION:${seconds}`, `#EXT-X-PLAYLIST-TYPE:${kind}`, ...this.ranges()];
    lines.push(`#EXT-X-MAP:URI="${rendition}/init.mp4"`);
    for (let i = 0; i < segments; i++) {
      if (i === this.cutAt) lines.push('#EXT-X-DISCONTINUITY', `#EXT-X-MAP:URI="${rendition}/init.mp4"`);
      const date = new Date(begin + i * seconds * 1000).toISOString();
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${date}`, `#EXTINF:${seconds},`, `${rendition}/${i}.m4s`);
    }
    return [...lines, segments < all ? '' : '#EXT-X-ENDLIST', ''].join('\n');
  }

  ranges() {
    if (!this.dateRanges) return [];
    const date = (frame) => new Date(begin + (frame * 1000) / rate).toISOString();
    return this.states.flatMap(({ frame, slots }, i) => {
      const end = this.states[i + 1] ? `,END-DATE="${date(this.states[i + 1].frame)}"` : '';
      return Object.entries(slots).map(
        ([slot, { card, rev }]) =>
          `#EXT-X-DATERANGE:ID="${slot}-1-${i + 1}",CLASS="live.pushcart.card",START-DATE="${date(frame)}"${end},X-PUSHCART-CARD="${slot}/${card}/${rev}"`,
      );
    });
  }

  /** A segment: its parts, in front of each the messages of the states that begin in it, and the state at the segment's first frame. */
  segment({ parts }, i) {
    const jump = i >= this.cutAt ? 3_600 * timescale : 0;
    const first = i * perSegment;
    return Buffer.concat(
      parts.slice(first, first + perSegment).flatMap((part, n) => {
        const from = (first + n) * perPart;
        const fresh = this.states.filter(({ frame }) => frame >= from && frame < from + perPart);
        const before = this.states.filter(({ frame }) => frame < from).at(-1);
        const list = fresh.map((state) => this.message(state, state.frame, jump));
        if (n === 0 && before && fresh[0]?.frame !== from) list.unshift(this.message(before, from, jump));
        return [...list, jump ? later(part, jump) : part];
      }),
    );
  }

  message(state, frame, jump) {
    if (!this.inBand) return Buffer.alloc(0);
    const token = state.token ?? this.signer.token({ seq: this.states.indexOf(state) + 1, slots: state.slots });
    return emsg({ timescale, time: start + jump + frame * ticks, id: frame + 1, message: id3(token) });
  }
}

function later(part, by) {
  const copy = Buffer.from(part);
  const at = copy.indexOf('tfdt') + 8;
  copy.writeBigUInt64BE(copy.readBigUInt64BE(at) + BigInt(by), at);
  return copy;
}

/** A page with the example that the SDK's README gives, on our addresses. */
function example(readme) {
  const script = /```js\n(.*?)```/s.exec(readme.toString())[1];
  const ours = script
    .replace(/https:[^']*hls\.mjs/, '/hls.js')
    .replace(/https:[^']*pushcart-cards\.js/, '/pushcart-cards.js')
    .replace(/https:[^']*\/live\/show1/, '/live/show');
  return `<!doctype html><video muted></video><p id="main"></p><p id="offer"></p><script type="module">${ours}</script>`;
}

// Events go to window.log with the number of the frame that is on the screen when they come.
const page = `<!doctype html>
<video id="video" muted playsinline width="320" height="180"></video>
<script type="module">
  import { attach } from '/pushcart-cards.js';
  import { cells, decode } from '/clock.js';
  const video = document.getElementById('video');
  const canvas = document.createElement('canvas');
  canvas.width = cells * 4; canvas.height = 4;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const onScreen = () => {
    context.drawImage(video, 0, 0, video.videoWidth, video.videoHeight * 24 / 180, 0, 0, cells * 4, 4);
    const { data } = context.getImageData(0, 2, cells * 4, 1);
    return decode(Array.from({ length: cells }, (_, i) => data[(i * 4 + 2) * 4]));
  };
  window.log = [];
  // The times of the pictures that the browser tells of.
  window.pictures = [];
  const next = () => video.requestVideoFrameCallback((_, { mediaTime }) => {
    pictures.push(mediaTime);
    next();
  });
  next();
  window.onScreen = onScreen;
  window.listen = (player, options = {}) => {
    const cards = window.cards = attach(video, player, options);
    for (const type of ['show', 'update', 'hide', 'rejected']) cards.addEventListener(type, (event) => {
      const { slot, card, rev, verified, mediaTime, reason } = event;
      log.push({ type, slot, card: card?.id, rev, verified, mediaTime, reason, frame: onScreen(), date: event.date?.().toISOString() });
    });
    return cards;
  };
  window.hls = async (options, config) => {
    const { default: Hls } = await import('/hls.js');
    const player = window.player = new Hls({ enableWorker: false, ...config });
    if (window.cards) cards.use(player); else listen(player, options);
    player.loadSource('/live/show/index.m3u8');
    player.attachMedia(video);
    return null;
  };
  window.shaka = async (options) => {
    await new Promise((resolve, reject) => {
      const script = Object.assign(document.createElement('script'), { src: '/shaka.js', onload: resolve, onerror: reject });
      document.head.append(script);
    });
    const player = window.player = new window.shaka.Player();
    await player.attach(video);
    listen(player, options);
    await player.load('/live/show/index.m3u8');
    return null;
  };
  window.ready = true;
</script>`;
