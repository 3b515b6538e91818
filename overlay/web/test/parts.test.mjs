// The parts of the SDK: tokens, tags, texts, money, documents for a viewer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';
import { id3, Signer } from './signer.mjs';

const { parseToken } = await load('sdk/state');
const { tokenOf } = await load('sdk/id3');
const { pick, direction, regionOf } = await load('sdk/text');
const { price, currencyOf } = await load('sdk/money');
const { localise, https } = await load('sdk/localise');
const { countdown } = await load('sdk/countdown');
const { Timeline } = await load('sdk/timeline');
const { left } = await load('src/cards/clock');
const { viewerOf } = await load('src/cards/viewer');
const { wordsFor } = await load('src/cards/words');

const signer = new Signer();
const slots = { main: { card: 'lamp', rev: 3, since: 1763731234567 }, offer: { card: 'save-10', rev: 1, since: 0 } };

test('a token is taken apart, and only in its one right form', () => {
  const read = parseToken(signer.token({ epoch: 1763731200123, seq: 17, slots }));
  assert.equal(read.kid, signer.kid);
  assert.deepEqual([read.stream, read.epoch, read.seq], ['show', 1763731200123, 17]);
  assert.deepEqual(Object.fromEntries(read.slots), slots);
  assert.equal(parseToken(signer.token({ seq: 0 })).slots.size, 0);

  const right = '{"v":1,"stream":"show","epoch":1,"seq":2,"slots":{"main":{"card":"lamp","rev":3,"since":4}}}';
  assert.ok(parseToken(signer.signText(right)));
  for (const [from, to] of [
    ['"v":1', '"v":2'],
    ['"v":1,', ''],
    ['{"v"', '{ "v"'],
    ['"seq":2', '"seq":2.0'],
    ['"seq":2', '"seq":-2'],
    ['"seq":2', '"seq":9007199254740992'],
    ['"epoch":1', '"epoch":0'],
    ['"epoch":1', '"epoch":"1"'],
    ['show', 'sh/ow'],
    ['lamp', 'La\\u006dp'],
    ['lamp', '../lamp'],
    ['lamp', '__proto__'],
    ['"main"', '"Main"'],
    ['"rev":3', '"rev":0'],
    ['"since":4', '"since":4,"x":1'],
    ['"rev":3,', ''],
    ['}}}', '}}} '],
    ['}}}', '},"main":{"card":"a","rev":1,"since":1}}}'],
    ['{"main"', '{"offer":{"card":"a","rev":1,"since":1},"main"'],
    [right, '[]'],
    [right, 'null'],
  ]) {
    assert.equal(parseToken(signer.signText(right.replace(from, to))), null, `${from} as ${to}`);
  }
  for (const header of [
    `{"alg":"none","kid":"${signer.kid}","typ":"pushcart-state+jwt"}`,
    `{"alg":"EdDSA","kid":"${signer.kid}"}`,
    `{"alg":"EdDSA","kid":"short","typ":"pushcart-state+jwt"}`,
    `{"alg":"EdDSA","crit":[],"kid":"${signer.kid}","typ":"pushcart-state+jwt"}`,
    '',
  ]) {
    assert.equal(parseToken(signer.signText(right, header)), null, header);
  }
  const token = signer.signText(right);
  for (const bad of ['', '..', 'a.b', `${token}.`, `${token}=`, ` ${token}`, token.slice(0, -1), `${token}A`, 'x'.repeat(1025)]) {
    assert.equal(parseToken(bad), null, bad);
  }
  // The last character of a signature has four bits too many.
  const last = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const other = last[last.indexOf(token.at(-1)) + 1];
  assert.equal(parseToken(token.slice(0, -1) + other), null);
});

test('a tag gives its token, and nothing when anything about it is odd', () => {
  const tag = id3(signer.token({ seq: 1, slots }));
  const token = tokenOf(tag);
  assert.ok(parseToken(token));
  for (let end = 0; end < tag.length; end++) assert.equal(tokenOf(tag.subarray(0, end)), null, `cut at ${end}`);
  assert.equal(tokenOf(id3('abc', 'somebody.else')), null);
  assert.equal(tokenOf(id3('white space')), null);
  assert.equal(tokenOf(id3('')), null);
  assert.equal(tokenOf(id3('a'.repeat(1025))), null);

  const change = (at, value) => tokenOf(Uint8Array.from(tag, (byte, i) => (i === at ? value : byte)));
  for (const [at, value] of [[0, 0x69], [3, 3], [4, 1], [5, 0x80], [6, 0x80], [9, tag[9] ^ 1], [14, 0x80], [17, tag[17] + 1], [19, 2], [20, 0]]) {
    assert.equal(change(at, value), null, `byte ${at}`);
  }
  // Other frames and padding are fine, two of ours are not.
  const size = (n) => [(n >> 21) & 127, (n >> 14) & 127, (n >> 7) & 127, n & 127];
  const whole = (...frames) => {
    const body = frames.flatMap((frame) => [...frame]);
    return Uint8Array.from([...tag.subarray(0, 6), ...size(body.length), ...body]);
  };
  const ours = tag.subarray(10);
  const title = Buffer.concat([Buffer.from('TIT2'), Buffer.from([0, 0, 0, 3, 0, 0, 3, 0x68, 0x69])]);
  assert.equal(tokenOf(whole(title, ours, new Uint8Array(20))), token);
  assert.equal(tokenOf(whole(ours, ours)), null);
  assert.equal(tokenOf(whole(...Array(65).fill(title), ours)), null);
});

test('no bytes make the readers of tags and tokens fail', () => {
  let seed = 7;
  const random = (n) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  const [tag, token] = [id3(signer.token({ seq: 1, slots })), signer.token({ seq: 1, slots })];
  for (let i = 0; i < 20000; i++) {
    const bytes = Uint8Array.from(tag);
    for (let n = random(4); n >= 0; n--) bytes[random(bytes.length)] = random(256);
    const found = tokenOf(bytes.subarray(0, random(8) === 0 ? random(bytes.length) : bytes.length));
    if (found !== null) parseToken(found);
    const at = random(token.length);
    parseToken(token.slice(0, at) + String.fromCharCode(32 + random(96)) + token.slice(at + 1));
  }
});

test('states are in the order of their time, then of their making', () => {
  const timeline = new Timeline();
  const add = (time, epoch, seq) => timeline.add({ time, epoch, seq, token: `${epoch}/${seq}`, slots: new Map(), verified: true });
  for (const entry of [[12, 1, 7], [10, 1, 5], [11, 2, 1], [11, 1, 9], [11, 1, 6], [10.0005, 1, 4]]) add(...entry);
  const at = (time) => timeline.at(time)?.token ?? null;
  assert.deepEqual([9.99, 10, 10.9, 11, 11.9, 12, 99].map(at), [null, '1/5', '1/5', '2/1', '2/1', '1/7', '1/7']);
  // What players round is no other time.
  assert.equal(at(11.9999995), '1/7');
  assert.equal(timeline.find(10.0000004, '1/5').seq, 5);
  assert.equal(timeline.find(11, '1/5'), null);
  timeline.prune(11.5);
  assert.equal(timeline.size, 2);
  assert.equal(at(11.5), '2/1');
  for (let i = 0; i < 20000; i++) add(100 + i, 3, i);
  assert.ok(timeline.size <= 8192, `${timeline.size} entries`);
  assert.equal(at(1e6), '3/19999');
});

test('a text is given in the language that fits the viewer best', () => {
  const map = { en: 'lamp', de: 'Lampe', 'pt-BR': 'luminária', 'zh-Hans': '灯', 'zh-Hant': '燈', ar: 'مصباح', he: 'מנורה' };
  for (const [languages, text, dir] of [
    [['de-AT', 'en'], 'Lampe', 'ltr'],
    [['DE'], 'Lampe', 'ltr'],
    [['pt-PT'], 'luminária', 'ltr'],
    [['zh-TW'], '燈', 'ltr'],
    [['zh-CN'], '灯', 'ltr'],
    [['zh'], '灯', 'ltr'],
    [['ar-EG'], 'مصباح', 'rtl'],
    [['he-IL'], 'מנורה', 'rtl'],
    [['fi', 'sv'], 'lamp', 'ltr'],
    [['fi', 'de'], 'Lampe', 'ltr'],
    [[], 'lamp', 'ltr'],
  ]) {
    const found = pick(map, languages);
    assert.deepEqual([found.text, found.dir], [text, dir], languages.join());
  }
  assert.deepEqual(pick('plain', ['de']), { text: 'plain', lang: '', dir: 'auto' });
  assert.equal(pick({ fr: 'lampe' }, ['de']).lang, 'fr');
  assert.equal(pick({ 'no tag!': 'x' }, ['de']).text, 'x');
  for (const none of [null, undefined, 7, '', ' ', [], {}, { en: 7 }, { en: '' }]) assert.equal(pick(none, ['en']), null);
  // What would change the order of text around it is taken out, even though no node lets it in.
  assert.equal(pick('a\u202eb\u2066c\u0000d', []).text, 'a b c d');
  assert.equal(pick('x'.repeat(5000), []).text.length, 1000);
  assert.deepEqual(['en', 'fa', 'ur-PK', 'yi', 'az-Arab', 'nonsense tag'].map(direction), ['ltr', 'rtl', 'rtl', 'rtl', 'rtl', 'ltr']);
  assert.deepEqual([['de-AT'], ['de'], ['en', 'en-GB'], ['zh-Hant-TW'], [], ['xx!']].map(regionOf), ['AT', 'DE', 'GB', 'TW', '', '']);
});

test('money is written as the viewer writes it', () => {
  const text = (...args) => price(...args)?.text.replaceAll(/[\u00a0\u202f]/g, ' ');
  assert.equal(text('19.99', 'EUR', ['de-DE']), '19,99 €');
  assert.equal(text('19.99', 'EUR', ['en-IE']), '€19.99');
  assert.equal(text('1234567', 'JPY', ['en']), '¥1,234,567');
  assert.equal(text('1.5', 'KWD', ['en']), 'KWD 1.500');
  assert.equal(text('999999999999.99', 'USD', ['en-US']), '$999,999,999,999.99');
  // What browsers would round to whole ones is shown as it is written.
  assert.equal(text('19.99', 'HUF', ['en']), 'HUF 19.99');
  assert.equal(price('99', 'EGP', ['ar-EG']).dir, 'rtl');
  for (const bad of ['1e999', '-1', '01', '1,5', '', ' 1', '1.', '.5', 'NaN', '1'.repeat(13), 19.99, null]) {
    assert.equal(price(bad, 'EUR', ['en']), null, String(bad));
  }
  for (const bad of ['XXX1', 'eur', '', 'E', null, '€€€']) assert.equal(price('1', bad, ['en']), null, String(bad));
  assert.deepEqual(['DE', 'us', 'JP', 'BG', 'ZZ', ''].map(currencyOf), ['EUR', 'USD', 'JPY', 'EUR', '', '']);
});

test('addresses are https, or none', () => {
  assert.equal(https('https://shop.example.com/a?b#c'), 'https://shop.example.com/a?b#c');
  for (const bad of [
    'http://shop.example.com/',
    'javascript:alert(1)',
    'JavaScript:alert(1)//https://',
    ' \tjavascript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    '//shop.example.com/',
    '/path',
    'https://user:pass@shop.example.com/',
    'https://',
    '',
    null,
    7,
    {},
  ]) {
    assert.equal(https(bad), null, String(bad));
  }
});

test('a card document becomes the card of one viewer', () => {
  const doc = {
    id: 'lamp',
    rev: 3,
    '@type': 'Product',
    name: { en: 'Desk lamp', de: 'Schreibtischlampe' },
    image: 'https://shop.example.com/lamp.jpg',
    url: 'https://shop.example.com/lamp',
    brand: 'Lumen',
    offers: [
      { price: '24.00', priceCurrency: 'USD', ineligibleRegion: ['DE'] },
      { price: '19.99', priceCurrency: 'EUR', 'pushcart:priorPrice': '29.99', availability: 'LimitedAvailability', inventoryLevel: 3, url: 'https://shop.example.com/lamp/eu' },
      { price: '18.99', priceCurrency: 'GBP', eligibleRegion: ['GB'] },
    ],
    'pushcart:promotion': { label: { en: 'Flash sale', de: 'Blitzangebot' }, endsAt: '2026-03-01T12:05:00Z' },
    'pushcart:coupon': { code: 'SAVE10', label: '10 %', endsAt: '2026-03-02T00:00:00+01:00' },
    'pushcart:giveaway': { label: 'Red envelope', opensAt: '2026-03-01T12:00:00Z', closesAt: '2026-03-01T12:01:00Z', quantity: 50, url: 'https://shop.example.com/claim' },
    'pushcart:disclosure': { de: 'Anzeige', en: 'Ad' },
  };
  const german = localise(doc, { languages: ['de-DE'] });
  assert.equal(german.name.text, 'Schreibtischlampe');
  assert.deepEqual([german.price.value, german.price.currency, german.priorPrice.value], ['19.99', 'EUR', '29.99']);
  assert.deepEqual([german.availability, german.inventoryLevel, german.url], ['LimitedAvailability', 3, 'https://shop.example.com/lamp/eu']);
  assert.equal(german.promotion.label.text, 'Blitzangebot');
  assert.equal(german.promotion.endsAt.toISOString(), '2026-03-01T12:05:00.000Z');
  assert.equal(german.coupon.endsAt.toISOString(), '2026-03-01T23:00:00.000Z');
  assert.equal(german.giveaway.quantity, 50);
  assert.equal(german.disclosure.text, 'Anzeige');
  const currency = (viewer) => localise(doc, viewer)?.price.currency;
  assert.equal(currency({ languages: ['en-US'] }), 'USD');
  assert.equal(currency({ languages: ['en-GB'] }), 'GBP');
  assert.equal(currency({ languages: ['en-GB'], currency: 'EUR' }), 'EUR');
  assert.equal(currency({ languages: ['en-GB'], region: 'DE' }), 'EUR');
  // A region that languages make likely hides nothing, one that is given does.
  const only = { ...doc, offers: [doc.offers[2]] };
  assert.equal(localise(only, { languages: ['de-DE'] }).price.currency, 'GBP');
  assert.equal(localise(only, { languages: ['de-DE'], region: 'DE' }), null);
  assert.equal(localise({ ...doc, ineligibleRegion: ['US'] }, { languages: ['en'], region: 'US' }), null);
  assert.equal(localise({ id: 'lamp', 'pushcart:withheld': true }, { languages: ['en'] }), null);
  assert.equal(localise({ id: 'lamp', name: 'x', 'pushcart:withheld': true }, { languages: ['en'] }), null);
});

test('a document of another shape gives no card, or one without what is wrong', () => {
  for (const bad of [null, undefined, 7, 'x', [], {}, { id: 'a' }, { name: 'a' }, { id: 'a', name: 7 }]) {
    assert.equal(localise(bad, { languages: ['en'] }), null);
  }
  const card = localise(
    {
      id: 'a',
      name: '<img src=x onerror=alert(1)>',
      url: 'javascript:alert(1)',
      image: 'http://shop.example.com/a.png',
      brand: { a: 1 },
      offers: [{ price: '1e999', priceCurrency: 'XXX1', availability: 'Maybe', inventoryLevel: -1 }],
      'pushcart:promotion': { label: 'x', endsAt: 'tomorrow' },
      'pushcart:coupon': { code: 'a b<' },
      'pushcart:giveaway': { label: 'x', opensAt: '2026-03-01T12:00:00Z' },
    },
    { languages: ['not a tag', 'en'] },
  );
  assert.equal(card.name.text, '<img src=x onerror=alert(1)>');
  for (const field of ['url', 'image', 'brand', 'price', 'priorPrice', 'inventoryLevel', 'promotion', 'coupon', 'giveaway', 'description']) {
    assert.equal(card[field], null, field);
  }
  assert.equal(card.rev, 0);
  assert.ok(localise({ id: 'a', name: 'x', offers: [null, 7] }, { languages: ['en'] }));
});

test('what is left counts whole seconds, the last one to its end', () => {
  const end = new Date('2026-03-01T12:00:00.000Z');
  const total = (now) => countdown(end, new Date(now)).total;
  assert.equal(total('2026-03-01T11:59:50.000Z'), 10);
  assert.equal(total('2026-03-01T11:59:50.001Z'), 10);
  assert.equal(total('2026-03-01T11:59:59.999Z'), 1);
  assert.equal(total('2026-03-01T12:00:00.000Z'), 0);
  assert.equal(total('2026-03-01T13:00:00.000Z'), 0);
  const { days, hours, minutes, seconds } = countdown(end, new Date('2026-02-27T09:57:56Z'));
  assert.deepEqual([days, hours, minutes, seconds], [2, 2, 2, 4]);
  const written = (now, lang) => left(end, new Date(now), lang);
  assert.equal(written('2026-03-01T11:55:01Z', 'en'), '00:04:59');
  assert.equal(written('2026-02-28T10:59:59Z', 'en'), '25:00:01');
  assert.equal(written('2026-02-26T11:00:00Z', 'de'), '3 Tage');
  assert.equal(written('2026-03-01T11:55:01Z', 'ar-EG'), '٠٠:٠٤:٥٩');
});

test('the page is for whom its address or the browser says', () => {
  const languages = ['en-GB', 'de'];
  assert.deepEqual(viewerOf('', languages), { languages, region: undefined });
  assert.deepEqual(viewerOf('?lang=ar&region=eg', languages), { languages: ['ar', ...languages], region: 'EG' });
  assert.deepEqual(viewerOf('?lang=%3Cscript%3E&region=Egypt', languages), { languages, region: undefined });
  assert.deepEqual([wordsFor(['fi', 'de-CH']).lang, wordsFor(['fi']).lang, wordsFor(['constructor']).lang], ['de-CH', 'en', 'en']);
  const keys = Object.keys(wordsFor(['en'])).sort();
  for (const lang of ['zh', 'es', 'de', 'ar']) {
    const words = wordsFor([lang]);
    assert.deepEqual(Object.keys(words).sort(), keys, lang);
    assert.match(words.only('3', true), /3/);
  }
});
