// A show of one region in three: the watch page in Chromium, behind a proxy that goes from node to node in mid-segment.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch, open, picture, play, reach, screenshots, stats } from './browser.mjs';
import { Proxy, startCluster } from './cluster.mjs';

const token = 'regions.test-0123456789=';
const limit = 20000;

describe('a show in three regions', { timeout: 120000 }, () => {
  let cluster;
  let browser;

  before(async () => {
    [cluster, browser] = await Promise.all([
      startCluster(['eu', 'us', 'ap'], { PUSHCART_LADDER_FFMPEG: '', PUSHCART_STUDIO_TOKENS: `*=${token}` }),
      launch(),
    ]);
  });
  after(async () => {
    await browser?.close();
    await cluster?.stop();
  });

  /** Asks a node's API as the operator would. */
  async function api(node, path, body) {
    const answer = await fetch(`${node.http}/api/v1/streams/show${path}`, {
      method: 'PUT',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    assert.ok(answer.ok, `${path} on ${node.settings.PUSHCART_NODE_NAME}: ${answer.status} ${await answer.text()}`);
  }

  /** Waits until the page draws a card with a text. */
  async function drawn(page, text) {
    const there = (wanted) => [...document.querySelectorAll('#overlay .card')].some(({ innerText }) => innerText.includes(wanted));
    try {
      await page.waitForFunction(there, text, { timeout: limit, polling: 50 });
    } catch (error) {
      const overlay = await page.evaluate(() => document.querySelector('#overlay').innerText);
      throw new Error(`"${text}" is not drawn, but "${overlay}"`, { cause: error });
    }
  }

  test('a viewer who is moved from node to node plays on, and gets the cards that are shown on any of them', async (t) => {
    const [eu, us, ap] = cluster.nodes;
    t.after(() => t.passed || cluster.nodes.forEach(({ child }) => console.error(child.output)));
    eu.publish('show');
    await eu.segments('show', 2);
    const proxy = await Proxy.start(eu);
    t.after(() => proxy.stop());
    await api(eu, '/cards/lamp', { id: 'lamp', name: 'Lamp as made in eu' });

    const { page, complaints, close } = await open(browser, `${proxy.url}/watch/show`);
    await reach(page, 'playing');
    await play(page, 3);
    await page.evaluate(() => {
      const video = document.querySelector('video');
      window.troubles = [];
      for (const name of ['waiting', 'error', 'emptied', 'ended', 'seeking']) {
        video.addEventListener(name, () => window.troubles.push(`${name} at ${video.currentTime}`));
      }
    });
    await api(us, '/slots/main', { card: 'lamp' });
    await drawn(page, 'Lamp as made in eu');

    // us and ap have no copy yet when their first viewer comes. The fourth move is us's death.
    const course = [us, ap, us, ap, eu, ap];
    let at = await page.evaluate(() => document.querySelector('video').currentTime);
    for (const [i, node] of course.entries()) {
      if (i === 3) {
        // The proxy is there still, and finds out by itself.
        const gone = us.crash();
        proxy.switch(node);
        await gone;
      } else if (i % 2 === 0) {
        await proxy.switchInMedia(node);
      } else {
        proxy.switch(node);
      }
      // A card that is new with each move, from the node that the viewer is at.
      const text = `Lamp ${i} as told in ${node.settings.PUSHCART_CLUSTER_REGION}`;
      await api(node, '/cards/lamp', { id: 'lamp', name: text });
      await drawn(page, text);
      // Parts of 0.2 s: moves come in mid-segment, and at each place within one.
      await play(page, 1.3);
      const now = await page.evaluate(() => document.querySelector('video').currentTime);
      assert.ok(now > at + 1.3, `${at} to ${now} s`);
      at = now;
    }
    await play(page, 2);

    const seen = await stats(page);
    const { troubles, quality, error } = await page.evaluate(() => {
      const video = document.querySelector('video');
      const { corruptedVideoFrames, droppedVideoFrames, totalVideoFrames } = video.getVideoPlaybackQuality();
      const quality = { corruptedVideoFrames, droppedVideoFrames, totalVideoFrames };
      return { troubles: window.troubles, quality, error: video.error?.message ?? null };
    });
    t.diagnostic(`moved: ${JSON.stringify(proxy.moved)}, ${JSON.stringify(quality)}, ${seen.latency} s behind`);
    assert.deepEqual(proxy.failed, []);
    assert.deepEqual(troubles, []);
    assert.equal(error, null);
    assert.equal(quality.corruptedVideoFrames, 0);
    assert.equal(seen.stalls, 0, JSON.stringify(seen));
    assert.equal(seen.absences, 0, JSON.stringify(seen));
    assert.equal(seen.fatalErrors, 0, JSON.stringify(seen));
    assert.ok(proxy.moved.waiting >= 3 && proxy.moved.half >= 3, `too little was under way: ${JSON.stringify(proxy.moved)}`);
    const { colours } = await picture(page);
    assert.ok(colours > 20, `${colours} colours`);
    await page.screenshot({ path: join(screenshots, 'regions.png') });
    assert.deepEqual(complaints, []);
    await close();
  });
});
