// What the test needs: a node with two streams, a server for pages beside it, a browser.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch } from '../browser.mjs';
import { Node } from '../node.mjs';
import { makeClip } from './clip.mjs';
import { Host } from './host.mjs';
import { rate } from './picture.mjs';
import { Report } from './report.mjs';
import { Publisher } from './rtmp.mjs';
import { serve } from './server.mjs';
import { Show } from './show.mjs';
import { Viewer } from './viewer.mjs';

const key = 'the-publisher-of-the-show';
const token = 'the-operator-of-the-show';
const names = { watch: 'watch page (hls.js)', hls: 'hls.js', shaka: 'Shaka' };

export class Stage {
  report = new Report();
  /** What pages complained of. */
  complaints = [];
  #begun = performance.now();
  #clear = [];

  /** Sets everything up, both streams live. */
  static async set(test) {
    const stage = new Stage();
    stage.test = test;
    try {
      await stage.#set();
    } catch (error) {
      await stage.clear();
      throw error;
    }
    return stage;
  }

  async #set() {
    // More than the test takes, also on a machine that is slow.
    const [plain, reordered] = await Promise.all([makeClip(160 * rate), makeClip(60 * rate, { reorder: true })]);
    // In memory where the system has that: a disk that others keep busy makes what comes in band late.
    const data = await mkdtemp(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'pushcart-frames-'));
    this.#clear.push(() => rm(data, { recursive: true, force: true }));
    const node = await Node.start({
      PUSHCART_DATA_DIRECTORY: data,
      PUSHCART_HLS_DVR: '3m',
      PUSHCART_PUBLISH_KEYS: `plain=${key},reordered=${key}`,
      PUSHCART_STUDIO_TOKENS: `*=${token}`,
    });
    this.#clear.push(() => node.stop());
    const server = await serve(node);
    this.#clear.push(() => server.close());
    const browser = await launch();
    this.#clear.push(() => browser.close());
    const show = (name, clip) =>
      new Show(node, name, new Publisher(clip, `${node.rtmp}/${name}?key=${key}`), new Host(node.http, name, token));
    Object.assign(this, { node, browser, pages: server.origin, twice: server.origin });
    this.show = show('plain', plain);
    this.other = show('reordered', reordered);
    for (const { publisher } of [this.show, this.other]) this.#clear.push(() => publisher.stop());
    await Promise.all([this.show.begin(), this.other.begin()]);
  }

  /** Opens a page with a player: the watch page, or a bare one. from is where its playlist is, the node if not given. */
  async open(player, show, from = this.node.http) {
    const sdk = `${this.node.http}/sdk/pushcart-cards.js`;
    const bare = `${this.pages}/page.html?player=${player}&src=${from}/live/${show.name}/index.m3u8&sdk=${sdk}`;
    const viewer = await Viewer.open(this.browser, names[player], player === 'watch' ? this.node.watch(show.name) : bare);
    viewer.show = show;
    return viewer;
  }

  /** Opens a page with each of the players. */
  everyPlayer(show) {
    return Object.keys(names).map((player) => this.open(player, show));
  }

  /** Takes what a page has recorded in a situation. */
  async record(situation, viewer) {
    this.report.add(situation, viewer, viewer.show, await viewer.take());
  }

  async close(viewer) {
    for (const complaint of await viewer.complain()) this.complaints.push(`${viewer.name}: ${complaint}`);
    await viewer.close();
  }

  /** Says what begins now. */
  tell(what) {
    this.test.diagnostic(`${((performance.now() - this.#begun) / 1000).toFixed(1)} s: ${what}`);
  }

  /** Takes everything down again. */
  async clear() {
    for (const end of this.#clear.splice(0).reverse()) await end();
    this.tell('over');
  }
}
