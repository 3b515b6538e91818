// The parts of the studio that need no browser.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { runnerImport } from 'vite';

const parts = fileURLToPath(new URL('studio-parts.ts', import.meta.url));
const { module: studio } = await runnerImport(parts, { configFile: false });
const { Api, Commands, EventParser, Failure, Feed, ServerClock, Session, Store } = studio;
const { aside, cardOf, cards, changes, command, diff, exported, facts, failure, idempotencyKey, label, ladderState, landing, move, rungState } =
  studio;
const { readCards, rebase, regions, same, segments, sendable, sentence, streamName, studioStrings, times } = studio;
const { toCard, toForm, tokenIn } = studio;

const lamp = {
  id: 'lamp',
  '@type': 'Product',
  name: { en: 'Desk lamp', ar: 'مصباح' },
  description: 'Warm light.',
  image: 'https://shop.example.com/lamp.jpg',
  url: 'https://shop.example.com/lamp',
  brand: 'Lux',
  sku: 'L-1',
  gtin: '4006381333931',
  offers: [
    {
      price: '19.99',
      priceCurrency: 'EUR',
      availability: 'InStock',
      inventoryLevel: 12,
      eligibleRegion: ['AT', 'DE'],
      'pushcart:priorPrice': '29.99',
    },
    {
      price: '21',
      priceCurrency: 'USD',
      availability: 'PreOrder',
      ineligibleRegion: ['CA'],
      url: 'https://shop.example.com/us/lamp',
    },
  ],
  eligibleRegion: ['AT', 'DE', 'US'],
  ineligibleRegion: ['FR'],
  'pushcart:promotion': { label: 'Flash', startsAt: '2026-03-01T20:15:00Z', endsAt: '2026-03-01T20:30:00.25Z' },
  'pushcart:coupon': { code: 'SAVE10', label: { en: 'Save', de: 'Spar' }, endsAt: '2026-03-01T21:00:00Z' },
  'pushcart:giveaway': {
    label: 'Win',
    opensAt: '2026-03-01T20:00:00Z',
    closesAt: '2026-03-01T20:05:00Z',
    quantity: 3,
    url: 'https://shop.example.com/win',
  },
  'pushcart:disclosure': 'Ad',
};

test('a card goes through the form and comes back as it was', () => {
  assert.deepEqual(toCard(toForm(lamp), lamp), { card: lamp, mistakes: [] });
  const small = { id: 'mug', name: 'Mug' };
  assert.deepEqual(toCard(toForm(small), small), { card: small, mistakes: [] });
  // Times that a form cannot show in full stay as they were unless they are touched.
  const form = toForm(lamp);
  form.promotion.endsAt = times.toLocal('2026-03-01T20:45:00Z');
  assert.deepEqual(diff(lamp, toCard(form, lamp).card), { 'pushcart:promotion': { endsAt: '2026-03-01T20:45:00Z' } });
});

test('the form leaves out what is empty, and trims', () => {
  const form = toForm({ id: '', name: '' });
  form.id = ' cup ';
  form.name = [
    { lang: '', text: '  Cup ' },
    { lang: 'de', text: ' ' },
  ];
  form.offers = [
    {
      price: ' 5 ',
      currency: 'eur',
      priorPrice: '',
      availability: 'InStock',
      stock: '',
      eligible: 'de, at;ch',
      ineligible: '',
      url: '',
    },
  ];
  form.coupon.code = 'OFF';
  assert.deepEqual(toCard(form).card, {
    id: 'cup',
    name: 'Cup',
    offers: [{ price: '5', priceCurrency: 'EUR', eligibleRegion: ['DE', 'AT', 'CH'] }],
  });
  assert.deepEqual(regions(' us\n gb,'), ['US', 'GB']);
});

test('the form says what cannot be put into a document', () => {
  const form = toForm({ id: '', name: '' });
  form.id = '../x';
  form.name = [
    { lang: 'en', text: 'A' },
    { lang: '', text: 'B' },
    { lang: 'en', text: 'C' },
  ];
  form.offers = [{ ...toForm(lamp).offers[0], stock: '1.5' }];
  form.promotion = { on: true, label: [], startsAt: '', endsAt: 'soon' };
  assert.deepEqual(toCard(form).mistakes, [
    { field: 'id', what: 'id' },
    { field: 'name', what: 'language' },
    { field: 'name.en', what: 'twice' },
    { field: 'offers[0].inventoryLevel', what: 'whole' },
    { field: 'pushcart:promotion.endsAt', what: 'time' },
  ]);
  const empty = toCard(toForm({ id: '', name: '' })).mistakes;
  assert.deepEqual(empty, [
    { field: 'id', what: 'required' },
    { field: 'name', what: 'required' },
  ]);
});

/** Applies a merge patch as RFC 7396 2 has it. */
function apply(target, patch) {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const merged = typeof target === 'object' && target !== null && !Array.isArray(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = apply(merged[key], value);
  }
  return merged;
}

test('a merge patch says only what changed, and makes the one out of the other', () => {
  assert.equal(diff(lamp, structuredClone(lamp)), null);
  const renamed = { ...lamp, name: { en: 'Lamp', de: 'Lampe' } };
  assert.deepEqual(diff(lamp, renamed), { name: { en: 'Lamp', ar: null, de: 'Lampe' } });
  const cheaper = cards.withOffer(lamp, 0, (offer) => ({ ...offer, price: '9.99' }));
  assert.deepEqual(Object.keys(diff(lamp, cheaper)), ['offers']);
  const plain = cards.offSale({ ...lamp, name: 'Lamp', brand: undefined });
  assert.deepEqual(diff(lamp, plain), { name: 'Lamp', brand: null, 'pushcart:promotion': null });
  const mapped = { ...plain, name: { en: 'Lamp' } };
  for (const [before, after] of [
    [lamp, renamed],
    [lamp, cheaper],
    [lamp, plain],
    [plain, lamp],
    [plain, mapped],
    [mapped, plain],
  ]) {
    assert.ok(same(apply(before, diff(before, after)), after));
  }
});

test('what changed is told value by value', () => {
  const after = cards.withOffer({ ...lamp, brand: 'Lumen' }, 1, (offer) => ({ ...offer, price: '20' }));
  assert.deepEqual(changes(lamp, after), [
    { path: 'brand', from: 'Lux', to: 'Lumen' },
    { path: 'offers[1].price', from: '21', to: '20' },
  ]);
  assert.deepEqual(changes({ offers: [{ price: '1' }] }, { offers: [] }), [
    { path: 'offers', from: [{ price: '1' }], to: [] },
  ]);
});

test('my changes go on top of theirs, and mine count where both changed the same', () => {
  const price = (card, at, value) => cards.withOffer(card, at, (offer) => ({ ...offer, price: value }));
  const theirs = price({ ...lamp, brand: 'Theirs', sku: 'T' }, 0, '17.99');
  const mine = price({ ...lamp, brand: 'Mine' }, 1, '25');
  const merged = rebase(lamp, mine, theirs);
  assert.equal(merged.brand, 'Mine');
  assert.equal(merged.sku, 'T');
  assert.deepEqual(
    merged.offers.map((offer) => offer.price),
    ['17.99', '25'],
  );
  assert.deepEqual(rebase(lamp, lamp, theirs), theirs);
  const without = cards.offSale(lamp);
  assert.equal(rebase(lamp, mine, without)['pushcart:promotion'], undefined);
  // Lists of another length cannot be told apart by their places: mine is taken as a whole.
  assert.equal(rebase(lamp, { ...lamp, offers: [] }, theirs).offers.length, 0);
});

test('rows land where they are dropped', () => {
  assert.deepEqual(move(['a', 'b', 'c', 'd'], 0, 2), ['b', 'c', 'a', 'd']);
  assert.deepEqual(move(['a', 'b', 'c', 'd'], 3, 0), ['d', 'a', 'b', 'c']);
  assert.deepEqual(move(['a', 'b'], 0, 9), ['b', 'a']);
  assert.deepEqual(move(['a', 'b'], 5, 0), ['a', 'b']);
  const boxes = [0, 60, 120, 200].map((top, i) => ({ top, height: i === 2 ? 80 : 60 }));
  assert.equal(landing(boxes, 0, -50), 0);
  assert.equal(landing(boxes, 0, 91), 1);
  assert.equal(landing(boxes, 0, 900), 3);
  assert.equal(landing(boxes, 3, 20), 0);
  assert.equal(landing(boxes, 2, 165), 2);
  // What makes room while the first is held over the third place, and while the third is held over the first.
  assert.deepEqual(
    [0, 1, 2, 3].map((row) => aside(row, 0, 2)),
    [0, -1, -1, 0],
  );
  assert.deepEqual(
    [0, 1, 2, 3].map((row) => aside(row, 2, 0)),
    [1, 1, 0, 0],
  );
});

test('keys show and hide, but never while somebody types or a dialog is open', () => {
  const key = (key, rest = {}) => ({
    key,
    repeat: false,
    ctrlKey: false,
    metaKey: false,
    altKey: false,
    isComposing: false,
    ...rest,
  });
  const free = { typing: false, dialog: false };
  assert.deepEqual(command(key('1'), free), { kind: 'show', card: 0 });
  assert.deepEqual(command(key('9'), free), { kind: 'show', card: 8 });
  for (const name of ['0', 'Escape']) assert.deepEqual(command(key(name), free), { kind: 'hide' });
  assert.deepEqual(
    ['?', '/', 's', 'n'].map((name) => command(key(name), free).kind),
    ['help', 'search', 'slot', 'add'],
  );
  for (const name of ['a', 'Enter', 'F1', '10', ' ']) assert.equal(command(key(name), free), null, name);
  for (const rest of [{ repeat: true }, { ctrlKey: true }, { metaKey: true }, { altKey: true }, { isComposing: true }]) {
    assert.equal(command(key('1', rest), free), null, JSON.stringify(rest));
  }
  for (const name of ['1', '0', 'Escape', '?']) {
    assert.equal(command(key(name), { typing: true, dialog: false }), null);
    assert.equal(command(key(name), { typing: false, dialog: true }), null);
  }
});

test("the node's clock is found between the seconds of its answers", () => {
  let local = 0;
  const clock = new ServerClock(() => local);
  const server = 1_700_000_000_000;
  const hear = (off, at, took = 20) => {
    local = server + at - off;
    const date = new Date(Math.floor((server + at + took / 2) / 1000) * 1000).toUTCString();
    clock.heard(date, local, local + took);
  };
  // Both clocks agree: nothing is made of the seconds that a header leaves out.
  for (let at = 0; at < 5000; at += 170) hear(0, at);
  assert.equal(clock.offset, 0);
  // The node's clock is set three seconds ahead.
  for (let at = 10_000; at < 20_000; at += 130) hear(3000, at);
  assert.ok(Math.abs(clock.offset - 3000) < 150, `${clock.offset} ms`);
  assert.equal(clock.now(), local + clock.offset);
  // What says nothing changes nothing.
  const before = clock.offset;
  clock.heard(null, 0, 10);
  clock.heard('soon', 0, 10);
  clock.heard(new Date(0).toUTCString(), 0, 60_000);
  assert.equal(clock.offset, before);
});

test('times are written and read', () => {
  assert.deepEqual([0, 999, 61_000, 3_725_000, -5].map(times.clockText), ['0:00', '0:00', '1:01', '1:02:05', '0:00']);
  assert.deepEqual([1, 1000, 1001, 0].map(times.leftText), ['0:01', '0:01', '0:02', '0:00']);
  const local = times.toLocal('2026-03-01T20:15:07Z');
  assert.match(local, /^2026-03-0[12]T\d\d:\d\d:07$/);
  assert.equal(times.fromLocal(local), '2026-03-01T20:15:07Z');
  assert.equal(times.fromLocal(local.slice(0, 16)), '2026-03-01T20:15:00Z');
  assert.equal(times.fromLocal(''), null);
  assert.equal(times.toLocal(undefined), '');
  assert.equal(times.toLocal('soon'), '');
  assert.equal(times.rfc3339(1500), '1970-01-01T00:00:01.500Z');
});

test('server-sent events are read however they are cut', () => {
  const text =
    ': hello\n\nevent: view\nid: 1-2-3\ndata: {"a":\r\ndata: 1}\r\n\r\ndata:x\rdata: y\r\rretry: 5\nevent: none\n\nfoo\ndata\n\n';
  const wanted = [
    { type: 'view', data: '{"a":\n1}' },
    { type: 'message', data: 'x\ny' },
    { type: 'message', data: '' },
  ];
  for (let size = 1; size <= text.length; size++) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(events, wanted, `in pieces of ${size}`);
  }
  const parser = new EventParser();
  const long = 'x'.repeat(1 << 20);
  assert.throws(() => {
    for (let i = 0; i < 40; i++) parser.push(`data: ${long}\n`);
  }, /too long/);
});

test('the token is taken from the address as it is, and kept for the session', () => {
  assert.equal(tokenIn('#token=a+b%2Fc=='), 'a+b/c==');
  assert.equal(tokenIn('#x=1&token=%zz'), '%zz');
  assert.equal(tokenIn('#token='), '');
  assert.equal(tokenIn('#other=1'), null);
  assert.equal(streamName('/studio/show%201/'), 'show 1');
  assert.equal(streamName('/studio/%zz'), '%zz');
  assert.deepEqual(['abc+/=', 'a b', 'ä', ''].map(sendable), [true, false, false, false]);
  const map = new Map();
  const storage = { getItem: (k) => map.get(k) ?? null, setItem: (k, v) => map.set(k, v), removeItem: (k) => map.delete(k) };
  const session = new Session('show', () => storage);
  session.token = 'x';
  assert.equal(new Session('show', () => storage).token, 'x');
  assert.equal(new Session('other', () => storage).token, null);
  session.token = null;
  assert.equal(map.size, 0);
  const forbidden = new Session('show', () => {
    throw new Error('denied');
  });
  forbidden.token = 'y';
  assert.equal(forbidden.token, 'y');
});

test('paths are told in the words of the form', () => {
  const s = studioStrings('en');
  assert.deepEqual(segments('offers[10].price'), ['offers', 10, 'price']);
  assert.deepEqual(segments('name["zh-Hant"]'), ['name', 'zh-Hant']);
  assert.equal(label('offers[0].priceCurrency', s), 'Offer 1, Currency');
  assert.equal(label('name.de', s), 'Name, de');
  assert.equal(label('pushcart:promotion.endsAt', s), 'Flash sale, Ends');
  assert.equal(label('', s), '');
});

test('all languages have the same words, of which none is empty', () => {
  const shape = (value, path = '') =>
    typeof value === 'object' ? Object.entries(value).flatMap(([key, part]) => shape(part, `${path}.${key}`)) : [path];
  const en = studioStrings('en');
  const paths = shape(en);
  for (const lang of ['zh', 'es']) {
    const s = studioStrings(lang);
    assert.notEqual(s, en);
    assert.deepEqual(shape(s).sort(), [...paths].sort(), lang);
    const words = (value) => (typeof value === 'object' ? Object.values(value).flatMap(words) : [value]);
    for (const word of words(s)) assert.ok(word.length > 0 || typeof word === 'function', `${lang} has an empty word`);
  }
  assert.equal(studioStrings('fi'), en);
});

test('lists are read in every form in which they come, and say what is wrong with them', () => {
  const doc = { id: 'a', name: 'A' };
  const view = { id: 'a', rev: 3, updated_at: 'x', card: doc };
  for (const value of [[doc], { cards: [doc] }, [view], { list: 4, cards: [view] }, doc, view]) {
    assert.deepEqual(readCards(`\ufeff${JSON.stringify(value)}`), { cards: [doc] });
  }
  assert.equal(readCards(' ').problem, 'empty');
  assert.equal(readCards('[]').problem, 'empty');
  assert.equal(readCards('[{"id":').problem, 'syntax');
  assert.deepEqual(readCards('[{"id":"a"},{"name":"B"}]'), { problem: 'shape', detail: '2' });
  assert.equal(readCards('5').problem, 'shape');
  assert.deepEqual(readCards(exported([view, { ...view, card: lamp }])), { cards: [doc, lamp] });
  assert.deepEqual(cardOf('cards[2].offers[0].price'), { at: 2, field: 'offers[0].price' });
  assert.deepEqual(cardOf('[0]'), { at: 0, field: '' });
  assert.equal(cardOf('order'), null);
});

test('quick changes keep to what they are about', () => {
  const [offer, other] = lamp.offers;
  assert.equal(cards.restocked(offer, -20).inventoryLevel, 0);
  assert.equal(cards.restocked(other, 2).inventoryLevel, 2);
  assert.deepEqual(cards.sold(offer, true), { ...offer, availability: 'SoldOut', inventoryLevel: 0 });
  assert.equal('inventoryLevel' in cards.sold({ ...offer, inventoryLevel: 0 }, false), false);
  assert.equal(cards.sold(offer, false).inventoryLevel, 12);
  const sale = cards.onSale(lamp, { en: 'Sale' }, '2026-03-02T00:00:00Z')['pushcart:promotion'];
  assert.deepEqual(sale, { label: 'Flash', endsAt: '2026-03-02T00:00:00Z' });
  assert.equal(cards.offSale(lamp)['pushcart:promotion'], undefined);
  assert.equal(cards.opened({ id: 'a', name: 'A' }, 'x', 'y')['pushcart:giveaway'], undefined);
  assert.equal(cards.soldOut({ id: 'a', name: 'A' }), false);
  assert.equal(cards.soldOut({ ...lamp, offers: [{ ...offer, availability: 'OutOfStock' }] }), true);
});

test('cards are found, named and priced', () => {
  assert.ok(cards.found(lamp, 'lamp DESK'));
  assert.ok(cards.found(lamp, '400638'));
  assert.ok(cards.found(lamp, 'مصباح'));
  assert.ok(!cards.found(lamp, 'desk mug'));
  assert.equal(cards.freeID('Äpfel & Birnen', []), 'apfel-birnen');
  assert.equal(cards.freeID('lamp', ['lamp', 'lamp-2']), 'lamp-3');
  assert.equal(cards.freeID('红包', ['card-1']), 'card-2');
  assert.match(cards.freeID('x'.repeat(80), []), /^x{36}$/);
  assert.equal(cards.money('19.99', 'EUR', 'en'), '€19.99');
  assert.equal(cards.money('1e999', 'EUR', 'en'), '1e999 EUR');
  assert.deepEqual(cards.languages([{ card: lamp }]), ['ar', 'de', 'en']);
});

test('facts about a stream are those that are known', () => {
  const s = studioStrings('en');
  const info = {
    ...{
      state: 'live',
      protocol: 'rtmp',
      started_at: '2026-03-01T20:00:00Z',
      reconnects: 0,
      viewers: 1234,
      bitrate_bps: 0,
      advice: [],
    },
    tracks: [{ kind: 'video', codec: 'H.264', width: 1280, height: 720, frame_rate: 29.97 }],
    drops: { damaged: 0, time_went_back: 4 },
  };
  const said = Object.fromEntries(
    facts(info, { s, lang: 'en' }, Date.parse('2026-03-01T20:01:05Z')).map((f) => [f.label, f.words]),
  );
  assert.deepEqual(said, {
    Viewers: '1,234',
    Video: '1280 × 720, H.264',
    'Frame rate': '29.97 / s',
    Audio: 'none',
    Dropped: '4 time went back',
    Reconnects: '0',
    Since: '1:05',
    'Comes by': 'rtmp',
  });
  assert.deepEqual(facts(null, { s, lang: 'en' }, 0), []);
});

test('a ladder and its rungs are said in words', () => {
  const s = studioStrings('en');
  const ladder = { name: 'mobile', mode: 'latency', state: 'running', backend: 'cpu', rungs: [], converts: ['Opus to AAC'] };
  assert.equal(ladderState(ladder, s), 'Running · mobile for low latency · encoder cpu · Opus to AAC');
  const full = { ...ladder, state: 'reduced', reason: 'The node is full.', converts: [] };
  assert.equal(ladderState(full, s), 'Some are off · mobile for low latency · encoder cpu. The node is full.');
  const converts = { name: '', mode: '', state: 'starting', rungs: [], converts: ['VP8 to H.264'] };
  assert.equal(ladderState(converts, s), 'Starting · VP8 to H.264');
  assert.equal(ladderState({ ...converts, state: 'odd' }, s), 'odd · VP8 to H.264');
  const rung = { name: '480p', bitrate_bps: 900_000, measured_bps: 874_000, lag_seconds: 0.31, state: 'running' };
  assert.equal(rungState(rung, s), '874 kbit/s, 0.3 s behind the source');
  assert.equal(rungState({ ...rung, measured_bps: 0, lag_seconds: 0.04 }, s), '900 kbit/s');
  assert.equal(rungState({ ...rung, state: 'off', reason: 'It did not keep up.' }, s), 'Off: It did not keep up.');
  assert.equal(rungState({ ...rung, state: 'starting' }, s), 'Starting');
  for (const lang of ['en', 'es', 'zh']) {
    const words = studioStrings(lang);
    for (const state of ['starting', 'running', 'reduced', 'failed', 'off']) assert.ok(words.ladderStates[state], `${lang}: ${state}`);
    for (const mode of ['latency', 'quality']) assert.ok(words.ladderModes[mode], `${lang}: ${mode}`);
  }
});

/** Answers fetch for as long as f runs; asked has what was asked for. */
async function answering(answer, f) {
  const real = globalThis.fetch;
  const asked = [];
  globalThis.fetch = async (url, init) => {
    asked.push({ url, ...init });
    return answer(asked.length, url, init);
  };
  try {
    await f(asked);
  } finally {
    globalThis.fetch = real;
  }
}

const json = (status, value) => new Response(JSON.stringify(value), { status, headers: { Date: new Date().toUTCString() } });

test('a command that gets no answer is sent once more, with the same key', async () => {
  const api = new Api('show', 'secret', new ServerClock());
  const lost = () => {
    throw new TypeError('network');
  };
  await answering(
    (n) => (n === 1 ? lost() : json(200, { seq: 5 })),
    async (asked) => {
      assert.deepEqual(
        await api.change('PATCH', '/cards/lamp', { body: { brand: 'X' }, type: 'application/merge-patch+json', rev: 3 }),
        { seq: 5 },
      );
      assert.equal(asked.length, 2);
      assert.equal(asked[0].url, '/api/v1/streams/show/cards/lamp');
      assert.equal(asked[0].body, '{"brand":"X"}');
      const { 'Idempotency-Key': key, ...rest } = asked[0].headers;
      assert.match(key, /^[0-9a-f]{32}$/);
      assert.deepEqual(rest, {
        'If-Match': '"3"',
        'Content-Type': 'application/merge-patch+json',
        Authorization: 'Bearer secret',
      });
      assert.deepEqual(asked[1].headers, asked[0].headers);
    },
  );
  await answering(lost, async (asked) => {
    await assert.rejects(api.change('DELETE', '/slots/main'), (error) => error instanceof Failure && error.status === 0);
    assert.equal(asked.length, 2);
  });
  // What was refused is not asked for again, and reading gives no key.
  await answering(
    () => json(422, { title: 'x', detail: 'It is too long.', field: 'name' }),
    async (asked) => {
      await assert.rejects(api.change('PUT', '/cards/a', { body: {}, rev: null }), {
        status: 422,
        field: 'name',
        message: 'It is too long.',
      });
      assert.equal(asked.length, 1);
      assert.equal(asked[0].headers['If-None-Match'], '*');
      await assert.rejects(api.read('/slots'));
      assert.equal(asked[1].headers['Idempotency-Key'], undefined);
    },
  );
  let refused = 0;
  api.onrefused = () => refused++;
  await answering(
    () => json(401, {}),
    () => assert.rejects(api.read('/slots')),
  );
  assert.equal(refused, 1);
  assert.notEqual(idempotencyKey(), idempotencyKey());
});

test('failures are told in sentences', () => {
  const s = studioStrings('en');
  assert.equal(sentence(failure(409, '{"detail":"Hide it first."}'), s), 'Hide it first.');
  assert.equal(sentence(failure(502, '<html>'), s), s.refused(502));
  assert.equal(sentence(failure(500, 'null'), s), s.refused(500));
  assert.equal(sentence(new Failure(0, ''), s), s.noAnswer);
});

/** A node of one card that somebody else changes, and commands that go to it. */
function conflicted(answers) {
  const s = studioStrings('en');
  const store = new Store();
  const said = [];
  const node = { rev: 1, card: lamp, patches: [] };
  const show = () => {
    store.view = {
      epoch: 1,
      seq: 1,
      slots: [],
      cards: [{ id: 'lamp', rev: node.rev, card: node.card }],
      list: node.rev,
      scheduled: [],
      timeline: [],
    };
    store.link = 'open';
    store.changed();
  };
  const api = {
    read: async () => ({ id: 'lamp', rev: node.rev, card: node.card }),
    change: async (method, path, { body, rev }) => {
      if (rev !== node.rev) throw new Failure(412, 'stale');
      node.patches.push(body);
      node.card = apply(node.card, body);
      node.rev++;
      show();
      return { epoch: 1, seq: 1, card: 'lamp', rev: node.rev };
    },
  };
  const ask = async (base, theirs, mine) => {
    said.push([
      'asked',
      changes(base, theirs).map(({ path }) => path),
      changes(theirs, mine).map(({ path, to }) => [path, to]),
    ]);
    return answers.shift();
  };
  const commands = new Commands({
    api,
    store,
    s,
    ask,
    name: (id) => id,
    said: (t) => said.push(t),
    failed: (t) => said.push(['failed', t]),
    reconnect: () => said.push('reconnect'),
  });
  show();
  return { node, store, said, commands, show };
}

test('an edit of what somebody else has changed meanwhile is asked about, and made on top of it', async () => {
  const { node, store, said, commands } = conflicted([true]);
  const began = store.card('lamp');
  node.card = { ...lamp, brand: 'Theirs' };
  node.rev = 2;
  const mine = cards.withOffer(lamp, 0, (offer) => ({ ...offer, price: '15' }));
  assert.equal(await commands.edit(began, (now) => rebase(lamp, mine, now)), 'done');
  assert.deepEqual(said, [['asked', ['brand'], [['offers[0].price', '15']]]]);
  assert.equal(node.card.brand, 'Theirs');
  assert.equal(node.card.offers[0].price, '15');
  assert.equal(await commands.edit(store.card('lamp'), (now) => now), 'same');
});

test('an edit that the host gives up changes nothing', async () => {
  const { node, said, commands } = conflicted([false]);
  node.rev = 2;
  assert.equal(await commands.quick('lamp', 'done', (now) => ({ ...now, brand: 'X' })), false);
  assert.equal(node.patches.length, 0);
  assert.equal(said.length, 1);
});

test('quick changes of a card wait for one another and add up', async () => {
  const { node, said, commands } = conflicted([]);
  const more = () => commands.quick('lamp', 'done', (now) => cards.withOffer(now, 0, (offer) => cards.restocked(offer, 1)));
  assert.deepEqual(await Promise.all([more(), more(), more()]), [true, true, true]);
  assert.equal(node.card.offers[0].inventoryLevel, 15);
  assert.deepEqual(said, ['done', 'done', 'done']);
  assert.equal(await commands.quick('gone', 'done', (now) => now), false);
});

test('nothing is sent while there is no connection', async () => {
  const { store, node, said, commands } = conflicted([]);
  store.link = 'lost';
  assert.equal(await commands.show('main', 'lamp'), false);
  assert.equal(await commands.quick('lamp', 'done', (now) => ({ ...now, brand: 'X' })), false);
  await assert.rejects(commands.put(lamp, true), { status: 0 });
  assert.equal(node.patches.length, 0);
  assert.deepEqual(said, [
    ['failed', studioStrings('en').notConnected],
    ['failed', studioStrings('en').notConnected],
  ]);
});

/** A response whose body is written as the test goes on. */
function streamed() {
  let control;
  const body = new ReadableStream({ start: (c) => (control = c) });
  return {
    response: new Response(body),
    write: (text) => control.enqueue(new TextEncoder().encode(text)),
    end: () => control.close(),
  };
}

const turns = async (n = 20) => {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
};

test('the feed reconnects with growing waits, notices silence, and stops when it is refused', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(Math, 'random', () => 0.5);
  const events = [];
  const feed = new Feed(
    '/events',
    { Authorization: 'Bearer x' },
    {
      view: (view) => events.push(view.seq),
      link: (link) => events.push(link),
    },
  );
  const streams = [];
  let status = 200;
  const answer = (n, url, { signal }) => {
    if (status === 0) throw new TypeError('network');
    if (status !== 200) return json(status, { detail: 'No.' });
    const stream = streamed();
    streams.push(stream);
    signal.addEventListener('abort', () => {
      try {
        stream.end();
      } catch {
        // It has ended already.
      }
    });
    return stream.response;
  };
  await answering(answer, async (asked) => {
    feed.connect();
    await turns();
    streams[0].write(': hi\n\nevent: view\ndata: {"seq":1}\n\nevent: other\ndata: {}\n\n');
    await turns();
    assert.deepEqual(events.splice(0), [1, 'open']);
    assert.equal(asked[0].headers.Authorization, 'Bearer x');
    // It ends, and is tried again after half a second, then after three quarters.
    status = 0;
    streams[0].end();
    await turns();
    assert.deepEqual(events.splice(0), ['lost']);
    t.mock.timers.tick(499);
    await turns();
    assert.equal(asked.length, 1);
    t.mock.timers.tick(1);
    await turns();
    assert.equal(asked.length, 2);
    t.mock.timers.tick(749);
    await turns();
    assert.equal(asked.length, 2);
    status = 200;
    t.mock.timers.tick(1);
    await turns();
    streams[1].write('event: view\ndata: {"seq":2}\n\n');
    await turns();
    assert.deepEqual(events.splice(0), ['lost', 2, 'open']);
    // Comments keep it alive; silence ends it.
    t.mock.timers.tick(30_000);
    streams[1].write(': still here\n\n');
    await turns();
    t.mock.timers.tick(30_000);
    await turns();
    assert.deepEqual(events.splice(0), []);
    t.mock.timers.tick(5_000);
    await turns();
    assert.deepEqual(events.splice(0), ['lost']);
    status = 401;
    t.mock.timers.tick(500);
    await turns();
    assert.deepEqual(events.splice(0), ['refused']);
    const tries = asked.length;
    t.mock.timers.tick(60_000);
    await turns();
    assert.equal(asked.length, tries);
  });
});
