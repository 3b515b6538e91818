// The parts of the page that need no browser, and the clock of the measurements.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { runnerImport } from 'vite';
import { age, decode, encode } from '../bench/clock.mjs';

const load = async (name) => {
  const { module } = await runnerImport(fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url)), { configFile: false });
  return module;
};
const { Governor, fastest, pictureAge, slowest } = await load('latency');
const { firstMediaPlaylist, isClosed, probe, reasonIn, Refused } = await load('presence');
const { signedPrefix, streamName } = await load('address');
const { Backoff } = await load('backoff');
const { choose } = await load('strings');
const { words } = await load('status');

const timing = (behindEdge, rest = {}) => ({ behindEdge, holdBack: 0.6, shownAt: null, step: 0.2, ...rest });

/** A governor that has played long enough to aim at the stream's own distance. */
function settled() {
  const governor = new Governor();
  governor.pass(600);
  return governor;
}

test('the governor brings playback to its distance and leaves it there', () => {
  const governor = settled();
  let [edge, rates] = [2.5, []];
  for (let i = 0; i < 400; i++) {
    const rate = governor.rate(timing(edge), edge);
    rates.push(rate);
    edge -= (rate - 1) * 0.25;
  }
  assert.equal(rates[0], fastest);
  assert.equal(rates.at(-1), 1);
  assert.ok(Math.abs(edge - 0.6) < 0.12, `it stays ${edge} s behind`);
  // It does not swing: once at the distance the rate is 1 for good.
  assert.ok(rates.slice(rates.indexOf(1)).every((rate) => rate === 1));
});

test('the governor falls back when playback is too near the edge', () => {
  const governor = settled();
  assert.equal(governor.rate(timing(0.1), 0.1), slowest);
  assert.equal(governor.rate(timing(0.58), 0.5), 1);
});

test('the governor does not hurry with little in front, nor when too far behind', () => {
  assert.equal(settled().rate(timing(2), 0.2), 1);
  assert.equal(settled().rate(timing(30), 20), 1);
  assert.equal(settled().rate(timing(null), 5), 1);
  assert.equal(settled().rate(timing(5, { holdBack: null }), 5), 1);
});

test('stalls widen the distance, up to a limit, and time narrows it', () => {
  const governor = settled();
  const distance = () => governor.target(timing(1));
  assert.equal(distance(), 0.6);
  governor.stalled();
  assert.ok(distance() > 0.8);
  for (let i = 0; i < 100; i++) governor.stalled();
  assert.equal(distance(), 2.6);
  governor.pass(600);
  assert.equal(distance(), 0.6);
});

test("the age of the picture is taken from its capture time unless the viewer's clock is wrong", () => {
  const now = 1_700_000_000_000;
  assert.equal(pictureAge(timing(0.9, { shownAt: now - 1200 }), now), 1.2);
  assert.equal(pictureAge(timing(0.9), now), 0.9);
  // An hour wrong either way.
  assert.equal(pictureAge(timing(0.9, { shownAt: now - 3_600_000 }), now), 0.9);
  assert.equal(pictureAge(timing(0.9, { shownAt: now + 3_600_000 }), now), 0.9);
  assert.equal(pictureAge(timing(null), now), null);
  assert.equal(pictureAge(timing(null, { shownAt: now - 2000 }), now), 2);
  assert.equal(pictureAge(timing(null, { shownAt: now + 2000 }), now), null);
});

test('playlists are read as far as it takes to know whether a show is on', () => {
  const main = '#EXTM3U\r\n#EXT-X-MEDIA:TYPE=AUDIO,URI="a.m3u8"\n\n#EXT-X-STREAM-INF:BANDWIDTH=1\n# note\n\nvideo.m3u8\r\n';
  assert.equal(firstMediaPlaylist(main, 'http://h/live/x/index.m3u8'), 'http://h/live/x/video.m3u8');
  assert.equal(firstMediaPlaylist('#EXTM3U\nseg.m4s\n', 'http://h/live/x/index.m3u8'), null);
  assert.equal(firstMediaPlaylist('', 'http://h/'), null);
  assert.ok(isClosed('#EXTM3U\n#EXTINF:1,\na.m4s\n#EXT-X-ENDLIST\r\n'));
  assert.ok(!isClosed('#EXTM3U\n#EXTINF:1,\nx#EXT-X-ENDLIST\n'));
});

test('waits grow to their limit, spread, and start over', () => {
  const low = new Backoff(2000, 5000, () => 0);
  assert.deepEqual([1, 2, 3, 4, 5].map(() => Math.round(low.delay())), [1600, 2400, 3600, 4000, 4000]);
  low.reset();
  assert.equal(low.delay(), 1600);
  assert.equal(Math.round(new Backoff(2000, 5000, () => 1).delay()), 2400);
});

test('every state has its words in every language', () => {
  const states =
    'connecting waiting playing buffering reconnecting away ended paused blocked unsupported'.split(' ');
  for (const tag of ['en-GB', 'zh-Hant-TW', 'es']) {
    const { lang, strings } = choose([tag]);
    assert.equal(lang, tag.split('-')[0]);
    for (const state of states) assert.equal(words(state, strings).headline === '', state === 'playing', `${tag}: ${state}`);
  }
  assert.equal(choose(['fi', 'es-419', 'en']).lang, 'es');
  assert.equal(choose([]).lang, 'en');
  assert.equal(choose(['constructor']).lang, 'en');
});

test('the burned-in clock is read as it was drawn, and nothing else is taken for one', () => {
  const now = 1_764_000_123_456;
  const drawn = encode(now).map((bit) => (bit ? 230 : 20));
  assert.equal(age(decode(drawn), now + 750), 750);
  assert.equal(age(decode(encode(2 ** 26 - 5).map((bit) => bit * 255)), 2 ** 26 + 5), 10);
  for (let i = 0; i < drawn.length; i++) {
    const broken = drawn.map((v, at) => (at === i ? 250 - v : v));
    assert.equal(decode(broken), null, `cell ${i}`);
  }
  assert.equal(decode(drawn.map((v, at) => (at === 9 ? 128 : v))), null);
  assert.equal(decode(drawn.map(() => 0)), null);
  assert.equal(decode([]), null);
});

test('what stands in front of a signed address is told from everything else', () => {
  const token = '/p/1.k1.show.1893456000.v3.abc';
  for (const [path, prefix, name] of [
    ['/watch/show', '', 'show'],
    [`${token}/watch/show`, token, 'show'],
    [`${token}/watch/show/`, token, 'show'],
    ['/watch/p', '', 'p'],
    ['/p/watch', '', 'watch'],
    ['//p/x/watch/show', '', null],
  ]) {
    assert.equal(signedPrefix(path), prefix, path);
    if (name !== null) assert.equal(streamName(path), name, path);
  }
});

test('a viewer who is turned away reads why, in each language', () => {
  const reasons = ['missing', 'malformed', 'unknown_key', 'bad_signature', 'expired', 'wrong_stream', 'wrong_country', 'unknown_country', 'too_many_viewers', ''];
  for (const tag of ['en', 'zh', 'es']) {
    const said = new Set(reasons.map((reason) => words('refused', choose([tag]).strings, reason).headline));
    assert.ok(!said.has('') && said.size === 5, `${tag}: ${[...said]}`);
  }
  assert.equal(reasonIn('{"reason":"expired"}'), 'expired');
  for (const body of ['', '<html>', '[]', 'null', '{"reason":7}', '{}']) assert.equal(reasonIn(body), '', body);
});

test('an address that is not good is told from a stream that is not there', async (t) => {
  const { signal } = new AbortController();
  for (const [status, body, wanted] of [
    [401, '{"reason":"expired"}', new Refused('expired')],
    [403, 'a proxy says no', new Refused('')],
    [404, '', 'absent'],
    [500, '', 'absent'],
  ]) {
    t.mock.method(globalThis, 'fetch', async () => new Response(body, { status }));
    assert.deepEqual(await probe('http://node/live/show/index.m3u8', signal), wanted);
  }
});
