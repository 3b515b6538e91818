// Reads the media that a node serves, byte by byte: where in them the cards are. It shares no code with what wrote them, nor
// with what shows them.

/** Boxes of a buffer (ISO/IEC 14496-12 4.2): [type, body]. */
function* boxes(buffer) {
  for (let at = 0; at < buffer.length; ) {
    const size = buffer.readUInt32BE(at);
    if (size < 8 || at + size > buffer.length) throw new Error(`a box of ${size} bytes at ${at} of ${buffer.length}`);
    yield [buffer.toString('latin1', at + 4, at + 8), buffer.subarray(at + 8, at + size)];
    at += size;
  }
}

function child(buffer, wanted) {
  for (const [type, body] of boxes(buffer)) if (type === wanted) return body;
  throw new Error(`no box ${wanted}`);
}

/** The presentation time of a fragment's first sample, in ticks (8.8.12, 8.8.8). */
function firstTime(moof) {
  const traf = child(moof, 'traf');
  const decode = child(traf, 'tfdt').readBigUInt64BE(4);
  const run = child(traf, 'trun');
  const flags = run.readUInt32BE(0);
  let at = 8;
  for (const flag of [1, 4, 0x100, 0x200, 0x400]) if (flags & flag) at += 4;
  return Number(decode) + (flags & 0x800 ? run.readInt32BE(at) : 0);
}

/** An event message (ISO/IEC 23009-1 5.10.3.3) with our state in an ID3 tag; null when it is something else. */
function event(body) {
  if (body[0] !== 1) return null;
  const parts = [];
  let at = 24;
  for (let i = 0; i < 2; i++) {
    const end = body.indexOf(0, at);
    parts.push(body.toString('latin1', at, end));
    at = end + 1;
  }
  if (parts[0] !== 'https://aomedia.org/emsg/ID3' || parts[1] !== 'live.pushcart.cards') return null;
  // Behind the headers of tag and frame, the encoding and the description: the token.
  const token = body.toString('latin1', at + 10 + 10 + 1 + 'live.pushcart.cards'.length + 1);
  const state = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  return { timescale: body.readUInt32BE(4), time: Number(body.readBigUInt64BE(8)), id: body.readUInt32BE(20), state };
}

/** What a state shows, as the pages of the test write it: "main:lamp/3 side:chair/1". */
export function wordsOf(slots) {
  return Object.entries(slots).map(([slot, { card, rev }]) => `${slot}:${card}/${rev}`).sort().join(' ');
}

/** A stream's media, of which it remembers what it has read. */
export class Media {
  #read = new Map();

  constructor(base, name) {
    this.base = `${base}/live/${name}/`;
  }

  /**
   * What is in the playlist now: whole segments, and the parts of the one that is not whole yet, each of them
   * {uri, map, date, first, events}. Times are in ticks of 1/90,000 s; date is that of the segment.
   */
  async list() {
    const text = await (await fetch(`${this.base}video.m3u8`)).text();
    const whole = [];
    let parts = [];
    let map = null;
    let date = null;
    for (const line of text.split('\n')) {
      if (line.startsWith('#EXT-X-MAP:')) map = /URI="([^"]+)"/.exec(line)[1];
      if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) date = Date.parse(line.slice(25));
      if (line.startsWith('#EXT-X-PART:')) parts.push(/URI="([^"]+)"/.exec(line)[1]);
      if (line && !line.startsWith('#')) {
        whole.push({ uri: line, map, date, ...(await this.#segment(line)) });
        parts = [];
      }
    }
    const rest = [];
    for (const uri of parts) rest.push({ uri, map, date, ...(await this.#segment(uri)) });
    return { whole, rest };
  }

  async #segment(uri) {
    if (!this.#read.has(uri)) {
      const buffer = Buffer.from(await (await fetch(this.base + uri)).arrayBuffer());
      const found = { buffer, first: null, events: [] };
      for (const [type, body] of boxes(buffer)) {
        if (type === 'moof') found.first ??= firstTime(body);
        if (type !== 'emsg') continue;
        const e = event(body);
        if (e && e.timescale !== 90000) throw new Error(`an event with a timescale of ${e.timescale}`);
        if (e) found.events.push(e);
      }
      this.#read.set(uri, found);
    }
    return this.#read.get(uri);
  }
}
