// An RTMP publisher that sends a clip in real time, and cards with the frames that they are meant for.
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';

// Message types (RTMP 1.0 6).
const chunkSizeType = 1;
const videoType = 9;
const dataType = 18;
const commandType = 20;

const chunkSize = 4096;

/** SEI user data is ours when it begins with this. */
const uuid = Buffer.from('9f3c1b526e0d4a578c1e70757368cafe', 'hex');

/** An AMF0 value: numbers, strings, objects of those, null. */
function amf(value) {
  const text = (s) => {
    const bytes = Buffer.from(s);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  if (value === null) return Buffer.from([5]);
  if (typeof value === 'number') {
    const b = Buffer.alloc(9);
    b.writeDoubleBE(value, 1);
    return b;
  }
  if (typeof value === 'string') return Buffer.concat([Buffer.from([2]), text(value)]);
  const pairs = Object.entries(value).flatMap(([key, item]) => [text(key), amf(item)]);
  return Buffer.concat([Buffer.from([3]), ...pairs, Buffer.from([0, 0, 9])]);
}

/**
 * An SEI message of type 5, user data unregistered (H.264 D.1.6), as a NAL unit with its length in front. Two zero bytes in
 * a row do not occur in it, so that it needs no emulation prevention.
 */
function sei(text) {
  const payload = Buffer.concat([uuid, Buffer.from(text)]);
  const size = [...Array(Math.floor(payload.length / 255)).fill(255), payload.length % 255];
  const nal = Buffer.concat([Buffer.from([6, 5, ...size]), payload, Buffer.from([0x80])]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(nal.length);
  return Buffer.concat([length, nal]);
}

/** The ways in which a card command travels with the media. Each takes the command and gives AMF values; SEI has none. */
const messages = {
  text: (command) => ['onTextData', { text: JSON.stringify(command) }],
  cue: ({ pushcart, ...rest }) => [
    'onCuePoint',
    {
      name: `pushcart.${pushcart}`,
      time: 0,
      type: 'event',
      parameters: Object.fromEntries(Object.entries(rest).map(([k, v]) => [k, typeof v === 'string' ? v : JSON.stringify(v)])),
    },
  ],
  card: (command) => ['onPushcartCard', JSON.stringify(command)],
};

/** The ways in band, by their names. */
export const ways = [...Object.keys(messages), 'sei'];

/** A publisher of one clip, for one connection after the other. */
export class Publisher {
  /** plan: by frame, the commands that go with it: {way, command}. */
  plan = new Map();
  /** The number of the last frame that was sent; of frames that are out of order the highest. */
  last = -1;
  /** The number of the present connection's first frame. */
  first = -1;

  constructor(clip, url) {
    this.clip = clip;
    this.url = new URL(url);
    this.next = 0;
    this.waiting = [];
  }

  /** Has a command travel with a frame, or with the next one if that has gone. Returns which it is. */
  send(frame, way, command) {
    const at = Math.max(frame, this.last + 1);
    this.plan.set(at, [...(this.plan.get(at) ?? []), { way, command }]);
    return at;
  }

  /** Connects and publishes from the next key frame on. */
  async start() {
    this.socket = connect(Number(this.url.port), this.url.hostname);
    this.socket.setNoDelay(true);
    this.closed = new Promise((resolve) => this.socket.on('close', resolve));
    this.socket.on('error', () => {});
    await once(this.socket, 'connect');
    await this.#shakeHands();
    this.times = new Map();
    const [, app, name] = this.url.pathname.split('/');
    this.#command('connect', 1, { app, tcUrl: this.url.href });
    this.#message(chunkSizeType, 0, Buffer.from([0, 0, chunkSize >> 8, chunkSize & 255]));
    this.chunkSize = chunkSize;
    this.#command('createStream', 2, null);
    this.#command('publish', 3, null, name + this.url.search, 'live');
    const { tags } = this.clip;
    while (this.next < tags.length && !tags[this.next].key) this.next++;
    if (this.next === tags.length) throw new Error('the clip has no frames left');
    this.first = tags[this.next].frame;
    for (const tag of this.clip.config) this.#message(tag.type, tags[this.next].time, tag.body);
    this.begun = performance.now() - tags[this.next].time;
    this.#pump();
  }

  /** Waits until a frame has been sent. */
  async sent(frame) {
    if (this.last >= frame) return;
    await new Promise((resolve, reject) => this.waiting.push({ frame, resolve, reject }));
  }

  /** Ends the connection; start goes on where it was. */
  async stop() {
    clearTimeout(this.timer);
    this.socket?.destroy();
    await this.closed;
  }

  async #shakeHands() {
    // C0 and C1; S0, S1 and S2; C2 (RTMP 1.0 5.2).
    const c1 = Buffer.concat([Buffer.alloc(8), randomBytes(1528)]);
    this.chunkSize = 128;
    this.socket.write(Buffer.concat([Buffer.from([3]), c1]));
    let answer = Buffer.alloc(0);
    while (answer.length < 1 + 2 * 1536) {
      const [data] = await once(this.socket, 'data');
      answer = Buffer.concat([answer, data]);
    }
    this.socket.write(answer.subarray(1, 1 + 1536));
    this.said = '';
    this.socket.on('data', (data) => (this.said += data.toString('latin1').replace(/[^ -~]+/g, ' ')));
  }

  /** Sends what is due and comes back when the next tag is. */
  #pump() {
    const { tags } = this.clip;
    const now = performance.now() - this.begun;
    for (; this.next < tags.length && tags[this.next].time <= now; this.next++) {
      if (this.socket.destroyed) {
        this.#fail(new Error(`the node closed the connection: ${this.said}`));
        return;
      }
      this.#tag(tags[this.next]);
    }
    if (this.next < tags.length) this.timer = setTimeout(() => this.#pump(), Math.max(1, tags[this.next].time - now));
    else this.#fail(new Error('the clip is over'));
  }

  #tag(tag) {
    let { body } = tag;
    for (const { way, command } of (tag.type === videoType && this.plan.get(tag.frame)) || []) {
      if (way === 'sei') body = Buffer.concat([body.subarray(0, 5), sei(JSON.stringify(command)), body.subarray(5)]);
      else this.#message(dataType, tag.time, Buffer.concat(messages[way](command).map(amf)));
    }
    this.#message(tag.type, tag.time, body);
    if (tag.type !== videoType) return;
    this.last = Math.max(this.last, tag.frame);
    this.waiting = this.waiting.filter(({ frame, resolve }) => frame > this.last || resolve());
  }

  #fail(error) {
    for (const { reject } of this.waiting) reject(error);
    this.waiting = [];
  }

  #command(...values) {
    this.#message(commandType, 0, Buffer.concat(values.map(amf)));
  }

  /**
   * Writes a message as chunks (RTMP 1.0 5.3.1), each with its whole time:
   *
   *	fmt(2) chunk stream(6)  time(24) length(24) type(8) message stream(32, little endian)
   */
  #message(type, time, body) {
    const stream = 3 + (type % 8);
    const head = Buffer.alloc(12);
    head[0] = stream;
    head.writeUIntBE(Math.round(time), 1, 3);
    head.writeUIntBE(body.length, 4, 3);
    head[7] = type;
    head.writeUInt32LE(type === commandType || type === chunkSizeType ? 0 : 1, 8);
    const out = [head];
    for (let at = 0; at === 0 || at < body.length; at += this.chunkSize) {
      if (at > 0) out.push(Buffer.from([0xc0 | stream]));
      out.push(body.subarray(at, at + this.chunkSize));
    }
    this.socket.write(Buffer.concat(out));
  }
}
