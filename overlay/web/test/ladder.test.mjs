// The bitrate ladder in Chromium with hls.js: forced up and down between the renditions of a live show, and what a browser
// publishes that HLS cannot carry.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { after, before, describe, test } from 'node:test';
import { launch, picture } from './browser.mjs';
import { devices } from './devices.mjs';
import { Node } from './node.mjs';

const limit = 40000;

const settings = {
  PUSHCART_HLS_SEGMENT_DURATION: '1s',
  PUSHCART_HLS_MAX_SEGMENT_DURATION: '2s',
  PUSHCART_LADDER_FFMPEG: 'ffmpeg',
  PUSHCART_LADDER_ENCODERS: 'cpu',
  PUSHCART_LADDER_MAX_CPU: '100',
};

const ladder = {
  ...settings,
  PUSHCART_LADDER_LADDERS: '[{name: mobile, rungs: [270p 400k, 180p 250k, 90p 80k, audio 48k]}]',
  PUSHCART_LADDER_STREAMS: '[{stream: "*", ladder: mobile}]',
};

/** A page with nothing on it but a video, which play starts. It notes all that goes wrong and each picture's height. */
const page = `<!doctype html><meta charset="utf-8"><title>hls.js</title>
<video muted playsinline></video>
<script type="module">
import Hls from '/hls.js';
const video = document.querySelector('video');
const seen = { errors: [], waits: [], stalls: [], heights: [], frames: 0 };
for (const name of ['waiting', 'stalled', 'error']) {
  video.addEventListener(name, () => {
    const list = name === 'waiting' ? seen.waits : seen.stalls;
    list.push({ name, at: video.currentTime, buffered: video.buffered.length ? video.buffered.end(video.buffered.length - 1) : 0 });
  });
}
const look = (now, { height, mediaTime }) => {
  seen.frames++;
  if (seen.heights.at(-1)?.height !== height) seen.heights.push({ height, mediaTime });
  video.requestVideoFrameCallback(look);
};
window.seen = seen;
window.start = async (url, config = {}) => {
  video.requestVideoFrameCallback(look);
  const hls = new Hls({ enableWorker: true, lowLatencyMode: true, ...config });
  window.hls = hls;
  hls.on(Hls.Events.ERROR, (_, { type, details, fatal, error }) => seen.errors.push({ type, details, fatal, message: error?.message, at: video.currentTime }));
  const parsed = new Promise((resolve) => hls.once(Hls.Events.MANIFEST_PARSED, resolve));
  hls.loadSource(url);
  hls.attachMedia(video);
  await parsed;
  await video.play();
};
window.ready = true;
</script>`;

const until = (view, check, given) => view.waitForFunction(check, given, { timeout: limit, polling: 50 });

describe('the ladder', { timeout: 240000 }, () => {
  let browser;
  let server;
  let site;

  before(async () => {
    browser = await launch(devices);
    server = createServer((request, response) => {
      const script = request.url === '/hls.js';
      response.setHeader('Content-Type', script ? 'text/javascript' : 'text/html; charset=utf-8');
      if (!script) return void response.end(page);
      return void readFile(fileURLToPath(new URL('../node_modules/hls.js/dist/hls.mjs', import.meta.url))).then((body) => response.end(body));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    site = `http://127.0.0.1:${server.address().port}/`;
  });
  after(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
  });

  /** Opens the page with the player; it goes with the test. */
  async function player(t, { without } = {}) {
    const context = await browser.newContext();
    t.after(() => context.close());
    const view = await context.newPage();
    // Some browsers lack a codec that this one has.
    await view.addInitScript((lacks) => {
      const real = MediaSource.isTypeSupported.bind(MediaSource);
      MediaSource.isTypeSupported = (type) => !(lacks && type.includes(lacks)) && real(type);
    }, without);
    view.on('pageerror', (error) => assert.fail(error));
    await view.goto(site);
    await until(view, () => window.ready);
    return view;
  }

  /** A node of the test's own. */
  async function running(t, given) {
    const node = await Node.start(given);
    t.after(async () => {
      if (!t.passed) console.error(node.child.output);
      await node.stop();
    });
    return node;
  }

  /** Waits until renditions of a show have a whole segment with all its media. */
  async function listed(node, name, renditions) {
    const end = performance.now() + limit;
    for (;;) {
      const texts = await Promise.all(
        renditions.map((rendition) =>
          fetch(`${node.http}/live/${name}/${rendition}.m3u8`)
            .then((answer) => (answer.ok ? answer.text() : ''))
            .catch(() => ''),
        ),
      );
      // The segment before the one that grows.
      if (texts.every((text) => text.split('#EXTINF:').length > 3 && !text.split('#EXTINF:').at(-2).includes('GAP'))) return;
      if (performance.now() > end) throw new Error(`never whole: ${renditions}\n${texts.join('\n')}\n${node.child.output}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  test('hls.js goes up and down ten times without a stall', async (t) => {
    const node = await running(t, ladder);
    const publisher = spawn('ffmpeg', [
      ...['-hide_banner', '-loglevel', 'warning', '-nostdin', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=30'],
      ...['-re', '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '30', '-b:v', '800k'],
      ...['-c:a', 'aac', '-b:a', '96k', '-f', 'flv', `${node.rtmp}/show`],
    ]);
    t.after(() => publisher.kill('SIGKILL'));
    await listed(node, 'show', ['video', '270p', '180p', '90p', 'audio', 'audio-48k']);

    const view = await player(t);
    await view.evaluate((url) => window.start(url, { startLevel: 0 }), `${node.http}/live/show/index.m3u8`);
    const heights = await view.evaluate(() => window.hls.levels.map(({ height }) => height));
    assert.deepEqual(heights.toSorted((a, b) => a - b), [90, 180, 270, 360]);
    // Switching begins when playing is settled.
    await until(view, () => document.querySelector('video').currentTime - (window.first ??= document.querySelector('video').currentTime) > 2);
    await view.evaluate(() => {
      window.seen.waits.length = window.seen.stalls.length = window.seen.errors.length = 0;
    });
    const level = (height) => heights.indexOf(height);
    // It may begin with any of them: ten more follow.
    for (const height of [90, 360, 90, 270, 180, 360, 180, 270, 90, 360, 90]) {
      const from = await view.evaluate((to) => {
        // As the adaptation does it: from the next segment on.
        window.hls.loadLevel = to;
        return document.querySelector('video').currentTime;
      }, level(height));
      try {
        await until(view, (wanted) => document.querySelector('video').videoHeight === wanted && window.seen.heights.at(-1).height === wanted, height);
      } catch (error) {
        throw new Error(`never ${height} pixels high: ${JSON.stringify(await view.evaluate(() => window.seen))}`, { cause: error });
      }
      await until(view, (begin) => document.querySelector('video').currentTime > begin + 0.5, from);
    }
    const { seen, quality, error, audio } = await view.evaluate(() => {
      const video = document.querySelector('video');
      const { droppedVideoFrames, corruptedVideoFrames, totalVideoFrames } = video.getVideoPlaybackQuality();
      return {
        seen: window.seen,
        quality: { droppedVideoFrames, corruptedVideoFrames, totalVideoFrames },
        error: video.error?.message ?? null,
        audio: video.webkitAudioDecodedByteCount,
      };
    });
    t.diagnostic(`${JSON.stringify(quality)}, heights ${seen.heights.map(({ height }) => height)}`);
    assert.equal(error, null);
    assert.deepEqual(seen.waits, []);
    // A load that was given up for that of another level is none.
    assert.deepEqual(seen.errors.filter(({ details }) => details !== 'aborted'), []);
    assert.equal(quality.corruptedVideoFrames, 0);
    assert.ok(quality.droppedVideoFrames < quality.totalVideoFrames / 2, JSON.stringify(quality));
    assert.ok(audio > 0);
    assert.ok(seen.heights.length >= 11, JSON.stringify(seen.heights));
    assert.ok((await picture(view)).colours > 20);
  });

  test('what a browser publishes as VP8 and Opus is played as H.264 and AAC', async (t) => {
    const node = await running(t, { ...settings, PUSHCART_LADDER_CONVERT: 'true' });
    const context = await browser.newContext();
    t.after(() => context.close());
    const host = await context.newPage();
    // A page of the node's own: its address may open cameras.
    await host.goto(node.live('nothing'));
    const answered = await host.evaluate(async () => {
      const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 180 } });
      const connection = new RTCPeerConnection();
      window.connection = connection;
      for (const track of media.getTracks()) {
        const transceiver = connection.addTransceiver(track, { direction: 'sendonly', streams: [media] });
        if (track.kind !== 'video') continue;
        const { codecs } = RTCRtpSender.getCapabilities('video');
        transceiver.setCodecPreferences(codecs.filter(({ mimeType }) => /VP8|rtx/i.test(mimeType)));
      }
      await connection.setLocalDescription();
      await new Promise((resolve) => {
        const done = () => connection.iceGatheringState === 'complete' && resolve();
        connection.addEventListener('icegatheringstatechange', done);
        done();
      });
      const answer = await fetch('/whip/show', {
        method: 'POST',
        headers: { 'Content-Type': 'application/sdp' },
        body: connection.localDescription.sdp,
      });
      const sdp = await answer.text();
      if (answer.ok) await connection.setRemoteDescription({ type: 'answer', sdp });
      return { status: answer.status, sdp };
    });
    assert.equal(answered.status, 201, answered.sdp);
    assert.match(answered.sdp, /VP8/);

    const end = performance.now() + limit;
    let master = '';
    while (!/avc1[^"]*mp4a|mp4a[^"]*avc1/.test(master)) {
      if (performance.now() > end) assert.fail(`never H.264 and AAC: ${master}\n${node.child.output}`);
      const answer = await fetch(`${node.http}/live/show/index.m3u8`).catch(() => null);
      master = answer?.ok ? await answer.text() : '';
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(!/vp08|vp8/i.test(master), master);
    const video = /^(?!#)(\S+)\.m3u8$/m.exec(master)[1];
    await listed(node, 'show', [video, 'audio-aac']);
    // Opus is there, too, for those who can play it.
    const view = await player(t, { without: 'opus' });
    await view.evaluate((url) => window.start(url), `${node.http}/live/show/index.m3u8`);
    await until(view, () => document.querySelector('video').currentTime - (window.first ??= document.querySelector('video').currentTime) > 4);
    const played = await view.evaluate(() => {
      const element = document.querySelector('video');
      const { videoCodec, audioCodec } = window.hls.levels[window.hls.currentLevel];
      return {
        videoCodec,
        audioCodec,
        error: element.error?.message ?? null,
        width: element.videoWidth,
        audio: element.webkitAudioDecodedByteCount,
        errors: window.seen.errors.filter(({ fatal, type }) => fatal || type === 'mediaError'),
      };
    });
    assert.match(played.videoCodec, /^avc1/);
    assert.match(played.audioCodec, /^mp4a/);
    assert.ok(played.width > 0 && played.audio > 0, JSON.stringify(played));
    assert.equal(played.error, null);
    assert.ok((await picture(view)).colours > 5);
    await host.evaluate(() => window.connection.close());
  });
});
