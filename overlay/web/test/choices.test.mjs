// What viewers choose among: languages and qualities. The rules first, which need no browser; then the watch page with hls.js
// and a presentation that has several of both.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, open, reach } from './browser.mjs';
import { film } from './film.mjs';
import { load } from './load.mjs';
import { tone } from './tone.mjs';

const { Choices, readLikes, sizeFor, sizeName, soundFor, soundName } = await load('src/choices');

const sounds = [
  { id: 0, name: 'Original', language: 'zh-Hans' },
  { id: 1, name: 'English', language: 'en' },
  { id: 2, name: '', language: 'pt-BR' },
  { id: 3, name: 'Commentary', language: 'en' },
  { id: 4, name: '', language: '' },
];
const sizes = [
  { id: 2, lines: 720, bitrate: 2_500_000 },
  { id: 1, lines: 360, bitrate: 700_000 },
  { id: 0, lines: 180, bitrate: 200_000 },
];

describe('choices', () => {
  test('the sound is the one liked, else one in a language of the viewer, else the stream’s', () => {
    const id = (liked, ...languages) => soundFor(sounds, liked, languages)?.id ?? null;
    assert.equal(id(null, 'en-GB', 'zh'), 1);
    assert.equal(id(null, 'pt-PT'), 2);
    assert.equal(id(null, 'fi', 'zh-TW'), 0);
    assert.equal(id(null, 'fi'), null);
    assert.equal(id(null), null);
    assert.equal(id({ name: 'Commentary', language: 'en' }, 'zh'), 3);
    assert.equal(id({ name: 'Englisch', language: 'en' }, 'zh'), 1, 'another name of the same language');
    assert.equal(id({ name: 'Ton 5', language: '' }, 'zh'), 0, 'what is liked is not there');
    assert.equal(id({ name: '', language: '' }, 'zh'), 4);
  });

  test('the size is the largest that is no larger than the one liked', () => {
    const lines = (liked) => sizeFor(sizes, liked)?.lines ?? null;
    assert.deepEqual([null, 1080, 720, 540, 180, 90].map(lines), [null, 720, 720, 360, 180, 180]);
    assert.equal(sizeFor(sizes.slice(0, 1), 720), null);
  });

  test('everything has a name', () => {
    const name = (sound, lang) => soundName(sound, lang, (n) => `Sound ${n}`);
    assert.deepEqual(sounds.map((sound) => name(sound, 'en')), ['Original', 'English', 'Brazilian Portuguese', 'Commentary', 'Sound 5']);
    assert.equal(name({ id: 0, name: '', language: 'x!' }, 'en'), 'x!');
    assert.deepEqual(sizes.map((size) => sizeName(size, sizes)), ['720p', '360p', '180p']);
    const twins = [sizes[0], { id: 3, lines: 720, bitrate: 1_000_000 }, { id: 4, lines: 0, bitrate: 300_000 }];
    assert.deepEqual(twins.map((size) => sizeName(size, twins)), ['720p · 2.5 Mbit/s', '720p · 1.0 Mbit/s', '0.3 Mbit/s']);
  });

  test('what was kept is read with care', () => {
    assert.deepEqual(readLikes('{"sound":{"name":"a","language":"b"},"lines":720}'), { sound: { name: 'a', language: 'b' }, lines: 720 });
    for (const text of [null, '', '[', 'null', '3', '{"sound":3,"lines":"x"}', '{"sound":{"name":3},"lines":-1}']) {
      assert.deepEqual(readLikes(text), { sound: null, lines: null }, text);
    }
  });

  test('a viewer’s word outlives the source, and a browser without storage', () => {
    const kept = new Map();
    const keep = () => ({ getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) });
    const source = () => ({ sounds, sizes, sound: 0, size: null });
    const first = source();
    const choices = new Choices(['en'], keep);
    choices.apply(first);
    assert.deepEqual([first.sound, first.size], [1, null]);
    choices.chooseSound(first, 2);
    choices.chooseSize(first, 1);
    choices.apply(first);
    assert.deepEqual([first.sound, first.size], [2, 1]);
    for (const again of [choices, new Choices(['en'], keep)]) {
      const next = source();
      again.apply(next);
      assert.deepEqual([next.sound, next.size], [2, 1]);
    }
    choices.chooseSize(first, null);
    const last = source();
    new Choices(['en'], keep).apply(last);
    assert.equal(last.size, null);
    const forbidden = () => {
      throw new Error('SecurityError');
    };
    const without = new Choices(['zh'], forbidden);
    without.apply(last);
    without.chooseSound(last, 3);
    assert.equal(last.sound, 3);
    // A stream with one sound is left alone.
    const single = { sounds: sounds.slice(1, 2), sizes: [], sound: -1, size: null };
    new Choices(['en'], keep).apply(single);
    assert.equal(single.sound, -1);
  });
});

const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const seconds = 40;

/** A presentation of two sizes and three languages, of one segment for each second, as if it were live since ten seconds. */
async function origin() {
  const pictures = await Promise.all(['320:180', '480:270'].map((size) => film(seconds * 30, { size })));
  const voices = await Promise.all([300, 400, 500].map((frequency) => tone(seconds, frequency)));
  const began = Date.now() - 10_000;
  const asked = [];
  const main = [
    '#EXTM3U',
    '#EXT-X-INDEPENDENT-SEGMENTS',
    ...[['Original', 'zh', 'YES'], ['English', 'en', 'NO'], ['Español', 'es', 'NO']].map(
      ([name, language, chosen], n) =>
        `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="${name}",LANGUAGE="${language}",DEFAULT=${chosen},AUTOSELECT=YES,CHANNELS="1",URI="a${n}.m3u8"`,
    ),
    ...['320x180', '480x270'].flatMap((size, n) => [
      `#EXT-X-STREAM-INF:BANDWIDTH=${(n + 1) * 400000},CODECS="avc1.42c01e,mp4a.40.2",RESOLUTION=${size},AUDIO="a"`,
      `v${n}.m3u8`,
    ]),
  ].join('\n');
  const playlist = (id) => {
    const last = Math.min(seconds, Math.floor((Date.now() - began) / 1000));
    const first = Math.max(0, last - 12);
    const lines = ['#EXTM3U', '#EXT-X-VERSION:7', '#EXT-X-TARGETDURATION:1', `#EXT-X-MEDIA-SEQUENCE:${first}`, `#EXT-X-MAP:URI="${id}-init.mp4"`];
    for (let n = first; n < last; n++) {
      lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(began + n * 1000).toISOString()}`, '#EXTINF:1,', `${id}-${n}.m4s`);
    }
    return lines.join('\n');
  };
  const media = (name) => {
    if (name === 'index.m3u8') return main;
    const id = name.slice(0, 2);
    const { init, parts } = id[0] === 'v' ? pictures[id[1]] : voices[id[1]];
    if (name.endsWith('.m3u8')) return playlist(id);
    if (name.endsWith('init.mp4')) return init;
    const n = Number(/-(\d+)\.m4s$/.exec(name)[1]);
    const each = parts.length / seconds;
    return Buffer.concat(parts.slice(n * each, (n + 1) * each));
  };
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://h').pathname;
    if (path.startsWith('/live/show/')) {
      asked.push(path.slice('/live/show/'.length));
      const type = path.endsWith('.m3u8') ? 'application/vnd.apple.mpegurl' : 'video/mp4';
      response.writeHead(200, { 'Content-Type': type, 'Cache-Control': 'no-store' }).end(media(asked.at(-1)));
      return;
    }
    const file = path.startsWith('/watch/') ? 'watch.html' : path.slice(1);
    const body = await readFile(fileURLToPath(new URL(`../dist/site/${file}`, import.meta.url))).catch(() => null);
    if (body === null) response.writeHead(404).end();
    else response.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/json' }).end(body);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const stop = async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
  };
  return { url: `http://127.0.0.1:${server.address().port}/watch/show`, asked, stop };
}

describe('the watch page with several of both', { timeout: 120000 }, () => {
  let browser;

  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  test('plays the viewer’s language, changes language and quality, and remembers them', async (t) => {
    const { url, asked, stop } = await origin();
    t.after(stop);
    const { page, close } = await open(browser, url, { locale: 'es-MX' });
    await reach(page, 'playing');
    const until = (check, given) => page.waitForFunction(check, given, { timeout: 30000, polling: 100 });
    const options = (id) => page.locator(`#${id} option`).allTextContents();
    assert.deepEqual(await options('sounds'), ['Original', 'English', 'Español']);
    assert.deepEqual(await options('sizes'), ['Automática', '270p', '180p']);
    assert.ok(await page.locator('#sounds').evaluate((one) => one.selectedOptions[0].text === 'Español'));
    assert.ok(asked.some((name) => name.startsWith('a2-')) && !asked.some((name) => /^a[01]-\d/.test(name)), asked.join(' '));

    await page.selectOption('#sounds', { label: 'English' });
    await page.selectOption('#sizes', { label: '180p' });
    await until(() => window.pushcart.height === 180);
    const from = asked.length;
    await until((time) => window.pushcart.currentTime > time, (await page.evaluate(() => window.pushcart.currentTime)) + 3);
    const since = asked.slice(from);
    assert.ok(since.some((name) => name.startsWith('a1-')) && !since.some((name) => /^a2-\d/.test(name)), since.join(' '));
    // A key in the menu chooses there, and does nothing else.
    await page.focus('#sounds');
    await page.keyboard.press('m');
    assert.equal(await page.evaluate(() => window.pushcart.muted), true);

    asked.length = 0;
    await page.reload();
    await reach(page, 'playing');
    await until(() => window.pushcart.height === 180);
    const chosen = (id) => page.locator(`#${id}`).evaluate((one) => one.selectedOptions[0].text);
    assert.deepEqual([await chosen('sounds'), await chosen('sizes')], ['English', '180p']);
    assert.ok(!asked.some((name) => /^a[02]-\d/.test(name)), asked.join(' '));
    await page.selectOption('#sizes', { label: 'Automática' });
    assert.equal(await chosen('sizes'), 'Automática');
    await close();
  });

  test('offers nothing where there is nothing to choose', async (t) => {
    const { url, stop } = await origin();
    t.after(stop);
    const { page, close } = await open(browser, 'about:blank');
    await page.route('**/index.m3u8', async (route) => {
      const text = await (await route.fetch()).text();
      const lines = text.split('\n').filter((line) => !/NAME="(English|Español)"/.test(line));
      await route.fulfill({ contentType: 'application/vnd.apple.mpegurl', body: lines.slice(0, -2).join('\n') });
    });
    await page.goto(url);
    await reach(page, 'playing');
    for (const id of ['sounds', 'sizes']) assert.ok(await page.locator(`#${id}`).isHidden(), id);
    await close();
  });
});
