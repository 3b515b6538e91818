// A show that is played by signed addresses only: the watch page in Chromium below one, and an operator whose token only reads.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { launch, open, picture, play, reach, stats } from './browser.mjs';
import { Node } from './node.mjs';

const binary = process.env.PUSHCART_BIN ?? fileURLToPath(new URL('../../../bin/pushcart', import.meta.url));
const key = 'k1:0123456789abcdef0123456789abcdef';
const producer = 'signed-test-producer-0123';
const viewer = 'signed-test-viewer-0123';

/** What `pushcart sign` prints. */
async function sign(node, ...terms) {
  const { stdout } = await promisify(execFile)(binary, ['sign', 'show', '--key', key, '--url', node.http, ...terms], { env: {} });
  return stdout.trim();
}

/** Complaints that are none: the browser's own lines about the answers by which the node turns somebody away. */
const real = (complaints) => complaints.filter((line) => !/status of (401|403)/.test(line));

describe('a show that is played by signed addresses only', { timeout: 60000, concurrency: 3 }, () => {
  let node;
  let browser;

  before(async () => {
    [node, browser] = await Promise.all([
      Node.start({
        PUSHCART_PLAYBACK_KEYS: key.replace(':', '='),
        PUSHCART_STUDIO_TOKENS: `[{stream: show, token: ${producer}}, {stream: show, token: ${viewer}, role: viewer}]`,
        PUSHCART_LADDER_FFMPEG: '',
      }),
      launch(),
    ]);
    node.publish('show');
  });
  after(async () => {
    await browser?.close();
    await node?.stop();
  });

  test('plays below a signed address, with its cards, and says so when the address expires in mid-show', async () => {
    const address = await sign(node, '--expires', '19s');
    const { page, complaints, close } = await open(browser, address);
    const asked = [];
    page.on('request', (request) => asked.push(new URL(request.url()).pathname));
    await reach(page, 'playing');
    const api = (method, path, body) =>
      fetch(`${node.http}/api/v1/streams/show${path}`, {
        method,
        headers: { Authorization: `Bearer ${producer}`, 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
      });
    assert.equal((await api('PUT', '/cards/lamp', { id: 'lamp', name: 'Lamp of the show' })).status, 201);
    assert.equal((await api('PUT', '/slots/main', { card: 'lamp' })).status, 200);
    await page.waitForFunction(() => document.querySelector('#overlay')?.innerText.includes('Lamp of the show'), undefined, { timeout: 8000 });
    assert.ok((await picture(page)).colours > 20);
    const prefix = new URL(address).pathname.split('/').slice(0, 3).join('/');
    const media = asked.filter((path) => path.includes('/live/'));
    assert.ok(media.length > 5 && media.every((path) => path.startsWith(`${prefix}/live/show/`)), media.join('\n'));

    await reach(page, 'refused', 20000);
    assert.equal(await page.locator('#headline').textContent(), 'This link has expired');
    assert.match(await page.locator('#detail').textContent(), /new one/);
    assert.equal(await page.locator('.spinner').isVisible(), false);
    const tries = asked.length;
    await page.waitForTimeout(2000);
    assert.ok(asked.length - tries <= 3, `it asked ${asked.length - tries} times in two seconds for what it does not get`);
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('says what is missing, or wrong, and goes on by itself when a place is free', async () => {
    const bare = await open(browser, node.watch('show'));
    const broken = await open(browser, (await sign(node)).replace('/watch/', 'x/watch/'));
    const address = await sign(node, '--viewers', '1');
    const first = await open(browser, address, { userAgent: 'the first' });
    await reach(first.page, 'playing');
    await play(first.page, 1);
    const second = await open(browser, address, { userAgent: 'the second' });
    for (const [{ page, close }, words] of [
      [bare, 'This show needs a link of its own'],
      [broken, 'This link does not work'],
      [second, 'All places are taken'],
    ]) {
      await reach(page, 'refused');
      assert.equal(await page.locator('#headline').textContent(), words);
      await close();
    }
    assert.equal((await stats(first.page)).state, 'playing');
    await first.close();
  });

  test('is seen in the studio, where a token that only reads changes nothing', async () => {
    const { page, complaints, close } = await open(browser, `${node.http}/studio/show#token=${viewer}`);
    await reach(page, 'playing'); // the preview
    await page.waitForFunction(() => document.querySelector('[data-state="live"]') !== null, undefined, { timeout: 8000 });
    await page.waitForFunction(() => document.querySelector('#link')?.textContent.includes('viewer'), undefined, { timeout: 8000 });
    const enabled = await page.evaluate(() => [...document.querySelectorAll('[data-command]')].filter((b) => b.getAttribute('aria-disabled') !== 'true').length);
    assert.equal(enabled, 0);
    const watch = await page.evaluate(() => [...document.querySelectorAll('a')].map((a) => a.getAttribute('href')).find((href) => href?.includes('/watch/')));
    assert.match(watch, /^\/p\/[^/]+\/watch\/show$/);
    assert.deepEqual(real(complaints), []);
    await close();
  });
});
