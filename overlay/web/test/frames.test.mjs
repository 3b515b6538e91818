// The proof that cards are shown with the picture they are meant for: a stream whose pictures have their number burned in,
// real Chromium, and the number that is on the screen when a card comes, changes or goes.
//
// What a page has on its screen is read in an animation frame callback, the last script before the page is painted: the
// number off the video element, the cards off the document. A card is late by the number of the first picture painted with
// it less the number of the picture meant. A picture of the screen itself, as Chromium's compositor put it together, is
// taken of one page, and read the same way.
//
// On a machine without time to spare Chromium drops pictures, and a page is not told of each: a card whose very picture was
// never shown cannot come with it. Such changes are counted apart: "picture was told" are those of which the page was told
// of the very picture meant; "told between" is how many pictures a page was told of, from the one meant on, before the
// card was there. Never early holds for all.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { launch } from './browser.mjs';
import { makeClip } from './frames/clip.mjs';
import { Glass } from './frames/glass.mjs';
import { Host } from './frames/host.mjs';
import { Report } from './frames/report.mjs';
import { ways, Publisher } from './frames/rtmp.mjs';
import { serve } from './frames/server.mjs';
import { Show } from './frames/show.mjs';
import { rate } from './frames/picture.mjs';
import { Viewer } from './frames/viewer.mjs';
import { Node } from './node.mjs';

const key = 'the-publisher-of-the-show';
const token = 'the-operator-of-the-show';
/** Frames from one change to the next: not a multiple of a part's five, so that changes fall anywhere in one. */
const step = 14;

test('cards are shown with the picture they are meant for', { timeout: 240000 }, async (t) => {
  const begun = performance.now();
  const data = await mkdtemp(join(tmpdir(), 'pushcart-frames-'));
  const [plain, reordered] = await Promise.all([makeClip(160 * rate), makeClip(60 * rate, { reorder: true })]);
  const node = await Node.start({
    PUSHCART_DATA_DIRECTORY: data,
    PUSHCART_HLS_DVR: '3m',
    PUSHCART_PUBLISH_KEYS: `plain=${key},reordered=${key}`,
    PUSHCART_STUDIO_TOKENS: `*=${token}`,
  });
  const server = await serve(node);
  const browser = await launch();
  const report = new Report();
  const phase = (name) => t.diagnostic(`${((performance.now() - begun) / 1000).toFixed(1)} s: ${name}`);
  const sdk = `${node.http}/sdk/pushcart-cards.js`;
  const bare = (player, name, from = node.http) =>
    `${server.origin}/page.html?player=${player}&src=${from}/live/${name}/index.m3u8&sdk=${sdk}`;
  const open = {
    watch: () => Viewer.open(browser, 'watch page (hls.js)', node.watch('plain')),
    hls: () => Viewer.open(browser, 'hls.js', bare('hls', 'plain')),
    shaka: () => Viewer.open(browser, 'Shaka', bare('shaka', 'plain')),
  };
  const publishers = [];
  try {
    const show = new Show(node, 'plain', new Publisher(plain, `${node.rtmp}/plain?key=${key}`), new Host(node.http, 'plain', token));
    const other = new Show(node, 'reordered', new Publisher(reordered, `${node.rtmp}/reordered?key=${key}`), new Host(node.http, 'reordered', token));
    publishers.push(show.publisher, other.publisher);
    await Promise.all([show.begin(), other.begin()]);
    await show.host.stay();
    const stayed = show.publisher.last;

    phase('live');
    const [watch, hls, shaka, reorder] = await Promise.all([
      open.watch(), open.hls(), open.shaka(), Viewer.open(browser, 'hls.js', bare('hls', 'reordered')),
    ]);
    const old = [watch, hls, shaka];
    await Promise.all([...old, reorder].map((viewer) => viewer.painted(0)));
    const first = show.publisher.last + step;
    await Promise.all([
      show.changes(16, step, [...ways, 'now', 'at']),
      other.changes(16, step, ways),
    ]);
    await Promise.all([...old.map((v) => v.painted(show.last)), reorder.painted(other.last)]);
    for (const viewer of old) report.add('live', viewer, show, await viewer.take());
    report.add('live, B-frames', reorder, other, await reorder.take());
    await reorder.close();
    await other.read();
    await other.publisher.stop();

    phase('back and forward, and another rendition');
    const switching = await Promise.all(['hls', 'shaka'].map((player) =>
      Viewer.open(browser, { hls: 'hls.js', shaka: 'Shaka' }[player], bare(player, 'plain', server.origin))));
    await Promise.all([
      show.changes(14, step, [...ways, 'now', 'at']),
      ...old.map(async (viewer) => {
        await viewer.back(first - 5);
        await viewer.painted(first + 7 * step);
        await viewer.forward();
        await viewer.painted(show.publisher.last);
      }),
      ...switching.map(async (viewer) => {
        await viewer.painted(0);
        for (const high of [false, true, false, true]) {
          await viewer.quality(high);
          await viewer.painted((await viewer.frame()) + step);
        }
      }),
    ]);
    await Promise.all([...old, ...switching].map((viewer) => viewer.painted(show.last)));
    for (const viewer of old) report.add('back over changes and forward', viewer, show, await viewer.take());
    for (const viewer of switching) {
      report.add('switching renditions', viewer, show, await viewer.take());
      await viewer.close();
    }

    for (const viewer of old) await viewer.close();

    phase('joined later');
    await show.publisher.sent(stayed + 20 * rate);
    const late = await Promise.all([open.watch(), open.hls(), open.shaka()]);
    await Promise.all(late.map((viewer) => viewer.painted(0)));
    const glass = await Glass.over(late[1]);
    await show.changes(10, step, [...ways, 'now', 'at']);
    await Promise.all(late.map((viewer) => viewer.painted(show.last)));
    const pictures = await glass.stop();
    for (const viewer of late) report.add('joined 20 s after a card was shown', viewer, show, await viewer.take());

    phase('the node is killed and comes back');
    await show.read();
    await node.crash();
    await show.publisher.stop();
    await node.run();
    await show.begin();
    await Promise.all(late.map((viewer) => viewer.painted(show.publisher.first, 40000)));
    await show.changes(10, step, [...ways, 'now', 'at']);
    await Promise.all(late.map((viewer) => viewer.painted(show.last)));
    for (const viewer of late) report.add('after a crash of the node', viewer, show, await viewer.take());
    await show.read();

    phase('reading');
    report.glass(await glass.read(browser, pictures), show);
    for (const line of report.lines()) console.log(line);
    for (const viewer of late) assert.deepEqual(viewer.complaints, [], viewer.name);
    show.judge();
    other.judge();
    report.judge();
  } finally {
    await browser.close();
    for (const publisher of publishers) await publisher.stop();
    await server.close();
    await node.stop();
    await rm(data, { recursive: true, force: true });
    phase('over');
  }
});
