// The SDK against players and a network that do what a test says.
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { FakeHls, FakeNetwork, FakeShaka, FakeVideo, track } from './fakes.mjs';
import { load, until } from './load.mjs';
import { id3, Signer } from './signer.mjs';

globalThis.document ??= { hidden: false };
globalThis.location ??= { href: 'https://page.example.com/' };
const { attach, fromHls } = await load('sdk/index');
const { Keys } = await load('sdk/keys');
const { parseToken } = await load('sdk/state');

let network, video, hls, cards, log, seq;

beforeEach(() => {
  [network, video, hls] = [new FakeNetwork(), new FakeVideo(), new FakeHls()];
  seq = verified = 0;
});
afterEach(() => cards?.detach());

/** Attaches and keeps a log: "show main lamp/1", with " unsigned" behind it when nothing was verified. */
function begin(player = hls, options = {}) {
  cards = attach(video, player, { languages: ['en'], fetch: network.fetch, ...options });
  log = [];
  for (const type of ['show', 'update', 'hide']) {
    cards.addEventListener(type, ({ slot, card, rev, verified }) =>
      log.push(`${type} ${slot} ${card.id}/${rev}${verified ? '' : ' unsigned'}`),
    );
  }
  cards.addEventListener('rejected', ({ reason }) => log.push(`rejected ${reason}`));
  return cards;
}

/** What has happened since the last time. */
function news() {
  const list = log;
  log = [];
  return list;
}

const token = (slots, rest = {}) => network.signer.token({ seq: ++seq, slots, ...rest });
/** Tells of a state at a time and waits until it is verified and its documents are there. */
async function state(time, slots, rest) {
  const sent = token(slots, rest);
  hls.message(time, id3(sent));
  await ready();
  return sent;
}

/** Signatures are checked on another thread: how many are. */
let checking = 0;
let verified = 0;
for (const name of ['verify', 'importKey', 'digest']) {
  const real = SubtleCrypto.prototype[name];
  SubtleCrypto.prototype[name] = function (...args) {
    checking++;
    if (name === 'verify') verified++;
    return real.apply(this, args).finally(() => checking--);
  };
}

/** Waits until nothing is under way but what waits for the test. */
async function ready() {
  for (let calm = 0, last = -1; calm < 10; calm++) {
    if (checking > 0 || network.requests.length !== last) calm = 0;
    last = network.requests.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Shows the picture of a time and returns what happened. */
function at(time) {
  video.picture(time);
  return news();
}

test('a card comes, changes and goes with its picture, never before', async () => {
  begin();
  const [one, two, chair] = [network.card('lamp', 1), network.card('lamp', 2), network.card('chair', 1)];
  await state(1, {});
  await state(10, { main: one });
  await state(11, { main: two });
  await state(12, { main: two, offer: chair });
  await state(13, { main: chair });
  await state(14, {});
  const moments = [];
  cards.addEventListener('show', (event) => moments.push([event.mediaTime, event.verified, event.since.getTime()]));
  assert.deepEqual(at(9.9999 - 1 / 30), []);
  assert.deepEqual(at(9.99), []);
  assert.deepEqual(at(10), ['show main lamp/1']);
  assert.deepEqual(at(10.033), []);
  assert.deepEqual(at(11.0000004), ['update main lamp/2']);
  assert.deepEqual(at(11.999999), ['show offer chair/1']);
  assert.deepEqual([...cards.shown.keys()].sort(), ['main', 'offer']);
  assert.deepEqual(at(13), ['hide main lamp/2', 'hide offer chair/1', 'show main chair/1']);
  assert.deepEqual(at(15), ['hide main chair/1']);
  assert.equal(cards.shown.size, 0);
  assert.deepEqual(moments[0], [10, true, one.since]);
});

test('all of a state is so before anybody is told of any of it', async () => {
  begin();
  await state(1, { main: network.card('lamp'), offer: network.card('chair') });
  const seen = [];
  cards.addEventListener('show', () => seen.push([...cards.shown.keys()].sort().join()));
  at(1);
  assert.deepEqual(seen, ['main,offer', 'main,offer']);
});

test('seeking shows what holds there, either way, as far back as is known', async () => {
  begin();
  const [one, two] = [network.card('lamp', 1), network.card('lamp', 2)];
  await state(10, { main: one });
  await state(20, { main: two });
  await state(30, {});
  assert.deepEqual(at(25), ['show main lamp/2']);
  assert.deepEqual(at(12), ['update main lamp/1']);
  assert.deepEqual(at(35), ['hide main lamp/1']);
  assert.deepEqual(at(21), ['show main lamp/2']);
  // Before the first state that is known it may be any; a card that comes later is not shown.
  assert.deepEqual(at(5), ['hide main lamp/2']);
  // A pause and another rate are only other pictures.
  assert.deepEqual([at(20), at(20), at(20.5)], [['show main lamp/2'], [], []]);
});

test('messages that come twice, late, or in any order make no difference', async () => {
  begin();
  const [one, two] = [network.card('lamp', 1), network.card('lamp', 2)];
  const [first, second, third] = [token({ main: one }), token({ main: two }), token({})];
  for (const [time, tag] of [[30, third], [20, second], [10, first], [20.0000003, second], [12, first], [10, first], [22, second]]) {
    hls.message(time, id3(tag));
  }
  await ready();
  assert.equal(verified, 5, 'one that was there already was looked at again');
  assert.deepEqual([9, 10, 12, 19.9, 20, 22, 29, 30].flatMap(at), ['show main lamp/1', 'update main lamp/2', 'hide main lamp/2']);
  // One that comes when its picture has passed counts at once.
  await state(29.5, { main: one });
  assert.deepEqual(news(), []);
  await state(30.5, { main: two });
  assert.deepEqual(at(31), ['show main lamp/2']);
});

test('of several states for one picture the last one made counts', async () => {
  begin();
  const [one, two] = [network.card('lamp', 1), network.card('lamp', 2)];
  const tokens = [token({ main: one }), token({ main: two }), token({}, { epoch: 0x7fffffff }), token({ main: one }, { epoch: 0x80000000 })];
  for (const i of [3, 0, 2, 1]) hls.message(10 + i * 1e-7, id3(tokens[i]));
  await ready();
  assert.deepEqual(at(10), ['show main lamp/1']);
  assert.deepEqual(at(11), []);
});

test('documents are fetched ahead of their picture, once, and by all who want them at once', async () => {
  begin(hls, { lookahead: 20 });
  const lamp = network.card('lamp');
  const prepared = [];
  cards.addEventListener('prepare', ({ card, slot, mediaTime }) => prepared.push(`${slot} ${card.id} ${mediaTime}`));
  at(0);
  await state(15, { main: lamp });
  await state(16, { main: lamp, offer: lamp });
  assert.equal(network.asked('/live/show/cards/lamp/1.json'), 1);
  assert.deepEqual(prepared, ['main lamp 15', 'offer lamp 16']);
  assert.deepEqual(at(16), ['show main lamp/1', 'show offer lamp/1']);
  // What is further ahead waits.
  await state(100, { main: network.card('chair') });
  assert.equal(network.asked('/live/show/cards/chair/1.json'), 0);
  at(81);
  await ready();
  assert.equal(network.asked('/live/show/cards/chair/1.json'), 1);
  assert.equal(network.asked('/.well-known/jwks.json'), 1);
});

test('a document that is late is asked for again, and shown when it comes', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  begin();
  const lamp = network.card('lamp');
  const path = '/live/show/cards/lamp/1.json';
  const document = network.paths.get(path);
  network.paths.delete(path);
  await state(1, { main: lamp });
  assert.deepEqual(at(1), []);
  for (let tries = 2; tries <= 4; tries++) {
    t.mock.timers.tick(5000);
    await until(() => network.asked(path) === tries, `try ${tries}`);
    await ready();
  }
  assert.equal(network.cache, 'no-cache');
  network.paths.set(path, document);
  t.mock.timers.tick(7000);
  await until(() => log.length > 0, 'the card');
  assert.deepEqual(news(), ['show main lamp/1']);
  // One that nobody wants any more is left alone.
  network.card('chair');
  network.paths.delete('/live/show/cards/chair/1.json');
  await state(2, { main: { card: 'chair', rev: 1, since: 1 } });
  await state(3, {});
  assert.deepEqual(at(4), ['hide main lamp/1']);
  const asked = network.asked('/live/show/cards/chair/1.json');
  t.mock.timers.tick(60000);
  await ready();
  assert.equal(network.asked('/live/show/cards/chair/1.json'), asked);
});

test('another card takes the old one off at once, another revision when it is there', async () => {
  begin();
  let give = () => {};
  const late = (path) => {
    const document = network.paths.get(path);
    network.paths.set(path, () => new Promise((resolve) => (give = () => resolve(document))));
  };
  const [one, two, chair] = [network.card('lamp', 1), network.card('lamp', 2), network.card('chair')];
  await state(1, { main: one });
  assert.deepEqual(at(1), ['show main lamp/1']);
  late('/live/show/cards/lamp/2.json');
  await state(2, { main: two });
  assert.deepEqual(at(2), []);
  give();
  await until(() => log.length > 0, 'revision 2');
  assert.deepEqual(news(), ['update main lamp/2']);
  late('/live/show/cards/chair/1.json');
  await state(3, { main: chair });
  assert.deepEqual(at(3), ['hide main lamp/2']);
  give();
  await until(() => log.length > 0, 'the chair');
  assert.deepEqual(news(), ['show main chair/1']);
});

test('what is withheld, or is not what was asked for, shows nothing', async () => {
  begin();
  const [lamp, chair, table] = [network.card('lamp'), network.card('chair'), network.card('table')];
  network.paths.set('/live/show/cards/lamp/1.json', { id: 'lamp', 'pushcart:withheld': true });
  network.paths.set('/live/show/cards/chair/1.json', { id: 'table', rev: 1, name: 'x' });
  network.paths.set('/live/show/cards/table/1.json', `{"id":"table","name":"${'x'.repeat(40000)}"}`);
  await state(1, { main: lamp, offer: chair, banner: table });
  assert.deepEqual(at(1), []);
  // A revision that is withheld takes the one before off.
  await state(2, { main: network.card('lamp', 2) });
  await state(3, { main: { ...lamp, rev: 1 } });
  assert.deepEqual(at(2), ['show main lamp/2']);
  assert.deepEqual(at(3), ['hide main lamp/2']);
});

test('cards are made for the viewer, and every node is asked at its own address', async () => {
  begin(hls, { languages: ['de-DE'], documents: 'https://cdn.example.com/c', jwks: 'https://cdn.example.com/keys.json' });
  network.paths.set('/keys.json', network.paths.get('/.well-known/jwks.json'));
  network.paths.set('/c/lamp/1.json', { id: 'lamp', name: { en: 'Lamp', de: 'Lampe' }, offers: [{ price: '1.50', priceCurrency: 'EUR' }] });
  let card;
  cards.addEventListener('show', (event) => (card = event.card));
  await state(1, { main: { card: 'lamp', rev: 1, since: 1 } });
  assert.deepEqual(at(1), ['show main lamp/1']);
  assert.deepEqual([card.name.text, card.rev], ['Lampe', 1]);
  assert.equal(card.price.text.replace('\u00a0', ' '), '1,50 €');
  assert.deepEqual([...new Set(network.requests)].sort(), ['/c/lamp/1.json', '/keys.json']);
});

test('a state that was altered, or is not of this stream, is not shown, and reported once', async () => {
  begin();
  const [lamp, table] = [network.card('lamp'), network.card('table')];
  await state(1, { main: table });
  const good = token({ main: lamp });
  const [header, payload, signature] = good.split('.');
  const forged = `${header}.${Buffer.from(JSON.stringify({ v: 1, stream: 'show', epoch: 1, seq: 9, slots: { main: lamp } })).toString('base64url')}.${signature}`;
  const stranger = new Signer().token({ seq: 9, slots: { main: lamp } });
  const elsewhere = network.signer.token({ stream: 'other', seq: 9, slots: { main: lamp } });
  for (const bad of [forged, forged, `${header}.${payload}.AAAA`, stranger, stranger, elsewhere]) {
    hls.message(5, id3(bad));
    await ready();
  }
  assert.deepEqual(news(), ['rejected signature', 'rejected malformed', 'rejected unknown-key', 'rejected stream']);
  // As if they had never come.
  assert.deepEqual(at(5), ['show main table/1']);
  hls.message(6, id3(good));
  await ready();
  assert.deepEqual(at(6), ['hide main table/1', 'show main lamp/1']);
  hls.message(7, id3(forged));
  await ready();
  assert.deepEqual(at(8), []);
});

test('nothing is shown while its signature is being checked, and what was shown stays', async () => {
  begin();
  const answers = [];
  network.paths.set('/.well-known/jwks.json', () => new Promise((resolve) => answers.push(() => resolve({ keys: network.keys }))));
  hls.message(1, id3(token({ main: network.card('lamp') })));
  await ready();
  assert.deepEqual(at(1), []);
  answers.shift()();
  await until(() => log.length > 0, 'the card');
  assert.deepEqual(news(), ['show main lamp/1']);
});

test('keys: an unknown one is asked for once, within ten seconds not again; old ones are looked at again', async () => {
  let now = 0;
  const keys = new Keys(() => 'https://node.example.com/.well-known/jwks.json', network.fetch, () => now);
  const asked = () => network.asked('/.well-known/jwks.json');
  const check = (signer) => keys.check(parseToken(signer.token({ seq: 1 })));
  const [first, next, never] = [network.signer, new Signer(), new Signer()];
  assert.equal(await check(first), 'good');
  assert.deepEqual([await check(first), asked()], ['good', 1]);
  // A key that the node has made since.
  network.keys = [first.jwk, next.jwk];
  now = 10_001;
  assert.deepEqual(await Promise.all([check(next), check(next), check(never)]), ['good', 'good', 'unknown-key']);
  assert.equal(asked(), 2);
  for (let i = 0; i < 20; i++) assert.equal(await check(never), 'unknown-key');
  assert.equal(asked(), 2);
  now = 20_002;
  assert.deepEqual([await check(never), asked()], ['unknown-key', 3]);
  // A set that is old is fetched again behind the back of who checks; a key that is gone from it counts no more.
  network.keys = [next.jwk];
  now = 620_003;
  assert.deepEqual([await check(first), asked()], ['good', 4]);
  await ready();
  assert.deepEqual([await check(first), await check(next), asked()], ['unknown-key', 'good', 4]);
  // When it cannot be had the old one stays.
  network.paths.set('/.well-known/jwks.json', () => null);
  now = 1_300_000;
  assert.deepEqual([await check(next), asked()], ['good', 5]);
  await ready();
  assert.equal(await check(next), 'good');
  assert.equal(await check(never), 'unknown-key');
  assert.equal(asked(), 5);
});

test('keys: what is no key of ours is passed over, and without any the check waits', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const other = new Signer();
  const bad = [{ ...other.jwk, kid: network.signer.kid }, { ...other.jwk, x: 'AAAA' }, { kty: 'RSA' }, null, 7];
  network.keys = [...bad, network.signer.jwk, ...bad];
  network.paths.set('/.well-known/jwks.json', '<html>');
  const keys = new Keys(() => 'https://node.example.com/.well-known/jwks.json', network.fetch);
  const verdicts = [];
  void keys.check(parseToken(network.signer.token({ seq: 1 }))).then((verdict) => verdicts.push(verdict));
  void keys.check(parseToken(other.token({ seq: 1 }))).then((verdict) => verdicts.push(verdict));
  await ready();
  assert.deepEqual(verdicts, []);
  network.paths.set('/.well-known/jwks.json', { keys: network.keys });
  t.mock.timers.tick(500);
  await until(() => verdicts.length === 2, 'both verdicts');
  assert.deepEqual(verdicts.sort(), ['good', 'unknown-key']);
  keys.stop();
});

test('a browser without Ed25519 shows unsigned cards, unless they must be verified', async () => {
  const real = Object.getOwnPropertyDescriptor(globalThis, 'crypto');
  const without = await load('sdk/index');
  const lamp = network.card('lamp');
  Object.defineProperty(globalThis, 'crypto', { configurable: true, value: { subtle: undefined } });
  try {
    for (const [verify, expected] of [
      ['auto', ['show main lamp/1 unsigned']],
      ['require', []],
    ]) {
      const viewer = without.attach(video, hls, { languages: ['en'], fetch: network.fetch, verify });
      const seen = [];
      viewer.addEventListener('show', ({ slot, card, verified }) => seen.push(`show ${slot} ${card.id}/1${verified ? '' : ' unsigned'}`));
      viewer.addEventListener('rejected', ({ reason }) => seen.push(reason));
      hls.message(1, id3(token({ main: lamp })));
      await ready();
      video.picture(1);
      assert.deepEqual(seen, verify === 'require' ? ['unsupported'] : expected);
      viewer.detach();
    }
  } finally {
    Object.defineProperty(globalThis, 'crypto', real);
  }
  assert.equal(network.asked('/.well-known/jwks.json'), 0);
});

test('with verify off nothing is checked, and no key asked for', async () => {
  begin(hls, { verify: 'off' });
  hls.message(1, id3(new Signer().token({ seq: 1, slots: { main: network.card('lamp') } })));
  await ready();
  assert.deepEqual(at(1), ['show main lamp/1 unsigned']);
  assert.equal(network.asked('/.well-known/jwks.json'), 0);
});

test('another source on the same element: nothing of the old timeline counts, and what is shown stays until its picture', async () => {
  begin();
  const [one, two] = [network.card('lamp', 1), network.card('lamp', 2)];
  await state(500, { main: one });
  assert.deepEqual(at(500), ['show main lamp/1']);
  const old = hls;
  hls = new FakeHls();
  cards.use(fromHls(hls));
  video.fire('emptied');
  old.message(2, id3(token({})));
  await state(3, { main: two });
  await state(4, {});
  assert.deepEqual(news(), []);
  assert.equal(old.listeners.size, 0);
  assert.deepEqual(at(3.5), ['update main lamp/2']);
  // The same instance loads its stream anew.
  hls.emit('hlsManifestLoading', {});
  await state(1, {});
  assert.deepEqual(news(), []);
  assert.deepEqual(at(1), ['hide main lamp/2']);
});

test('the end of a show takes all cards off; the end of the page lets go of everything', async () => {
  begin();
  await state(1, { main: network.card('lamp') });
  assert.deepEqual(at(1), ['show main lamp/1']);
  cards.clear();
  assert.deepEqual(news(), ['hide main lamp/1']);
  assert.deepEqual(at(1.1), []);
  await state(2, { main: network.card('chair') });
  assert.deepEqual(at(2), ['show main chair/1']);
  cards.detach();
  assert.deepEqual(news(), ['hide main chair/1']);
  assert.deepEqual([hls.listeners.size, video.callbacks.size], [0, 0]);
  video.fire('timeupdate');
  assert.deepEqual(news(), []);
});

test('the list of messages stays short however long the show is', async () => {
  begin(hls, { verify: 'off' });
  const lamp = network.card('lamp');
  for (let time = 0; time < 4000; time += 2) {
    hls.message(time, id3(token(time % 4 === 0 ? { main: lamp } : {})));
    video.from = Math.max(0, time - 60);
    video.picture(time);
  }
  // What can be sought is still known, what is far behind it is not.
  video.picture(video.from + 2.5);
  await ready();
  assert.deepEqual(news(), ['show main lamp/1 unsigned']);
  assert.deepEqual(at(10), ['hide main lamp/1 unsigned']);
});

test('without a picture, or with nobody to see it, the clock of the element decides', async () => {
  begin();
  await state(10, { main: network.card('lamp') });
  video.videoWidth = 0;
  video.currentTime = 9.9;
  video.fire('timeupdate');
  assert.deepEqual(news(), []);
  video.currentTime = 10.1;
  video.fire('timeupdate');
  assert.deepEqual(news(), ['show main lamp/1']);
  video.videoWidth = 640;
  video.currentTime = 9;
  video.fire('timeupdate');
  assert.deepEqual(news(), []);
  document.hidden = true;
  video.fire('timeupdate');
  assert.deepEqual(news(), ['hide main lamp/1']);
  document.hidden = false;
  // An element that has no media tells nothing by its clock.
  assert.deepEqual(at(11), ['show main lamp/1']);
  [video.videoWidth, video.readyState, video.currentTime] = [0, 0, 0];
  video.fire('timeupdate');
  assert.deepEqual(news(), []);
});

test('stream time is that of the picture, else the clock less the latency', async (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.parse('2026-03-01T18:00:00Z') });
  begin();
  assert.equal(cards.date().toISOString(), '2026-03-01T17:59:58.000Z');
  const fragment = (start, date) => ({ start, duration: 2, programDateTime: date && Date.parse(date) });
  hls.latestLevelDetails = {
    fragments: [fragment(10, '2026-03-01T12:00:00Z'), fragment(12, null), fragment(14, '2026-03-01T12:30:00Z')],
  };
  at(11.5);
  assert.equal(cards.date().toISOString(), '2026-03-01T12:00:01.500Z');
  at(13);
  assert.equal(cards.date().toISOString(), '2026-03-01T12:00:03.000Z');
  at(14.25);
  assert.equal(cards.date().toISOString(), '2026-03-01T12:30:00.250Z');
});

// Date ranges, for streams whose messages got lost.

const range = (id, value, start, end = null) => ({
  id,
  class: 'live.pushcart.card',
  startDate: new Date(start),
  endDate: end && new Date(end),
  attr: { 'X-PUSHCART-CARD': value },
});
const second = (n) => `2026-03-01T12:00:${String(n).padStart(2, '0')}.000Z`;
const details = (ranges, rest = {}) => ({
  fragments: [{ start: 100, duration: 60, programDateTime: Date.parse(second(0)) }],
  dateRanges: Object.fromEntries(ranges.map((one) => [one.id, one])),
  ...rest,
});

test('where no message ever comes date ranges stand in, whatever the player forgets of them', async () => {
  begin();
  for (const rev of [1, 2]) network.card('lamp', rev);
  network.card('save');
  const update = (...args) => hls.emit('hlsLevelUpdated', { details: details(...args) });
  const first = range('main-7-1', 'main/lamp/1', second(10));
  update([first, range('offer-7-2', 'offer/save/1', second(12), second(14))]);
  await ready();
  assert.deepEqual([109.9, 110, 112, 114].map(at), [
    [],
    ['show main lamp/1 unsigned'],
    ['show offer save/1 unsigned'],
    ['hide offer save/1 unsigned'],
  ]);
  // A delta update that has only what is new: what it lacks is still open.
  update([range('main-7-3', 'main/lamp/2', second(20))], { skippedSegments: 3 });
  await ready();
  assert.deepEqual(at(119), []);
  assert.deepEqual(at(120), ['update main lamp/2 unsigned']);
  update([{ ...first, endDate: new Date(second(20)) }, range('main-7-3', 'main/lamp/2', second(20), second(25))]);
  assert.deepEqual([124.9, 125].map(at), [[], ['hide main lamp/2 unsigned']]);
  assert.deepEqual(at(115), ['show main lamp/1 unsigned']);
  // A whole playlist without a range that never ended: it has ended long ago.
  update([range('main-7-4', 'main/lamp/2', second(30))]);
  await ready();
  assert.deepEqual(at(140), ['update main lamp/2 unsigned']);
  update([]);
  assert.deepEqual(news(), ['hide main lamp/2 unsigned']);
});

test('date ranges count for nothing once a message came, nor where cards must be verified, nor in another form', async () => {
  const lamp = network.card('lamp');
  for (const n of [1, 2]) network.card('chair', n);
  const told = { details: details([range('main-7-1', 'main/chair/1', second(0))]) };
  begin(hls, { verify: 'require' });
  hls.emit('hlsLevelUpdated', told);
  await ready();
  assert.deepEqual(at(110), []);
  cards.detach();

  begin();
  const odd = ['main/chair', 'main/chair/0', 'main/chair/1/2', 'Main/chair/1', 'main/../1', 'main/chair/1e3', ''];
  hls.emit('hlsLevelUpdated', { details: details(odd.map((value, i) => range(`main-7-${i}`, value, second(0)))) });
  await ready();
  assert.deepEqual(at(110), []);
  hls.emit('hlsLevelUpdated', told);
  await ready();
  assert.deepEqual(at(110), ['show main chair/1 unsigned']);
  await state(105, { main: lamp });
  assert.deepEqual(news(), ['hide main chair/1 unsigned', 'show main lamp/1']);
  // Not even where the player has no message any more.
  hls.emit('hlsManifestLoading', {});
  hls.emit('hlsLevelUpdated', told);
  await ready();
  assert.deepEqual(at(110), []);
});

// Other players, and players that began before.

test('hls.js that began before: what it has put into cues counts', async () => {
  const value = { key: 'TXXX', info: 'live.pushcart.cards', data: token({ main: network.card('lamp') }) };
  const other = { key: 'TXXX', info: 'somebody.else', data: 'x' };
  video.textTracks.list.push(track([{ startTime: 5, endTime: 6, value: other }, { startTime: 5, endTime: Infinity, value }], 'id3'));
  begin();
  await ready();
  assert.deepEqual(at(5), ['show main lamp/1']);
});

test('Shaka Player: told to give messages, and taken at their word when they are read', async () => {
  const shaka = new FakeShaka();
  const payload = (slots) => ({ key: 'TXXX', description: 'live.pushcart.cards', data: token(slots), mimeType: null });
  shaka.regions = [{ startTime: 4, payload: payload({ main: network.card('lamp') }) }];
  begin(shaka);
  assert.deepEqual(shaka.configured, { 'mediaSource.dispatchAllEmsgBoxes': true });
  shaka.tell('metadataadded', { startTime: 6, payload: payload({}) });
  shaka.tell('metadataadded', { startTime: 5, payload: { key: 'TIT2', description: '', data: 'x' } });
  await ready();
  assert.deepEqual([at(4), at(6)], [['show main lamp/1'], ['hide main lamp/1']]);
  video.currentTime = 6;
  assert.equal(cards.date().toISOString(), '2026-03-01T12:00:05.000Z');
  shaka.tell('loading', {});
  video.fire('emptied');
  assert.deepEqual(at(4), []);
});

test('Shaka Player: date ranges where no message ever comes', async () => {
  const shaka = new FakeShaka();
  begin(shaka);
  network.card('lamp');
  const values = [{ key: 'ID', data: 'main-7-1' }, { key: 'X-PUSHCART-CARD', data: 'main/lamp/1' }];
  const region = { id: 'main-7-1', schemeIdUri: 'live.pushcart.card', startTime: 10, endTime: Infinity, values };
  shaka.tell('timelineregionadded', { detail: { ...region, schemeIdUri: 'other', id: 'x' } });
  shaka.tell('timelineregionadded', { detail: region });
  await ready();
  assert.deepEqual(at(10), ['show main lamp/1 unsigned']);
  shaka.tell('timelineregionadded', { detail: { ...region, endTime: 12 } });
  assert.deepEqual(at(12), ['hide main lamp/1 unsigned']);
});

test('a browser that plays HLS by itself: cues that are replaced, or never in force, count', async () => {
  video.currentSrc = 'https://node.example.com/live/show/index.m3u8';
  video.getStartDate = () => new Date('2026-03-01T12:00:00Z');
  const cue = (startTime, slots, data = token(slots)) => ({
    startTime,
    endTime: Infinity,
    id: '',
    value: { key: 'TXXX', info: 'live.pushcart.cards', data },
  });
  begin(null);
  const metadata = track([cue(3, { main: network.card('lamp') })]);
  video.textTracks.list.push(metadata);
  video.textTracks.dispatchEvent(Object.assign(new Event('addtrack'), { track: metadata }));
  assert.equal(metadata.mode, 'hidden');
  await ready();
  assert.deepEqual(at(3), ['show main lamp/1']);
  // Replaced by one of the same content, and one that is over before the browser gets round to it.
  metadata.cues = [cue(3, {}, metadata.cues[0].value.data), cue(4, {}), cue(4.2, { main: network.card('chair') })];
  metadata.dispatchEvent(new Event('cuechange'));
  await ready();
  assert.deepEqual([at(4), at(5)], [['hide main lamp/1'], ['show main chair/1']]);
  assert.equal(cards.date().toISOString(), '2026-03-01T12:00:05.000Z');
  // Other media: other times.
  video.fire('emptied');
  metadata.cues = [];
  assert.deepEqual(at(3.5), []);
});

test('a browser that plays HLS by itself: date ranges where no message ever comes', async () => {
  video.currentSrc = 'https://node.example.com/live/show/index.m3u8';
  network.card('lamp');
  const value = { key: 'X-PUSHCART-CARD', data: 'main/lamp/1' };
  video.textTracks.list.push(track([{ startTime: 2, endTime: 4, id: 'main-7-1', value }]));
  begin(null);
  await ready();
  assert.deepEqual([at(2), at(4)], [['show main lamp/1 unsigned'], ['hide main lamp/1 unsigned']]);
});

test('what is no player is refused', () => {
  assert.throws(() => attach(video, {}, { languages: ['en'], fetch: network.fetch }), /neither an instance of hls\.js nor a shaka\.Player/);
  cards = undefined;
});
