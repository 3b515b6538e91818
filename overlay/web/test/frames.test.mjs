// The proof that cards are shown with the picture they are meant for: a stream whose pictures have their number burned in,
// real Chromium, and the number that is on the screen when a card comes, changes or goes.
//
// What a page has on its screen is read in an animation frame callback, the last script before the page is painted: the
// number off the video element, the cards off the document. A card is late by the number of the first picture painted with
// it less the number of the picture meant, which is read from the media, byte by byte, and compared with what was asked for.
// Of one page pictures of the screen itself are taken, as Chromium's compositor put it together, and read the same way.
//
// On a machine without time to spare Chromium drops pictures, and does not tell a page of each: a card whose very picture was
// never there cannot come with it. So changes are counted twice: "exact" are those of whose very picture the page was told,
// and "told" is how many pictures a page was told of, from the one meant on, before the card was there. Where pages are told
// of too few pictures altogether exactness is not judged, and that is said. Never early holds for all, and on every machine.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Glass } from './frames/glass.mjs';
import { rate } from './frames/picture.mjs';
import { ways } from './frames/rtmp.mjs';
import { Stage } from './frames/stage.mjs';

/** Frames from one change to the next: not a multiple of a part's five, so that changes fall anywhere in one. */
const step = 14;
const all = [...ways, 'now', 'at'];

test('cards are shown with the picture they are meant for', { timeout: 240000 }, async (t) => {
  const stage = await Stage.set(t);
  const { show, other, report } = stage;
  try {
    await show.host.stay();
    const stayed = show.publisher.last;
    const [old, first] = await live(stage);
    await backAndSwitched(stage, old, first);
    await show.publisher.sent(stayed + 20 * rate);
    const [late, glass, pictures] = await joined(stage);
    await crashed(stage, late);

    stage.tell('reading');
    report.glass(await glass.read(stage.browser, pictures), show);
    for (const line of report.lines()) console.log(line);
    assert.deepEqual(stage.complaints, []);
    show.judge();
    other.judge();
    report.judge();
  } finally {
    await stage.clear();
  }
});

/** Those who watch from the beginning, and a stream with B-frames. Returns them, and the frame of the first change. */
async function live(stage) {
  stage.tell('live');
  const { show, other } = stage;
  const [reordered, ...old] = await Promise.all([stage.open('hls', other), ...stage.everyPlayer(show)]);
  await painted([...old, reordered], 0);
  const first = show.publisher.last + step;
  await Promise.all([show.changes(16, step, all), other.changes(20, step - 3, ways)]);
  await Promise.all([painted(old, show.last), painted([reordered], other.last)]);
  for (const viewer of old) await stage.record('live', viewer);
  await stage.record('live, B-frames', reordered);
  await stage.close(reordered);
  await other.read();
  await other.publisher.stop();
  return [old, first];
}

/** They go back to before the first change, watch seven of them again, and return; others change the rendition meanwhile. */
async function backAndSwitched(stage, old, first) {
  stage.tell('back and forward, and from one rendition to the other');
  const { show } = stage;
  const switching = await Promise.all(['hls', 'shaka'].map((player) => stage.open(player, show, stage.twice)));
  await painted(switching, 0);
  await Promise.all([
    show.changes(14, step, all),
    ...old.map(async (viewer) => {
      await viewer.back(first - 5);
      await viewer.painted(first + 7 * step);
      await viewer.forward();
      await viewer.painted(show.publisher.last);
    }),
    ...switching.map(async (viewer) => {
      for (const high of [false, true, false, true]) {
        await viewer.quality(high);
        await viewer.painted((await viewer.frame()) + step);
      }
    }),
  ]);
  await painted([...old, ...switching], show.last);
  for (const viewer of old) await stage.record('back over changes and forward', viewer);
  for (const viewer of switching) await stage.record('switching renditions', viewer);
  for (const viewer of [...old, ...switching]) await stage.close(viewer);
}

/** Those who come later. Returns them, and pictures of the screen of one. */
async function joined(stage) {
  stage.tell('joined 20 s later');
  const { show } = stage;
  const late = await Promise.all(stage.everyPlayer(show));
  await painted(late, 0);
  const glass = await Glass.over(late[1]);
  await show.changes(10, step, all);
  await painted(late, show.last);
  const pictures = await glass.stop();
  for (const viewer of late) await stage.record('joined 20 s after a card was shown', viewer);
  return [late, glass, pictures];
}

/** The node is killed and started again, and its publisher comes back. */
async function crashed(stage, late) {
  stage.tell('the node is killed and comes back');
  const { show, node } = stage;
  await show.read();
  await node.crash();
  await show.publisher.stop();
  await node.run();
  await show.begin();
  await painted(late, show.publisher.first);
  await show.changes(10, step, all);
  await painted(late, show.last);
  for (const viewer of late) await stage.record('after a crash of the node', viewer);
  for (const viewer of late) await stage.close(viewer);
  await show.read();
}

const painted = (viewers, frame) => Promise.all(viewers.map((viewer) => viewer.painted(frame)));
