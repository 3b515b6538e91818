// A video element, players and a network that do what a test says.
import { Signer } from './signer.mjs';

/** A media element that shows the pictures it is told to. */
export class FakeVideo extends EventTarget {
  currentTime = 0;
  seeking = false;
  videoWidth = 640;
  readyState = 4;
  HAVE_CURRENT_DATA = 2;
  currentSrc = '';
  textTracks = Object.assign(new EventTarget(), { *[Symbol.iterator]() { yield* this.list; }, list: [] });
  seekable = { length: 1, start: () => this.from, end: () => this.to };
  from = 0;
  to = 1000;
  callbacks = new Map();
  last = 0;

  requestVideoFrameCallback(callback) {
    this.callbacks.set(++this.last, callback);
    return this.last;
  }

  cancelVideoFrameCallback(handle) {
    this.callbacks.delete(handle);
  }

  /** Shows the picture of a time. */
  picture(mediaTime) {
    this.currentTime = mediaTime;
    const list = [...this.callbacks.values()];
    this.callbacks.clear();
    for (const callback of list) callback(0, { mediaTime });
  }

  fire(type) {
    this.dispatchEvent(new Event(type));
  }
}

/** A metadata track with cues. */
export function track(cues, label = '') {
  return Object.assign(new EventTarget(), { kind: 'metadata', label, mode: 'disabled', cues });
}

/** An instance of hls.js as far as the SDK knows one. */
export class FakeHls {
  url = 'https://node.example.com/live/show/index.m3u8';
  latency = 2;
  playingDate = null;
  latestLevelDetails = null;
  listeners = new Map();

  loadSource() {}
  on(event, listener) {
    this.listeners.set(event, listener);
  }
  off(event, listener) {
    if (this.listeners.get(event) === listener) this.listeners.delete(event);
  }
  emit(event, data) {
    this.listeners.get(event)?.(event, data);
  }

  /** Reads a message out of a part, as hls.js tells of it. */
  message(pts, tag) {
    this.emit('hlsFragParsingMetadata', { samples: [{ pts, data: new Uint8Array(tag), type: 'https://aomedia.org/emsg/ID3' }] });
  }
}

/** A shaka.Player as far as the SDK knows one. */
export class FakeShaka extends EventTarget {
  configured = {};
  regions = [];
  date = new Date('2026-03-01T12:00:05Z');

  configure(name, value) {
    this.configured[name] = value;
  }
  getAssetUri() {
    return 'https://node.example.com/live/show/index.m3u8';
  }
  getPlayheadTimeAsDate() {
    return this.date;
  }
  getAllMetadataRegions() {
    return this.regions;
  }
  tell(type, fields) {
    this.dispatchEvent(Object.assign(new Event(type), fields));
  }
}

/** A network: what is at each path, or a function that says so each time. What is not there answers 404. */
export class FakeNetwork {
  signer = new Signer();
  paths = new Map();
  requests = [];

  constructor() {
    this.keys = [this.signer.jwk];
    this.paths.set('/.well-known/jwks.json', () => ({ keys: this.keys }));
  }

  fetch = async (address, { signal, cache } = {}) => {
    const { pathname } = new URL(address);
    this.requests.push(pathname);
    this.cache = cache;
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
    const found = this.paths.get(pathname);
    const body = typeof found === 'function' ? await found() : found;
    if (body === undefined || body === null) return new Response('', { status: 404 });
    return new Response(typeof body === 'string' ? body : JSON.stringify(body));
  };

  /** Puts a document there and returns what a slot shows of it. */
  card(card, rev = 1, rest = {}) {
    this.paths.set(`/live/show/cards/${card}/${rev}.json`, { id: card, rev, name: `${card} ${rev}`, ...rest });
    return { card, rev, since: 1_772_366_400_000 };
  }

  /** How often a path was asked for. */
  asked(path) {
    return this.requests.filter((request) => request === path).length;
  }
}
