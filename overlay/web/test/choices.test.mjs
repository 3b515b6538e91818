// What viewers choose among: languages and qualities. The rules first, which need no browser; then the watch page with hls.js
// and a presentation that has several of both.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { launch, open, play, reach, stats } from './browser.mjs';
import { film } from './film.mjs';
import { load } from './load.mjs';
import { Rungs } from './rungs.mjs';
import { tone } from './tone.mjs';

const { Choices, readLikes, sizeFor, sizeName, soundFor, soundName } = await load('src/choices');
const { behindOriginal, codecName, gapAhead, isOriginal, isStuck, sizesOf, wayAround } = await load('src/levels');

const sounds = [
  { id: 0, name: 'Original', language: 'zh-Hans' },
  { id: 1, name: 'English', language: 'en' },
  { id: 2, name: '', language: 'pt-BR' },
  { id: 3, name: 'Commentary', language: 'en' },
  { id: 4, name: '', language: '' },
];
const size = (id, lines, bitrate, rest = {}) => ({ id, lines, bitrate, frames: 30, codec: 'H.264', original: false, ...rest });
const sizes = [size(2, 720, 2_500_000), size(1, 360, 700_000), size(0, 180, 200_000)];

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
    const lines = (liked) => sizeFor(sizes, { lines: liked, rate: null })?.lines ?? null;
    assert.deepEqual([null, 1080, 720, 540, 180, 90].map(lines), [null, 720, 720, 360, 180, 180]);
    assert.equal(sizeFor(sizes.slice(0, 1), { lines: 720, rate: 1 }), null);
    // Of several with as many lines, the one of the bit rate that is most alike; the rate says nothing of others.
    const twins = [size(3, 720, 4_000_000), ...sizes, size(4, 720, 900_000)].sort((a, b) => b.lines - a.lines || b.bitrate - a.bitrate);
    const id = (rate, lines = 720) => sizeFor(twins, { lines, rate }).id;
    assert.deepEqual([null, 9_000_000, 4_100_000, 2_700_000, 1_000_000, 1].map((rate) => id(rate)), [3, 3, 3, 2, 4, 4]);
    assert.equal(id(4_000_000, 500), 1);
    assert.equal(id(4_000_000, 90), 0);
  });

  test('everything has a name', () => {
    const name = (sound, lang) => soundName(sound, lang, (n) => `Sound ${n}`);
    assert.deepEqual(sounds.map((sound) => name(sound, 'en')), ['Original', 'English', 'Brazilian Portuguese', 'Commentary', 'Sound 5']);
    assert.equal(name({ id: 0, name: '', language: 'x!' }, 'en'), 'x!');
    const names = (list) => list.map((one) => sizeName(one, list, (name) => `${name} source`));
    assert.deepEqual(names(sizes), ['720p', '360p', '180p']);
    assert.deepEqual(names([sizes[0], size(3, 720, 1_000_000), size(4, 0, 300_000)]), ['720p · 2.5 Mbit/s', '720p · 1.0 Mbit/s', '300 kbit/s']);
    // The host's own is told from what is made of it; where nothing is, there is nothing to tell.
    const own = { original: true };
    assert.deepEqual(names([size(0, 1080, 6e6, own), ...sizes]), ['1080p source', '720p', '360p', '180p']);
    assert.deepEqual(names([size(0, 720, 6e6, own), ...sizes]), ['720p source', '720p', '360p', '180p']);
    assert.deepEqual(names([size(0, 1080, 6e6, own), size(1, 720, 2e6, own)]), ['1080p', '720p']);
    assert.deepEqual(names([size(0, 0, 6e6, own), size(1, 720, 2e6)]), ['6.0 Mbit/s source', '720p']);
    // Many pictures in a second are worth a word.
    const fast = [60, 59.94, 50, 48, 47.95, 46, 30, 0].map((frames, id) => size(id, 1000 - id, 1e6, { frames }));
    assert.deepEqual(names(fast), ['1000p60', '999p60', '998p50', '997p48', '996p48', '995p', '994p', '993p']);
    assert.deepEqual(names([size(0, 720, 3e6, { frames: 60 }), sizes[0]]), ['720p60', '720p']);
    // Twins of different codecs are told apart by them.
    const hevc = { codec: 'HEVC' };
    assert.deepEqual(names([size(3, 720, 2e6, hevc), sizes[0]]), ['720p · HEVC', '720p · H.264']);
    assert.deepEqual(names([size(3, 720, 2e6, hevc), size(4, 720, 1e6, hevc), sizes[0]]), ['720p · 2.0 Mbit/s', '720p · 1.0 Mbit/s', '720p · H.264']);
    assert.deepEqual(names([size(3, 720, 2e6, { codec: '' }), sizes[0]]), ['720p · 2.0 Mbit/s', '720p · H.264']);
  });

  test('levels become sizes, by the shorter side', () => {
    const level = (uri, width, height, rest = {}) => ({
      ...{ uri: `http://h/live/show/${uri}.m3u8`, width, height, bitrate: 1e6, frameRate: 30, videoCodec: 'avc1.64001f', loadError: 0 },
      ...rest,
    });
    const levels = [
      level('240p', 426, 240),
      level('480p-hevc', 480, 854, { videoCodec: 'hvc1.1.6.L93.B0', bitrate: 8e5 }),
      level('480p', 480, 854, { bitrate: 9e5 }),
      level('480p', 480, 854, { bitrate: 12e5 }), // with other sound
      level('video', 1080, 1920, { bitrate: 6e6, frameRate: 59.94 }),
      level('odd', 0, 0, { videoCodec: undefined, frameRate: NaN, bitrate: 5e5 }),
    ];
    assert.deepEqual(sizesOf(levels), [
      { id: 4, lines: 1080, bitrate: 6e6, frames: 59.94, codec: 'H.264', original: true },
      { id: 2, lines: 480, bitrate: 9e5, frames: 30, codec: 'H.264', original: false },
      { id: 1, lines: 480, bitrate: 8e5, frames: 30, codec: 'HEVC', original: false },
      { id: 0, lines: 240, bitrate: 1e6, frames: 30, codec: 'H.264', original: false },
      { id: 5, lines: 0, bitrate: 5e5, frames: 0, codec: '', original: false },
    ]);
    const codecs = ['avc1.42c01e', 'avc3.64001f', 'hev1.1.6.L93.B0', 'av01.0.04M.08', 'vp09.00.10.08', 'mp4a.40.2', '', undefined];
    assert.deepEqual(codecs.map(codecName), ['H.264', 'H.264', 'HEVC', 'AV1', 'VP9', '', '', '']);
    const originals = ['video', 'video-2', 'video.m3u8?token=1', '720p', 'audio-64k', 'videos', 'myvideo', 'video-hd'];
    assert.deepEqual(
      originals.map((name) => isOriginal(`http://h/live/x/${name.includes('.') ? name : `${name}.m3u8`}`)),
      [true, true, true, false, false, false, false, false],
    );
    assert.ok(!isOriginal('http://h/live/video.m3u8/480p.m3u8'));
  });

  test('a gap counts when playback has it in front', () => {
    const part = (end, gap = false) => ({ end, gap });
    const segment = (end, gap, tag = gap) => ({ end, gap, tagList: tag ? [['INF', '1'], ['GAP']] : [['INF', '1']] });
    const found = (partList, fragments, from) => gapAhead({ partList, fragments }, from);
    assert.ok(found([part(1), part(1.2, true), part(1.4)], [], 1));
    assert.ok(!found([part(1), part(1.2, true), part(1.4)], [], 1.2), 'it lies behind');
    assert.ok(!found([part(1), part(1.2, true), part(1.4)], [], 1.18), 'as good as behind');
    assert.ok(!found([part(1), part(1.2)], [], 0));
    assert.ok(found(null, [segment(2, true), segment(4, false)], 1));
    assert.ok(!found(null, [segment(2, true), segment(4, false)], 2));
    assert.ok(!found(null, [segment(2, true, false)], 1), 'hls.js gave it up; the playlist has it');
    assert.ok(!found(null, [], 0));
  });

  test('a rendition that stands still while the host goes on is stuck', () => {
    const details = (msn, part, reports, rest = {}) => ({
      ...{ advanced: false, partTarget: 0.2, targetduration: 3, averagetargetduration: 2, lastPartSn: msn, lastPartIndex: part },
      ...{ renditionReports: reports, ...rest },
    });
    const own = (msn, part) => ({ URI: '../show/video.m3u8?a=1', 'LAST-MSN': String(msn), ...(part === undefined ? {} : { 'LAST-PART': String(part) }) });
    const near = (value, wanted) => assert.ok(Math.abs(value - wanted) < 1e-9, `${value}, not ${wanted}`);
    near(behindOriginal(details(10, 3, [own(10, 5)])), 0.4);
    near(behindOriginal(details(10, 9, [own(11, 1)])), 0.4);
    near(behindOriginal(details(10, 9, [own(11, 1)], { averagetargetduration: undefined })), 1.4);
    near(behindOriginal(details(10, 0, [own(12)])), 4);
    near(behindOriginal(details(10, 3, [own(9, 0)])), 0);
    near(behindOriginal(details(10, 3, [{ ...own(20, 0), URI: '480p.m3u8' }])), 0);
    near(behindOriginal(details(10, 3, [{ URI: 'video.m3u8' }])), 0);
    near(behindOriginal(details(10, 3, undefined)), 0);
    assert.ok(isStuck(details(10, 3, [own(10, 8)])));
    assert.ok(!isStuck(details(10, 3, [own(10, 5)])), 'no more than a ladder is behind anyway');
    assert.ok(!isStuck(details(10, 3, [own(10, 8)], { advanced: true })), 'it is late, but it comes');
    assert.ok(!isStuck(details(10, 3, [own(10, 3)])), 'the host is gone, too');
  });

  test('the way around a gap is the host’s own picture, where the network carries it', () => {
    const level = (name, bitrate, loadError = 0) => ({ uri: `http://h/live/show/${name}.m3u8`, bitrate, loadError });
    const levels = [level('240p', 4e5), level('480p', 1e6), level('720p', 2e6), level('video', 4e6)];
    assert.equal(wayAround(levels, 2, 8e6), 3);
    assert.equal(wayAround(levels, 2, 4e6), 1, 'of the others the best that fits');
    assert.equal(wayAround(levels, 2, 1e5), 0, 'nothing fits: the smallest');
    assert.equal(wayAround(levels, 0, 1e5), 1);
    assert.equal(wayAround(levels, 3, 8e6), 2);
    const failed = [level('240p', 4e5, 1), level('480p', 1e6), level('480p', 12e5), level('video', 4e6, 1)];
    assert.equal(wayAround(failed, 1, 8e6), -1, 'the same pictures with other sound have the same gap');
    assert.equal(wayAround(failed, 3, 8e6), 2);
    assert.equal(wayAround([level('video', 4e6)], 0, 8e6), -1);
    assert.equal(wayAround([], 0, 8e6), -1);
  });

  test('what was kept is read with care', () => {
    const sound = { name: 'a', language: 'b' };
    assert.deepEqual(readLikes('{"sound":{"name":"a","language":"b"},"lines":720}'), { sound, lines: 720, rate: null });
    assert.deepEqual(readLikes('{"sound":null,"lines":720,"rate":9e5}'), { sound: null, lines: 720, rate: 9e5 });
    assert.deepEqual(readLikes('{"lines":720,"rate":0}'), { sound: null, lines: 720, rate: null });
    for (const text of [null, '', '[', 'null', '3', '{"sound":3,"lines":"x"}', '{"sound":{"name":3},"lines":-1}', '{"rate":9e5}']) {
      assert.deepEqual(readLikes(text), { sound: null, lines: null, rate: null }, text);
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
    if (path.startsWith('/live/show/') && !path.endsWith('.jpg')) {
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

describe('the watch page with several of both', { timeout: 120000, concurrency: 4 }, () => {
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

  /** Waits for the lines of the picture. */
  const lines = (page, count) => page.waitForFunction((n) => window.pushcart.height === n, count, { timeout: 30000, polling: 50 });
  const chosen = (page) => page.locator('#sizes').evaluate((one) => one.selectedOptions[0].text);

  test('changes among the qualities of a ladder without a stall', async (t) => {
    const rungs = await Rungs.start(90);
    t.after(() => rungs.stop());
    const { page, complaints, close } = await open(browser, rungs.url);
    assert.equal(await page.locator('#video').getAttribute('poster'), '/live/show/poster.jpg');
    await reach(page, 'playing');
    // Sound alone is no quality of the picture.
    assert.deepEqual(await page.locator('#sizes option').allTextContents(), ['Auto', '270p source', '180p']);
    await play(page, 2);
    const { stalls } = await stats(page);
    for (const [label, count] of [['180p', 180], ['270p source', 270], ['180p', 180], ['Auto', 270]]) {
      await page.selectOption('#sizes', { label });
      await lines(page, count);
      await play(page, 1);
    }
    const seen = await stats(page);
    assert.deepEqual([seen.stalls - stalls, seen.absences, seen.fatalErrors, seen.opened], [0, 0, 0, 1], JSON.stringify(seen));
    assert.deepEqual(complaints, []);
    await close();
  });

  test('goes around the gap of a quality without a stall, and comes back to the one that was chosen', async (t) => {
    const rungs = await Rungs.start(90);
    t.after(() => rungs.stop());
    const { page, complaints, close } = await open(browser, rungs.url);
    await reach(page, 'playing');
    await page.selectOption('#sizes', { label: '180p' });
    await lines(page, 180);
    await play(page, 2);
    const { stalls } = await stats(page);
    rungs.fail(4);
    await lines(page, 270);
    assert.equal(await chosen(page), '180p');
    await play(page, 4);
    let seen = await stats(page);
    assert.deepEqual([seen.stalls - stalls, seen.absences, seen.fatalErrors], [0, 0, 0], JSON.stringify(seen));
    await lines(page, 180);
    await play(page, 2);
    seen = await stats(page);
    assert.deepEqual([seen.stalls - stalls, seen.absences, seen.fatalErrors, seen.opened], [0, 0, 0, 1], JSON.stringify(seen));
    assert.equal(await chosen(page), '180p');
    assert.deepEqual(complaints, []);
    await close();
  });
});
