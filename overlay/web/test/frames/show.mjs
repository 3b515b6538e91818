// One stream of the test: its publisher, its host, and what its media say.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { frameTime } from './clip.mjs';
import { cells, decode } from './counter.mjs';
import { Media, wordsOf } from './media.mjs';
import { Truth } from './measure.mjs';
import { height, rate, width } from './picture.mjs';

/** Ticks of a frame, of 1/90,000 s. */
const ticks = 90000 / rate;

export class Show {
  /** The frame of the last change that was made. */
  last = -1;
  /** By generation of the presentation: number and time of its first frame, and the date of that. */
  #begun = new Map();
  /** By generation: how many states the node counts as too late for their frame. */
  #late = new Map();
  /** What the media have had, by generation and message. */
  #events = new Map();

  constructor(node, name, publisher, host) {
    Object.assign(this, { node, name, publisher, host, media: new Media(node.http, name) });
  }

  /** Publishes, from the beginning or after an interruption, and waits until there is something to play. */
  async begin() {
    await this.publisher.start();
    if (this.publisher.first === 0) await this.host.prepare();
    await this.publisher.sent(this.publisher.first + 2 * rate + 5);
    for (;;) {
      const { whole } = await this.media.list().catch(() => ({ whole: [] }));
      if (whole.length > 0) {
        const [{ uri, first, date }] = whole;
        this.generation = generationOf(uri);
        this.#begun.set(this.generation, { frame: this.publisher.first, first, date });
        return;
      }
      await this.publisher.sent(this.publisher.last + 1);
    }
  }

  /** When a frame is taken, by the playlist's dates. */
  date(frame) {
    const begun = this.#begun.get(this.generation);
    return begun.date + (frame - begun.frame) * frameTime;
  }

  /** Makes changes, so many frames apart, and reads the media when they are there. */
  async changes(count, step, ways) {
    // A command for a frame that is to come is known to the publisher well before.
    let frame = this.publisher.last + step;
    for (let i = 0; i < count; i++) {
      await this.publisher.sent(frame - step);
      await this.host.change(this.publisher, frame, ways, (f) => this.date(f));
      frame = Math.max(frame, this.publisher.last) + step;
    }
    this.last = frame;
    await this.publisher.sent(frame);
  }

  /** Reads what the media have by now, and what the node counts. Call it before they go. */
  async read() {
    const text = await (await fetch(`${this.node.admin}/metrics`)).text();
    this.#late.set(this.generation, Number(/^pushcart_packager_card_states_late_total (\d+)/m.exec(text)?.[1] ?? NaN));
    const { whole, rest } = await this.media.list();
    for (const { uri, events } of [...whole, ...rest]) {
      const generation = generationOf(uri);
      const begun = this.#begun.get(generation);
      for (const { time, id, state } of events) {
        const frame = begun.frame + (time - begun.first) / ticks;
        assert.ok(Number.isInteger(frame), `${this.name}: the message ${id} is at ${time}, which is at no frame`);
        this.#events.set(`${generation}-${id}`, { frame, state });
      }
    }
    await this.#counts(whole.at(-1));
  }

  /** Decodes a segment and reads the counters: is the frame that time says the one that the picture shows? */
  async #counts({ uri, map, buffer, first }) {
    const init = Buffer.from(await (await fetch(this.media.base + map)).arrayBuffer());
    const args = ['-hide_banner', '-loglevel', 'error', '-i', 'pipe:0', '-f', 'rawvideo', '-pix_fmt', 'gray', 'pipe:1'];
    const ffmpeg = spawn('ffmpeg', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    const chunks = [];
    ffmpeg.stdout.on('data', (chunk) => chunks.push(chunk));
    ffmpeg.stdin.end(Buffer.concat([init, buffer]));
    await once(ffmpeg, 'close');
    const raw = Buffer.concat(chunks);
    const begun = this.#begun.get(generationOf(uri));
    let frame = begun.frame + (first - begun.first) / ticks;
    assert.ok(raw.length >= rate * width * height, `${this.name}: ${uri} has ${raw.length / width / height} pictures`);
    for (let at = 0; at < raw.length; at += width * height, frame++) {
      const row = Array.from({ length: cells }, (_, i) => raw[at + Math.floor(height / 12) * width + ((i + 0.5) * width) / cells]);
      assert.equal(decode(row), frame, `${this.name}: the counter in ${uri} is not what its time says`);
    }
  }

  /** The changes by frame, as the media have them. */
  truth() {
    return new Truth(this.#changes());
  }

  /** All changes in the order of their frames; of one frame there may be several. */
  #changes() {
    const planned = new Map(this.host.meant.map(({ frame, way }) => [frame, way]));
    const states = [...this.#events.values()].sort(
      (a, b) => a.frame - b.frame || a.state.epoch - b.state.epoch || a.state.seq - b.state.seq,
    );
    const changes = [];
    for (const { frame, state } of states) {
      const shows = wordsOf(state.slots);
      if (shows === (changes.at(-1)?.shows ?? '')) continue; // told again, for those who join there
      const way = this.host.ways.get(`${state.epoch}-${state.seq}`) ?? planned.get(frame) ?? 'unknown';
      changes.push({ frame, shows, way });
    }
    return changes;
  }

  /** Compares where the media have the changes with where they were meant to be. */
  judge() {
    const changes = this.#changes();
    const late = [...this.#late.values()].reduce((sum, n) => sum + n, 0);
    assert.ok(late >= 0, 'the node does not count states that came too late');
    for (const { frame, shows, way, after, before, act } of this.host.meant) {
      const there = changes.filter((change) => change.shows === shows).map((change) => change.frame);
      const what = `${this.name}: ${act} by ${way}: "${shows}" is at the frames ${there}`;
      if (frame !== null) {
        // Where the node says itself that states came too late they are later, and those that came next may be, too.
        const found = there.includes(frame) || (late > 0 && there.some((f) => f > frame));
        assert.ok(found, `${what}, meant was ${frame}; the node counts ${late} that came too late`);
      } else {
        // The next frame that came: after those that were taken when the command was sent, before those after its answer.
        assert.ok(there.some((f) => f > after - rate && f <= before + rate), `${what}, meant was one after ${after}, by ${before}`);
      }
    }
    const nobody = changes.filter(({ way }) => way === 'unknown');
    assert.ok(nobody.length === 0 || late > 0, `${this.name}: changes that nobody made: ${JSON.stringify(nobody)}`);
  }
}

const generationOf = (uri) => /\/(\d+)-/.exec(uri)[1];
