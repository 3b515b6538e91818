// The publish page in Chromium, with its fake camera and microphone, as a host uses it: against a node of the test's own,
// whose media end in another page, so that what was sent can be looked at.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch, open, picture, play, reach, screenshots, stats } from './browser.mjs';
import { devices, phone } from './devices.mjs';
import { Node } from './node.mjs';
import { FakeWhip } from './whip.mjs';

const limit = 30000;
const state = (page, wanted) => page.waitForSelector(`#publish[data-state="${wanted}"]`, { timeout: limit });
const until = (page, check, given) => page.waitForFunction(check, given, { timeout: limit, polling: 100 });

/** Asks until it holds, and says what it was otherwise. */
async function eventually(ask, holds) {
  const end = performance.now() + limit;
  for (;;) {
    const found = await ask();
    if (holds(found)) return found;
    if (performance.now() > end) throw new Error(`never so: ${JSON.stringify(found)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe('the publish page', { timeout: 240000 }, () => {
  let browser;

  before(async () => {
    browser = await launch(devices);
  });
  after(() => browser?.close());

  /** A node, and the page of a stream of it; both go with the test. */
  async function stage(t, { path = '/publish/show', ...options } = {}) {
    const node = await FakeWhip.start(browser);
    const opened = await open(browser, `${node.url}${path}`, options);
    t.after(async () => {
      await opened.close();
      await node.stop();
    });
    opened.page.setDefaultTimeout(limit);
    return { node, ...opened };
  }

  /** Turns camera and microphone on, where the browser has not been asked before. */
  async function ready(page) {
    await until(page, () => {
      const allow = document.querySelector('#allow');
      if (allow.checkVisibility() && !allow.dataset.pressed) {
        allow.dataset.pressed = 'true';
        allow.click();
      }
      return document.querySelector('#preview').videoWidth > 0;
    });
  }

  /** Goes live with the right key. */
  async function goLive(page, node) {
    await ready(page);
    await page.fill('#key', node.key);
    await page.click('#go');
    await state(page, 'live');
  }

  const flows = async (node) => {
    const from = (await node.look()).framesDecoded;
    return eventually(() => node.look(), ({ framesDecoded }) => framesDecoded > from + 15);
  };

  test('goes live, switches things on the way, and ends', async (t) => {
    const { node, page, complaints } = await stage(t, phone);
    assert.equal(await page.locator('#badge').textContent(), 'Off air');
    await ready(page);
    await page.screenshot({ path: join(screenshots, 'publish-ready.png') });
    await page.fill('#key', 'wrong');
    await page.tap('#go');
    await state(page, 'refused');
    await page.locator('#trouble', { hasText: 'The stream key is wrong.' }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.id), 'key');
    await page.fill('#key', node.key);
    await page.keyboard.press('Enter');
    await state(page, 'live');
    assert.equal(await page.locator('#badge').textContent(), 'LIVE');
    await until(page, () => /^0:0[1-9]$/.test(document.querySelector('#timer').textContent));
    await page.locator('#viewers', { hasText: '7 watching' }).waitFor();
    const seen = await flows(node);
    assert.deepEqual([seen.codec, seen.kinds], ['video/H264', 2]);
    await eventually(() => node.look(), ({ energy }) => energy > 0);
    await until(page, () => Number(document.querySelector('#level').getAttribute('aria-valuenow')) > 0);
    const [offer] = node.of('POST').slice(-1);
    assert.equal(offer.type, 'application/sdp');
    assert.ok(!offer.body.includes('a=candidate'), 'candidates are gathered after the answer');
    const patches = await eventually(() => node.of('PATCH'), (list) => list.some(({ status }) => status === 204));
    assert.ok(patches.every(({ status, match }) => status === 204 && match === '"1"'));
    await until(page, () => /Mbit\/s/.test(document.querySelector('#pulse').textContent));
    await page.screenshot({ path: join(screenshots, 'publish-live.png') });

    // The other camera takes the place of the first, in the same session.
    const camera = () => page.evaluate(() => document.querySelector('#preview').srcObject.getVideoTracks()[0].getSettings().deviceId);
    const first = await camera();
    await page.tap('#flip');
    await eventually(camera, (id) => id !== undefined && id !== first);
    await page.tap('#open-panel');
    await page.selectOption('#camera', { label: 'fake_device_3' });
    await page.tap('#close-panel');
    await flows(node);
    await page.tap('#mute');
    await page.locator('#hint', { hasText: 'Your microphone is muted.' }).waitFor();
    const silent = async () => {
      const before = (await node.look()).energy;
      await new Promise((resolve) => setTimeout(resolve, 2500));
      return (await node.look()).energy - before < 1e-6;
    };
    await eventually(silent, (yes) => yes);
    await page.tap('#mute');
    await page.tap('#hide');
    await page.locator('#hint', { hasText: 'Your camera is off.' }).waitFor();
    await eventually(() => node.look(), ({ brightness }) => brightness < 20);
    await page.tap('#hide');
    await eventually(() => node.look(), ({ brightness }) => brightness > 20);

    // A lower quality, in the same session still.
    await page.tap('#open-panel');
    await page.selectOption('#quality', '360');
    await eventually(() => node.look(), ({ videoWidth, videoHeight }) => Math.max(videoWidth, videoHeight) === 640);
    await page.screenshot({ path: join(screenshots, 'publish-panel.png') });
    assert.ok(await page.locator('#several').isDisabled());
    await page.keyboard.press('Escape');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'open-panel');
    assert.equal(node.of('POST').length, 2, 'one was refused, one is on');

    await page.tap('#go');
    await page.locator('dialog button', { hasText: 'Stay live' }).tap();
    assert.ok(node.sessions.size === 1);
    await page.tap('#go');
    await page.locator('dialog button.danger').tap();
    await state(page, 'off');
    await eventually(() => node.of('DELETE'), (list) => list.length === 1 && list[0].status === 200);
    await until(page, () => document.querySelector('#timer').textContent === '');
    assert.deepEqual(complaints.filter((what) => !/status of 40[14]/.test(what)), []);
  });

  test('keeps the key to the tab, unless it is to be remembered, and takes it from the address', async (t) => {
    const { node, page } = await stage(t, { path: '/publish/show#key=secret-key' });
    assert.equal(page.url(), `${node.url}/publish/show`);
    assert.equal(await page.inputValue('#key'), 'secret-key');
    assert.equal(await page.getAttribute('#key', 'type'), 'password');
    await page.click('#show-key');
    assert.equal(await page.getAttribute('#key', 'type'), 'text');
    await ready(page);
    await page.click('#go');
    await state(page, 'live');
    const kept = () => page.evaluate(() => [Object.values(sessionStorage).includes('secret-key'), Object.values(localStorage).includes('secret-key')]);
    assert.deepEqual(await kept(), [true, false]);
    page.on('dialog', (dialog) => dialog.accept());
    await page.reload();
    await eventually(() => node.sessions.size, (n) => n === 0);
    assert.equal(await page.inputValue('#key'), 'secret-key');
    await page.check('#remember');
    await ready(page);
    await page.click('#go');
    await state(page, 'live');
    assert.deepEqual(await kept(), [true, true]);
  });

  test('gets over interruptions by itself', async (t) => {
    const { node, page } = await stage(t);
    await goLive(page, node);
    await flows(node);
    // Another network: another way within the session.
    await page.evaluate(() => window.dispatchEvent(new Event('online')));
    await eventually(() => node.of('PATCH'), (list) => list.some(({ match, status }) => match === '*' && status === 200));
    await state(page, 'live');
    await flows(node);
    assert.equal(node.of('POST').length, 1);
    // A node that mends nothing: a new session takes over.
    node.restarts = false;
    await page.evaluate(() => window.dispatchEvent(new Event('online')));
    await eventually(() => node.of('POST').length, (n) => n === 2);
    await state(page, 'live');
    await flows(node);
    // A node that goes away and comes back.
    node.up = false;
    await node.kick();
    await page.locator('#state', { hasText: 'Reconnecting…' }).waitFor();
    await page.locator('#trouble', { hasText: 'The server gives no answer.' }).waitFor();
    await page.screenshot({ path: join(screenshots, 'publish-reconnecting.png') });
    node.up = true;
    await state(page, 'live');
    await flows(node);
    assert.equal(await page.locator('#trouble').textContent(), '');
    // The time on air is the show's, not the connection's.
    assert.ok(await page.evaluate(() => document.querySelector('#timer').textContent > '0:02'));
  });

  test('leaves the show to another device that has taken over, until its host wants it back', async (t) => {
    const { node, page } = await stage(t);
    await goLive(page, node);
    node.stream = 'live';
    await node.kick();
    await state(page, 'taken');
    await page.locator('#state', { hasText: 'Another device has taken over' }).waitFor();
    assert.equal(await page.locator('#go').textContent(), 'Take the show back');
    assert.equal(node.of('POST').length, 1);
    await page.click('#go');
    await state(page, 'live');
    await flows(node);
  });

  test('waits for a node that is full, and says what the node says', async (t) => {
    const { node, page } = await stage(t);
    node.refuse = ({ method }) => (method === 'POST' ? [503, 'The node has as many publishers as it may have.', { 'Retry-After': '1' }] : null);
    await ready(page);
    await page.fill('#key', node.key);
    await page.click('#go');
    await page.locator('#trouble', { hasText: 'as many publishers' }).waitFor();
    await eventually(() => node.of('POST').length, (n) => n >= 2);
    node.refuse = () => null;
    node.advice = ['Send a key frame each two seconds.'];
    await state(page, 'live');
    await page.locator('#advice li', { hasText: 'Send a key frame' }).waitFor();
    // What is refused for good is not asked again.
    node.refuse = ({ method }) => (method === 'POST' ? [409, 'Somebody else publishes under this name.'] : null);
    await node.kick();
    await state(page, 'refused');
    await page.locator('#trouble', { hasText: 'Somebody else publishes under this name.' }).waitFor();
    assert.equal(await page.locator('#go').textContent(), 'Go live');
  });

  test('sends several qualities on demand', async (t) => {
    const { node, page } = await stage(t);
    await ready(page);
    await page.selectOption('#shape', 'upright');
    await until(page, () => document.querySelector('#preview').videoHeight > document.querySelector('#preview').videoWidth);
    await page.check('#several');
    await goLive(page, node);
    const [{ body }] = node.of('POST');
    assert.match(body, /a=rid:low send\r\n.*a=rid:mid send\r\n.*a=rid:high send\r\n/s);
    assert.match(body, /a=simulcast:send low;mid;high/);
    await page.screenshot({ path: join(screenshots, 'publish-desktop.png') });
    // It is chosen for the next time, too.
    const again = await page.context().newPage();
    await again.goto(`${node.url}/publish/other`);
    assert.ok(await again.isChecked('#several'));
    assert.equal(await again.inputValue('#shape'), 'upright');
  });

  test('says why there is no camera', async (t) => {
    const { page, node } = await stage(t);
    const refusing = (name) =>
      page.context().addInitScript((given) => {
        if (given === 'insecure') delete Navigator.prototype.mediaDevices;
        else if (navigator.mediaDevices) {
          MediaDevices.prototype.getUserMedia = async ({ video, audio }) => {
            if (given === 'camera only' && video && !audio) throw new DOMException('', 'NotFoundError');
            if (given === 'camera only' && !video) return window.silence();
            throw new DOMException('', given === 'camera only' ? 'NotFoundError' : given);
          };
        }
        window.silence = () => new AudioContext().createMediaStreamDestination().stream;
      }, name);
    for (const [name, words] of [
      ['NotAllowedError', 'Camera and microphone are not allowed.'],
      ['NotFoundError', 'No camera and no microphone were found.'],
      ['NotReadableError', 'used by another program'],
      ['camera only', 'No camera was found.'],
      ['insecure', 'on https pages only'],
    ]) {
      await refusing(name);
      await page.reload();
      if (name !== 'insecure') {
        await until(page, () => document.querySelector('#allow').checkVisibility() || document.querySelector('#veil-more').textContent.includes('.'));
        if (await page.locator('#allow').isVisible()) await page.click('#allow');
      }
      await page.locator('#veil-more', { hasText: words }).waitFor();
      assert.equal(await page.locator('#allow').isVisible(), name !== 'insecure', name);
      if (name === 'NotAllowedError') await page.screenshot({ path: join(screenshots, 'publish-denied.png') });
    }
    await page.click('#go');
    assert.equal(node.of('POST').length, 0, 'nothing is sent without camera and microphone');
  });

  test('fits screens of all sizes, in both directions, and speaks its hosts’ languages', async (t) => {
    const { page, node, complaints } = await stage(t, { ...phone, locale: 'es-MX' });
    assert.equal(await page.locator('#key-label').textContent(), 'Clave de emisión');
    await goLive(page, node);
    await page.locator('#badge', { hasText: 'EN VIVO' }).waitFor();
    const misfits = () =>
      page.evaluate(() => {
        const buttons = [...document.querySelectorAll('button, select, #key')].filter((one) => one.checkVisibility());
        const small = buttons.map((one) => [one.id, one.getBoundingClientRect()]).filter(([, box]) => box.height < 44);
        const out = buttons.map((one) => [one.id, one.getBoundingClientRect()]).filter(([, box]) => box.left < 0 || box.right > innerWidth);
        const unnamed = buttons.filter((one) => !(one.ariaLabel ?? '') && !one.textContent.trim() && !one.labels?.length);
        const { scrollWidth } = document.documentElement;
        return [...small, ...out].map(([id]) => id).concat(unnamed.map(({ id }) => `${id} has no name`), scrollWidth > innerWidth ? ['page'] : []);
      });
    for (const [name, width, height] of [['phone', 390, 844], ['small', 320, 568], ['side', 844, 390], ['tablet', 820, 1180], ['desktop', 1280, 800]]) {
      await page.setViewportSize({ width, height });
      for (const dir of ['ltr', 'rtl']) {
        await page.evaluate((given) => (document.documentElement.dir = given), dir);
        await page.screenshot({ path: join(screenshots, `publish-${name}-${dir}.png`) });
        assert.deepEqual(await misfits(), [], `${name} ${dir}`);
      }
    }
    assert.deepEqual(complaints.filter((what) => !/status of 404/.test(what)), []);
  });
});

describe('the publish page with a node', { timeout: 240000 }, () => {
  let browser;
  let node;

  before(async () => {
    node = await Node.start({ PUSHCART_PUBLISH_KEYS: 'show=a-good-key,several=another-key', PUSHCART_PUBLISH_RECONNECT_WINDOW: '60s' });
    browser = await launch(devices);
  });
  after(async () => {
    await browser?.close();
    await node?.stop();
  });

  test('viewers see the show, its interruptions and its end', async () => {
    const { page, complaints, close } = await open(browser, `${node.live('show')}#key=a-wrong-key`, phone);
    page.setDefaultTimeout(limit);
    await until(page, () => document.querySelector('#preview').videoWidth > 0);
    await page.tap('#go');
    await state(page, 'refused');
    assert.match(await page.locator('#trouble').textContent(), /key/);
    await page.fill('#key', 'a-good-key');
    await page.keyboard.press('Enter');
    await state(page, 'live');
    const viewer = await open(browser, node.watch('show'));
    await reach(viewer.page, 'playing');
    await play(viewer.page, 5);
    const seen = await stats(viewer.page);
    assert.deepEqual([seen.width, seen.height], [1280, 720]);
    assert.ok((await picture(viewer.page)).brightness > 20);
    await viewer.page.screenshot({ path: join(screenshots, 'publish-watched.png') });
    await page.locator('#viewers', { hasText: '1 watching' }).waitFor();

    // Another network: the same session goes on, and viewers notice nothing.
    await page.evaluate(() => window.dispatchEvent(new Event('online')));
    await state(page, 'recovering');
    await state(page, 'live');
    await play(viewer.page, 3);
    assert.equal((await stats(viewer.page)).opened, 1);

    // The node crashes and comes back: both pages get over it.
    await node.crash();
    await page.locator('#state', { hasText: 'Reconnecting…' }).waitFor();
    await node.run();
    await state(page, 'live');
    await reach(viewer.page, 'playing', 60000);
    await play(viewer.page, 3);

    // A second device with the same key takes over, and the first leaves it the show.
    const second = await open(browser, `${node.live('show')}#key=a-good-key`, phone);
    await until(second.page, () => document.querySelector('#preview').videoWidth > 0);
    await second.page.tap('#go');
    await state(second.page, 'live');
    await state(page, 'taken');
    await play(viewer.page, 3);
    await second.page.tap('#go');
    await second.page.locator('dialog button.danger').tap();
    await state(second.page, 'off');
    const from = await fetch(`${node.http}/api/v1/streams/show`);
    assert.notEqual((await from.json()).state, 'live');
    assert.deepEqual(complaints.filter((what) => !/status of 4|net::ERR_/.test(what)), []);
    for (const opened of [second, viewer]) await opened.close();
    await close();
  });

  test('a browser without H.264, and a node that converts nothing: VP9 is seen, VP8 is refused with a sentence', async (t) => {
    const node = await Node.start({ PUSHCART_PUBLISH_KEYS: 'codecs=a-third-key', PUSHCART_LADDER_CONVERT: 'false' });
    t.after(() => node.stop());
    const only = async (codec) => {
      const opened = await open(browser, 'about:blank', phone);
      await opened.page.addInitScript((kind) => {
        const all = RTCRtpSender.getCapabilities.bind(RTCRtpSender);
        RTCRtpSender.getCapabilities = (what) => {
          const found = all(what);
          if (what === 'video') found.codecs = found.codecs.filter(({ mimeType }) => mimeType === `video/${kind}`);
          return found;
        };
      }, codec);
      opened.page.setDefaultTimeout(limit);
      await opened.page.goto(`${node.live('codecs')}#key=a-third-key`);
      await until(opened.page, () => document.querySelector('#preview').videoWidth > 0);
      await opened.page.tap('#go');
      return opened;
    };
    const refused = await only('VP8');
    await state(refused.page, 'refused');
    assert.match(await refused.page.locator('#trouble').textContent(), /VP8.*H\.264/);
    await refused.close();

    const seen = await only('VP9');
    await state(seen.page, 'live');
    const viewer = await open(browser, node.watch('codecs'));
    await reach(viewer.page, 'playing');
    await play(viewer.page, 3);
    assert.ok((await picture(viewer.page)).brightness > 20);
    assert.match(await (await fetch(`${node.http}/live/codecs/index.m3u8`)).text(), /CODECS="vp09\.00/);
    await viewer.close();
    await seen.close();
  });

  test('is found from the list of live streams, and sends viewers several qualities', async () => {
    const { page, close } = await open(browser, node.http);
    page.setDefaultTimeout(limit);
    await page.fill('#stream', 'my show');
    await page.click('#go');
    await page.locator('#stream-error', { hasText: 'A name begins with' }).waitFor();
    await page.fill('#stream', 'several');
    await page.click('#go');
    await page.waitForURL('**/publish/several');
    await page.fill('#key', 'another-key');
    await until(page, () => document.querySelector('#preview').videoWidth > 0);
    await page.check('#several');
    await page.click('#go');
    await state(page, 'live');
    // Players read the list of renditions once; who comes in the show's first second may miss one.
    const main = async () => (await fetch(`${node.http}/live/several/index.m3u8`)).text();
    await eventually(main, (text) => new Set(text.match(/^video.*\.m3u8$/gm)).size === 3);
    const viewer = await open(browser, node.watch('several'));
    await reach(viewer.page, 'playing');
    await until(viewer.page, () => document.querySelectorAll('#sizes option').length === 4);
    const sizes = await viewer.page.locator('#sizes option').allTextContents();
    assert.deepEqual(sizes, ['Auto', '720p', '360p', '180p']);
    for (const height of [180, 720]) {
      await viewer.page.selectOption('#sizes', { label: `${height}p` });
      await until(viewer.page, (lines) => window.pushcart.height === lines, height);
      await play(viewer.page, 2);
    }
    assert.equal((await stats(viewer.page)).fatalErrors, 0);
    await viewer.close();
    await close();
  });
});
