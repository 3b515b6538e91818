// The SDK as it is built, with real players in Chromium: with which picture does each card come? Every frame of the film has
// its number burned in, and it is read off the screen in the moment in which the SDK tells of a change.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { after, before, describe, test } from 'node:test';
import { launch } from './browser.mjs';
import { rate } from './film.mjs';
import { begin, Origin } from './origin.mjs';

const seconds = 20;

// Each test has an origin and pages of its own; most of what they do is to wait for the film to go on.
describe('the SDK', { timeout: 120000, concurrency: 3 }, () => {
  let browser;

  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  /** An origin with some states, and what opens its page with a player; both go with the test. */
  async function stage(t) {
    const origin = await Origin.start(seconds);
    t.after(() => origin.stop());
    const [lamp, lamp2, chair] = [origin.card('lamp', 1), origin.card('lamp', 2), origin.card('chair', 1)];
    origin.states = [
      { frame: 0, slots: {} },
      { frame: 37, slots: { main: lamp } },
      { frame: 62, slots: { main: lamp2, offer: chair } },
      { frame: 95, slots: { main: lamp2 } },
      { frame: 96, slots: { main: chair } },
      { frame: 130, slots: {} },
      { frame: 371, slots: { main: lamp } },
      { frame: 500, slots: { main: lamp2 } },
    ];
    const blank = async (path = '/') => {
      const context = await browser.newContext();
      t.after(() => context.close());
      const page = await context.newPage();
      page.on('pageerror', (error) => assert.fail(error));
      await page.goto(`${origin.url}${path}`);
      return page;
    };
    const open = async (player, options = { languages: ['en'] }) => {
      const page = await blank();
      await page.waitForFunction(() => window.ready);
      await page.evaluate(([name, given]) => window[name](given), [player, options]);
      await page.waitForFunction(() => document.querySelector('video').readyState >= 2, undefined, { timeout: 30000, polling: 50 });
      return page;
    };
    return { origin, lamp, lamp2, chair, blank, open };
  }

  /** Plays to a frame and returns what was told on the way, and which frames the browser has shown. */
  async function playTo(page, frame) {
    await page.evaluate(() => {
      pictures.length = 0;
      return document.querySelector('video').play();
    });
    await page.waitForFunction((end) => document.querySelector('video').currentTime >= end, frame / rate, { timeout: 30000, polling: 50 });
    await page.evaluate(() => document.querySelector('video').pause());
    return news(page);
  }

  const news = (page) => page.evaluate(() => log.splice(0));
  const said = (events) => events.map(({ type, slot, card, rev }) => `${type} ${slot} ${card}/${rev}`);

  /** Seeks, and waits for the frame there and what is shown with it. */
  async function seek(page, frame, shown) {
    await page.evaluate((time) => (document.querySelector('video').currentTime = time), (frame + 0.5) / rate);
    const there = ([wanted, frame]) => {
      const list = [...cards.shown.values()].map(({ slot, card }) => `${slot} ${card.id}/${card.rev}`);
      return list.sort().join() === wanted && onScreen() === frame;
    };
    await page.waitForFunction(there, [shown, frame], { timeout: 30000, polling: 50 });
  }

  /**
   * Holds events to frames: each is told with the first frame from its own on that the browser told the page of, and that
   * frame, or on a machine that is short of time a later one, is on the screen.
   */
  async function withTheirFrames(page, events, frames) {
    const pictures = await page.evaluate(() => window.pictures);
    events.forEach(({ type, slot, card, rev, frame, mediaTime }, i) => {
      const what = `${type} ${slot} ${card}/${rev} at ${mediaTime} s, frame ${frame} on the screen, meant for ${frames[i]}`;
      const first = pictures.find((time) => Math.round(time * rate) >= frames[i]);
      assert.equal(mediaTime, first, `${what}; told of ${pictures.join(' ')}`);
      assert.ok(frame >= frames[i], what);
    });
  }

  const course = [
    ['show main lamp/1', 37],
    ['show offer chair/1', 62],
    ['update main lamp/2', 62],
    ['hide offer chair/1', 95],
    ['hide main lamp/2', 96],
    ['show main chair/1', 96],
    ['hide main chair/1', 130],
  ];

  /**
   * Holds events to the course of the film from one frame to another: all of it was told, each with its frame. On a machine
   * that is short of time the film may have run further than it was to.
   */
  async function onCourse(page, events, from, to) {
    const told = said(events);
    const due = course.filter(([, frame]) => frame >= from && frame <= to).map(([what]) => what);
    assert.deepEqual(due.filter((what) => !told.includes(what)), [], `not told; told: ${told.join(', ')}`);
    const meant = told.map((what) => course.find(([one]) => one === what)?.[1]);
    assert.ok(!meant.includes(undefined), `told: ${told.join(', ')}`);
    await withTheirFrames(page, events, meant);
  }

  for (const player of ['hls', 'shaka']) {
    test(`with ${player}: cards come with their frame, wherever the viewer goes`, async (t) => {
      const { open } = await stage(t);
      const page = await open(player);
      const events = await playTo(page, 140);
      await onCourse(page, events, 0, 140);
      assert.ok(events.every(({ verified }) => verified));
      // The date is the one of the picture, to a frame.
      for (const { mediaTime, date } of events) {
        assert.ok(Math.abs(Date.parse(date) - begin - mediaTime * 1000) < 1000 / rate, `${mediaTime} s is said to be ${date}`);
      }
      await seek(page, 40, 'main lamp/1');
      await seek(page, 36, '');
      await seek(page, 37, 'main lamp/1');
      await seek(page, 94, 'main lamp/2,offer chair/1');
      await seek(page, 300, '');
      await seek(page, 370, '');
      await news(page);

      // Another rendition: its messages are the same.
      const width = await page.evaluate((name) => {
        const shown = document.querySelector('video').videoWidth;
        if (name === 'hls') player.currentLevel = player.levels.findIndex(({ width }) => width !== shown);
        else {
          player.configure('abr.enabled', false);
          player.selectVariantTrack(player.getVariantTracks().find(({ width }) => width !== shown), true);
        }
        return shown;
      }, player);
      await seek(page, 350, '');
      await page.waitForFunction((old) => document.querySelector('video').videoWidth !== old, width, { timeout: 30000, polling: 50 });
      const later = await playTo(page, 380);
      assert.deepEqual(said(later), ['show main lamp/1']);
      await withTheirFrames(page, later, [371]);
    });

    test(`with ${player}: a jump of the media's time at a discontinuity changes nothing`, async (t) => {
      const { origin, open } = await stage(t);
      origin.cutAt = 2;
      const page = await open(player);
      await seek(page, 50, 'main lamp/1');
      await news(page);
      const events = await playTo(page, 70);
      await onCourse(page, events, 51, 70);
      await seek(page, 40, 'main lamp/1');
      await seek(page, 97, 'main chair/1');
    });

    test(`with ${player}: date ranges stand in where the messages are gone`, async (t) => {
      const { origin, open } = await stage(t);
      origin.inBand = false;
      origin.dateRanges = true;
      const page = await open(player);
      await seek(page, 50, 'main lamp/1');
      await news(page);
      const events = await playTo(page, 104);
      // Each revision is a range of its own; those of one time may come in any order.
      assert.ok(events.every(({ verified, type }) => !verified || type === 'rejected'), JSON.stringify(events));
      await onCourse(page, events, 51, 104);
      const strict = await open(player, { languages: ['en'], verify: 'require' });
      await playTo(strict, 45);
      assert.equal(await strict.evaluate(() => cards.shown.size), 0);
    });
  }

  test('with hls: another instance on the same element, in the middle of a show', async (t) => {
    const { open } = await stage(t);
    const page = await open('hls');
    await seek(page, 60, 'main lamp/1');
    await news(page);
    const shown = await page.evaluate(async () => {
      player.destroy();
      await hls({}, { startPosition: 9 });
      return cards.shown.get('main')?.card.id;
    });
    // What was shown stays until the first picture of the new instance.
    assert.equal(shown, 'lamp');
    await page.evaluate(() => document.querySelector('video').play());
    await page.waitForFunction(() => cards.shown.size === 0, undefined, { timeout: 30000, polling: 50 });
    await page.evaluate(() => document.querySelector('video').pause());
    const [gone] = await news(page);
    assert.equal(gone.type, 'hide');
    assert.ok(gone.frame >= 270, `frame ${gone.frame}`);
    await seek(page, 40, 'main lamp/1');
  });

  test('with hls that plays already, and reads in a worker', async (t) => {
    const { blank } = await stage(t);
    const late = await blank();
    await late.waitForFunction(() => window.ready);
    await late.evaluate(async () => {
      const { default: Hls } = await import('/hls.js');
      window.player = new Hls({ enableWorker: true });
      player.loadSource('/live/show/index.m3u8');
      player.attachMedia(document.querySelector('video'));
      await document.querySelector('video').play();
    });
    await late.waitForFunction(() => document.querySelector('video').buffered.length > 0, undefined, { timeout: 30000, polling: 50 });
    await late.evaluate(() => listen(player, { languages: ['en'] }));
    await late.evaluate(() => document.querySelector('video').pause());
    // The first segment's cues hls.js loses by itself, when the track that it puts them on has loaded.
    await seek(late, 70, 'main lamp/2,offer chair/1');
    await news(late);
    const events = await playTo(late, 110);
    await onCourse(late, events, 71, 110);
  });

  test('with hls: a state that was altered on the way is not shown, and the page is told', async (t) => {
    const { origin, lamp, chair, open } = await stage(t);
    const { states } = origin;
    const real = origin.signer.token({ seq: 2, slots: { main: lamp } });
    const [header, , signature] = real.split('.');
    const payload = Buffer.from(JSON.stringify({ v: 1, stream: 'show', epoch: 1, seq: 2, slots: { main: chair } })).toString('base64url');
    origin.states = [states[0], { ...states[1], token: `${header}.${payload}.${signature}` }, ...states.slice(2)];
    const page = await open('hls');
    await page.waitForFunction(() => log.some(({ type }) => type === 'rejected'), undefined, { timeout: 30000, polling: 50 });
    const events = await playTo(page, 70);
    assert.deepEqual(events.filter(({ type }) => type === 'rejected').map(({ reason }) => reason), ['signature']);
    const told = said(events.filter(({ type }) => type !== 'rejected'));
    assert.deepEqual(told.slice(0, 2).sort(), ['show main lamp/2', 'show offer chair/1']);
  });

  test('the example of the README does what it says, in ten lines', async (t) => {
    const { origin, lamp, lamp2, chair, blank } = await stage(t);
    origin.states = [{ frame: 0, slots: { main: lamp } }, { frame: 30, slots: { main: lamp2, offer: chair } }, { frame: 45, slots: { offer: chair } }];
    const page = await blank('/example');
    const lines = await page.evaluate(() => document.scripts[0].text.trim().split('\n').filter((line) => line !== '').length);
    assert.ok(lines <= 10, `${lines} lines`);
    const text = (id, wanted) =>
      page.waitForFunction(([id, wanted]) => document.getElementById(id).textContent.trim() === wanted, [id, wanted], { timeout: 30000, polling: 50 });
    await text('main', 'lamp 1');
    await page.evaluate(() => document.querySelector('video').play());
    await text('offer', 'chair 1');
    await text('main', '');
  });

  test('its types stand alone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pushcart-types-'));
    const web = fileURLToPath(new URL('..', import.meta.url));
    try {
      const program = `
        import { attach, countdown, fromHls, localise, type Card, type CardEvent, type Feed } from '${web}dist/sdk/pushcart-cards.js';
        const cards = attach(document.createElement('video'), fromHls({}), { languages: 'de', verify: 'require' });
        const show = (event: CardEvent): string => event.card.name.text + (event.card.price?.text ?? '');
        cards.addEventListener('show', (event) => void show(event));
        cards.addEventListener('rejected', ({ reason }) => void (reason satisfies string));
        const card: Card | null = localise({}, { languages: [] });
        const left: number = card?.promotion ? countdown(card.promotion.endsAt, cards.date()).total : 0;
        const feed: Feed | null = null;
        cards.use(feed);
        // @ts-expect-error: there is no such event
        cards.addEventListener('shown', (event: CardEvent) => void show(event));
        // @ts-expect-error: a name may be in any language, and is no string
        const name: string = card!.name;
        void [left, name];`;
      await writeFile(join(folder, 'page.mts'), program);
      const options = ['--ignoreConfig', '--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--lib', 'es2022,dom,dom.iterable', '--types', ''];
      const compiled = promisify(execFile)(join(web, 'node_modules/.bin/tsc'), [...options, join(folder, 'page.mts')]);
      await compiled.catch(({ stdout }) => assert.fail(stdout));
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
