// The watch page in Chromium against a real node that real ffmpeg publishes to.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch, open, picture, play, reach, screenshots, stats } from './browser.mjs';
import { Node } from './node.mjs';

/** Waits for what a page's function finds, polling. */
const until = (page, check, limit = 30000) => page.waitForFunction(check, undefined, { timeout: limit, polling: 100 });

describe('the watch page', { timeout: 300000 }, () => {
  let node;
  let browser;

  before(async () => {
    node = await Node.start({ PUSHCART_PUBLISH_RECONNECT_WINDOW: '20s' });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await node?.stop();
  });

  test('waits for the host, starts by itself and plays 30 s without a stall', async () => {
    const { page, complaints, close } = await open(browser, node.watch('first'));
    await reach(page, 'waiting');
    assert.equal(await page.locator('#headline').textContent(), 'Waiting for the host');
    node.publish('first');
    await reach(page, 'playing');
    await play(page, 30);
    const seen = await stats(page);
    assert.equal(seen.stalls, 0, JSON.stringify(seen));
    assert.equal(seen.absences, 0, JSON.stringify(seen));
    assert.equal(seen.fatalErrors, 0, JSON.stringify(seen));
    assert.equal(seen.width, 640);
    // Bounds of sense, not of speed: nothing can be shown before it is sent, and this is a low-latency stream.
    assert.ok(seen.latency > 0 && seen.latency < 3, `the picture is ${seen.latency} s old`);
    assert.match(await page.locator('#latency').textContent(), /^\d\.\d s$/);
    const { colours, brightness } = await picture(page);
    assert.ok(colours > 20 && brightness > 20, `${colours} colours, brightness ${brightness}`);
    await page.screenshot({ path: join(screenshots, 'playing.png') });
    assert.deepEqual(complaints, []);
    await close();
  });

  // Each has a stream and pages of its own, and does little but wait for its show to go on.
  describe('beyond one undisturbed show', { concurrency: 4 }, () => {
    test('survives the reconnect of a publisher', async () => {
      const { page, complaints, close } = await open(browser, node.watch('again'));
      const publisher = node.publish('again');
      await reach(page, 'playing');
      await play(page, 3);
      await publisher.stop('SIGKILL');
      await reach(page, 'away');
      node.publish('again');
      await reach(page, 'playing');
      await play(page, 4);
      const seen = await stats(page);
      assert.equal(seen.absences, 1, JSON.stringify(seen));
      assert.ok(!seen.history.some(({ state }) => state === 'ended'), JSON.stringify(seen.history));
      assert.ok((await picture(page)).colours > 20);
      assert.deepEqual(complaints, []);
      await close();
    });

    test('plays on when another connection of the same publisher takes over', async () => {
      const { page, complaints, close } = await open(browser, node.watch('takeover'));
      const first = node.publish('takeover');
      await reach(page, 'playing');
      await play(page, 3);
      node.publish('takeover', { size: '854x480' });
      // The node ends the first connection.
      await first.gone;
      await until(page, () => window.pushcart.width === 854);
      await play(page, 4);
      const seen = await stats(page);
      assert.equal(seen.state, 'playing', JSON.stringify(seen));
      assert.deepEqual(complaints, []);
      await close();
    });

    test('plays sound without a picture, and a picture without sound', async () => {
      for (const [name, kinds] of [
        ['sound', { video: false }],
        ['silent', { audio: false }],
      ]) {
        node.publish(name, kinds);
        const { page, complaints, close } = await open(browser, node.watch(name));
        await reach(page, 'playing');
        await play(page, 3);
        const seen = await stats(page);
        assert.equal(seen.fatalErrors, 0, `${name}: ${JSON.stringify(seen)}`);
        assert.equal(seen.width > 0, name === 'silent', `${name}: ${JSON.stringify(seen)}`);
        assert.deepEqual(complaints, [], name);
        await close();
      }
    });

    test('leaves playing to a browser that has no Media Source Extensions', async () => {
      node.publish('native');
      // Chromium's own player, young as it is, gets stuck in a presentation that has hardly begun.
      await node.segments('native', 3);
      const context = await browser.newContext();
      await context.addInitScript(() => {
        for (const name of ['MediaSource', 'ManagedMediaSource', 'WebKitMediaSource']) delete window[name];
      });
      const page = await context.newPage();
      await page.goto(node.watch('native'));
      await reach(page, 'playing');
      await play(page, 3);
      const seen = await stats(page);
      assert.equal(seen.width, 640, JSON.stringify(seen));
      await context.close();
    });

    test('fits a phone, and its buttons and keys work', async () => {
      node.publish('phone');
      const phone = { viewport: { width: 360, height: 640 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };
      const { page, complaints, close } = await open(browser, node.watch('phone'), phone);
      await reach(page, 'playing');
      await play(page, 2);
      // In both of its forms the way back to live can be touched: a host that is slow to begin leaves the viewer behind for a moment.
      const fits = await page.evaluate(() => {
        const { scrollWidth, scrollHeight } = document.documentElement;
        const small = [...document.querySelectorAll('#play, #sound, #full, #live')]
          .map((button) => [button.id, button.getBoundingClientRect()])
          .filter(([, box]) => box.height < 48 || box.left < 0 || box.right > innerWidth || box.bottom > innerHeight)
          .map(([id]) => id);
        return { scrollWidth, scrollHeight, small };
      });
      assert.deepEqual(fits, { scrollWidth: 360, scrollHeight: 640, small: [] });
      await page.screenshot({ path: join(screenshots, 'phone.png') });

      await page.tap('#sound');
      assert.equal((await stats(page)).muted, false);
      await page.keyboard.press('m');
      assert.equal((await stats(page)).muted, true);
      await page.tap('#play');
      await reach(page, 'paused');
      // Long enough behind, the way back to live is offered, and goes there.
      await until(page, () => document.querySelector('#live').dataset.behind === 'true');
      await page.screenshot({ path: join(screenshots, 'behind.png') });
      await page.tap('#live');
      await reach(page, 'playing');
      await until(page, () => document.querySelector('#live').dataset.behind === 'false');
      await play(page, 2);
      await page.setViewportSize({ width: 640, height: 360 });
      await page.screenshot({ path: join(screenshots, 'landscape.png') });
      assert.deepEqual(complaints, []);
      await close();
    });

    test('speaks the languages of its viewers', async () => {
      for (const [locale, headline] of [
        ['zh-CN', '等待主播开播'],
        ['es-MX', 'Esperando al anfitrión'],
        ['fi-FI', 'Waiting for the host'],
      ]) {
        const { page, complaints, close } = await open(browser, node.watch('nobody'), { locale });
        await reach(page, 'waiting');
        assert.equal(await page.locator('#headline').textContent(), headline);
        assert.deepEqual(complaints, []);
        await close();
      }
    });

    test('is found from the list of live streams', async () => {
      node.publish('listed');
      const { page, complaints, close } = await open(browser, node.http);
      await page.click('a[href="/watch/listed"]');
      await page.waitForURL('**/watch/listed');
      await reach(page, 'playing');
      await play(page, 1);
      assert.deepEqual(complaints, []);
      await close();
    });

    test('shows the end of a show and starts with the next one', { timeout: 120000 }, async () => {
      const node = await Node.start({ PUSHCART_PUBLISH_RECONNECT_WINDOW: '2s' });
      const browser = await launch();
      try {
        const { page, complaints } = await open(browser, node.watch('show'));
        const publisher = node.publish('show');
        await reach(page, 'playing');
        await play(page, 3);
        await publisher.stop();
        await reach(page, 'ended');
        assert.equal(await page.locator('#headline').textContent(), 'The show has ended');
        await page.screenshot({ path: join(screenshots, 'ended.png') });
        // Who comes only now sees the same, not the end of a show that is over.
        const late = await open(browser, node.watch('show'));
        await until(late.page, () => ['ended', 'waiting'].includes(window.pushcart.state));
        node.publish('show');
        for (const viewer of [page, late.page]) {
          await reach(viewer, 'playing');
          await play(viewer, 3);
        }
        assert.deepEqual([...complaints, ...late.complaints], []);
      } finally {
        await browser.close();
        await node.stop();
      }
    });

    test('gets over a node that crashes and comes back', { timeout: 120000 }, async () => {
      const node = await Node.start();
      const browser = await launch();
      try {
        const { page, complaints } = await open(browser, node.watch('show'));
        node.publish('show');
        await reach(page, 'playing');
        await play(page, 3);
        await node.crash();
        await reach(page, 'reconnecting');
        await node.run();
        await reach(page, 'waiting');
        node.publish('show');
        await reach(page, 'playing');
        await play(page, 3);
        assert.equal((await stats(page)).muted, true);
        // A server that is not there cannot but be complained of.
        assert.deepEqual(complaints.filter((what) => !what.includes('net::ERR_')), []);
      } finally {
        await browser.close();
        await node.stop();
      }
    });
  });
});
