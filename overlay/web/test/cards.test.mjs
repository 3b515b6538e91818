// Cards on the watch page, in Chromium.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch, open as openPage, reach, screenshots } from './browser.mjs';
import { rate } from './film.mjs';
import { begin, Origin } from './origin.mjs';

/** A date of the stream: so many seconds into it. */
const at = (second) => new Date(begin + second * 1000).toISOString();
const picture = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8Dwn4EIwDiqkL4KAcT9GO0U4BxoAAAAAElFTkSuQmCC',
  'base64',
);
const shop = 'https://shop.example.com';

const lampDocument = {
  name: {
    en: 'Desk lamp with a dimmer and an arm that reaches wherever you need it',
    de: 'Schreibtischlampe mit Dimmer und Donaudampfschifffahrtsgesellschaftsarm',
    ar: 'مصباح مكتبي قابل للتعتيم بذراع طويلة',
  },
  description: {
    en: 'Warm light in five steps. Three years of warranty.',
    de: 'Warmes Licht in fünf Stufen. Drei Jahre Garantie.',
    ar: 'ضوء دافئ بخمس درجات. ضمان ثلاث سنوات.',
  },
  image: `${shop}/lamp.png`,
  url: `${shop}/lamp`,
  offers: [
    { price: '19.99', priceCurrency: 'EUR', inventoryLevel: 3, 'pushcart:priorPrice': '29.99' },
    { price: '24.00', priceCurrency: 'USD', inventoryLevel: 3, 'pushcart:priorPrice': '32.00' },
    { price: '990.00', priceCurrency: 'EGP', inventoryLevel: 3, 'pushcart:priorPrice': '1200.00' },
  ],
  'pushcart:promotion': { label: { en: 'Flash sale', de: 'Blitzangebot', ar: 'تخفيضات خاطفة' }, endsAt: at(8000) },
  'pushcart:disclosure': { en: 'Ad', de: 'Anzeige', ar: 'إعلان' },
};
const saveDocument = {
  name: { en: 'For all of you', de: 'Für euch alle', ar: 'لكم جميعًا' },
  'pushcart:coupon': { code: 'SAVE10', label: { en: '10 % off', de: '10 % Rabatt', ar: 'خصم ١٠٪' }, endsAt: at(600) },
  'pushcart:giveaway': {
    label: { en: 'Red envelope', de: 'Roter Umschlag', ar: 'الظرف الأحمر' },
    opensAt: at(0),
    closesAt: at(300),
    url: `${shop}/claim`,
  },
};
const shippingDocument = {
  name: { en: 'Free shipping', de: 'Versandkostenfrei', ar: 'شحن مجاني' },
  url: `${shop}/shipping`,
  'pushcart:promotion': { label: { en: 'Today only', de: 'Nur heute', ar: 'اليوم فقط' }, endsAt: at(90000) },
};

// Each test has an origin and pages of its own; most of what they do is to wait for the show to go on.
describe('cards on the watch page', { timeout: 120000, concurrency: 3 }, () => {
  let browser;

  before(async () => {
    browser = await launch();
  });
  after(() => browser?.close());

  /** An origin, and what opens the watch page on it; both go with the test. */
  async function stage(t) {
    const origin = await Origin.start(60, { live: true });
    t.after(() => origin.stop());
    const open = async (query = '', options = {}) => {
      const { page, complaints, close } = await openPage(browser, 'about:blank', options);
      t.after(close);
      await page.route(`${shop}/**`, (route) => route.fulfill({ contentType: 'image/png', body: picture }));
      await page.goto(`${origin.url}/watch/show${query}`);
      await reach(page, 'playing');
      return { page, complaints };
    };
    /** States by the second, counted from one that is still to come. */
    const plan = (states) => {
      const { soon } = origin;
      origin.states = states.map(([second, slots]) => ({ frame: Math.round((soon + second) * rate), slots }));
    };
    return { origin, open, plan };
  }

  const card = (page, slot = 'main') => page.locator(`.card[data-slot="${slot}"]:not([data-leaving])`);
  const shown = (page, slot, id, rev) => page.waitForSelector(`.card[data-slot="${slot}"][data-card="${id}"][data-rev="${rev}"]`);
  /** What a card says, with spaces that do not break as others. */
  const text = async (locator) => (await locator.innerText()).replaceAll(/\s+/g, ' ').trim();

  test('a card comes, changes its price and goes, and says so once', async (t) => {
    const { origin, open, plan } = await stage(t);
    const one = origin.card('lamp', 1, lampDocument);
    const cheaper = lampDocument.offers.map((offer) => ({ ...offer, price: '9.99', inventoryLevel: 1 }));
    const two = origin.card('lamp', 2, { ...lampDocument, offers: cheaper });
    const last = { ...lampDocument, offers: [{ ...cheaper[0], availability: 'SoldOut' }] };
    const { page, complaints } = await open('?lang=de&region=AT');
    plan([
      [0, { main: one }],
      [4, { main: two }],
      [6, { main: origin.card('lamp', 3, last) }],
      [8, {}],
    ]);
    await shown(page, 'main', 'lamp', 1);
    assert.equal(
      await text(card(page)),
      'Anzeige Schreibtischlampe mit Dimmer und Donaudampfschifffahrtsgesellschaftsarm Warmes Licht in fünf Stufen. Drei Jahre Garantie. ' +
        `19,99 € 29,99 € niedrigster Preis der letzten 30 Tage Nur noch 3 Blitzangebot endet in ${await text(card(page).locator('.card-clock'))} Ansehen (öffnet sich in einem neuen Tab)`,
    );
    // By the dates of the stream, which began on another day: 8000 s, less what it has run.
    assert.match(await text(card(page).locator('.card-clock')), /^02:1[23]:\d\d$/);
    assert.equal(await card(page).locator('.card-prior').evaluate((prior) => getComputedStyle(prior).textDecorationLine), 'line-through');
    const link = card(page).locator('a');
    const [href, target, rel] = await Promise.all(['href', 'target', 'rel'].map((name) => link.getAttribute(name)));
    assert.deepEqual([href, target, rel], [`${shop}/lamp`, '_blank', 'noopener noreferrer']);
    assert.equal(await card(page).locator('img').evaluate((image) => image.complete && image.naturalWidth), 1);

    // Who is on the button when the price changes stays there.
    await link.focus();
    await page.evaluate(() => {
      window.said = [];
      const news = document.querySelector('[aria-live="polite"][role="status"].card-unseen');
      new MutationObserver((list) => said.push(list.length)).observe(news, { childList: true, subtree: true, characterData: true });
    });
    const announced = () => page.locator('.card-unseen[role="status"]').innerText();
    assert.match((await announced()).replaceAll(/\s+/g, ' '), /^Anzeige Schreibtischlampe .* 19,99 € niedrigster Preis der letzten 30 Tage 29,99 €$/);
    await shown(page, 'main', 'lamp', 2);
    assert.match(await text(card(page)), /9,99 €.*Nur noch 1/);
    assert.equal(await page.evaluate(() => document.activeElement.className), 'card-open');
    await shown(page, 'main', 'lamp', 3);
    assert.match(await text(card(page)), /Ausverkauft/);
    await card(page).waitFor({ state: 'detached' });
    await page.waitForFunction(() => document.querySelectorAll('.card').length === 0);
    // Neither the price nor any second of the countdown was read out.
    assert.deepEqual(await page.evaluate(() => window.said), []);
    assert.deepEqual(complaints, []);
  });

  test('a coupon is copied, and a giveaway can be claimed while it is open', async (t) => {
    const { origin, open, plan } = await stage(t);
    const { page, complaints } = await open('', { permissions: ['clipboard-read', 'clipboard-write'] });
    const { soon } = origin;
    const giveaway = { ...saveDocument['pushcart:giveaway'], opensAt: at(soon + 4), closesAt: at(soon + 7) };
    plan([[0, { offer: origin.card('save', 1, { ...saveDocument, 'pushcart:giveaway': giveaway }) }]]);
    await shown(page, 'offer', 'save', 1);
    const claim = card(page, 'offer').locator('.card-claim');
    const line = card(page, 'offer').locator('.card-giveaway-label');
    assert.match(await text(line), /^Red envelope opens in 00:00:0\d$/);
    assert.equal(await claim.isVisible(), false);
    await card(page, 'offer').locator('.card-copy').click();
    await page.waitForFunction(() => document.querySelector('.card-copy').textContent === 'Copied');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'SAVE10');
    await claim.waitFor();
    assert.match(await text(line), /^Red envelope closes in 00:00:0\d$/);
    assert.equal(await claim.getAttribute('href'), `${shop}/claim`);
    await claim.waitFor({ state: 'hidden' });
    assert.equal(await text(line), 'Red envelope closed');
    assert.match(await text(card(page, 'offer').locator('.card-coupon-label')), /^10 % off ends in 00:09:\d\d$/);
    assert.deepEqual(complaints, []);
  });

  test('whatever a card says is text', async (t) => {
    const { origin, open } = await stage(t);
    // No node takes such a document: what if one did?
    const evil = '<img src=x onerror="window.hit=1"><script>window.hit=1</script></article><svg onload="window.hit=1">&lt;b&gt;{{7*7}}';
    const script = 'javascript:window.hit=1';
    const hostile = {
      name: { en: evil, [evil]: evil },
      description: evil,
      image: 'http://shop.example.com/a.png" onerror="window.hit=1',
      url: script,
      brand: evil,
      offers: [{ price: '1', priceCurrency: 'USD', url: script, availability: evil }],
      'pushcart:promotion': { label: evil, endsAt: at(8000) },
      'pushcart:coupon': { code: 'X', label: evil },
      'pushcart:giveaway': { label: evil, opensAt: at(0), closesAt: at(900), url: 'data:text/html,<script>window.hit=1</script>' },
      'pushcart:disclosure': evil,
    };
    origin.states = [{ frame: 30, slots: Object.fromEntries(['main', 'offer', 'banner', 'x-1'].map((slot) => [slot, origin.card('evil', 1, hostile)])) }];
    const { page, complaints } = await open();
    await shown(page, 'x-1', 'evil', 1);
    const found = await page.evaluate(() => {
      const layer = document.querySelector('#overlay');
      return {
        elements: [...new Set([...layer.querySelectorAll('*')].map((element) => element.localName))].sort(),
        attributes: [...new Set([...layer.querySelectorAll('*')].flatMap((element) => element.getAttributeNames()))].sort(),
        names: [...layer.querySelectorAll('.card-name, .card-disclosure, .card-description, .card-label')].map((element) => element.textContent),
        hit: window.hit,
      };
    });
    assert.deepEqual(found.elements, ['article', 'button', 'code', 'div', 'h2', 'p', 'span', 'strong']);
    const attributes = 'aria-label aria-live class data-card data-phase data-rev data-slot dir lang role translate type'.split(' ');
    assert.deepEqual(found.attributes, attributes);
    assert.equal(found.names.length, 24);
    assert.ok(found.names.every((name) => name === evil), found.names.join('\n'));
    assert.equal(found.hit, undefined);
    assert.deepEqual(complaints, []);
  });

  test('without motion a card is there, and gone, at once', async (t) => {
    const { origin, open, plan } = await stage(t);
    const { page, complaints } = await open('', { reducedMotion: 'reduce' });
    plan([
      [0, { main: origin.card('lamp', 1, lampDocument) }],
      [3, {}],
    ]);
    await shown(page, 'main', 'lamp', 1);
    assert.equal(await page.evaluate(() => document.querySelector('.card').getAnimations().length), 0);
    const leaving = await page.evaluate(
      () =>
        new Promise((resolve) => {
          const place = document.querySelector('.card').parentElement;
          new MutationObserver(() => resolve(document.querySelectorAll('[data-leaving]').length)).observe(place, { childList: true, subtree: true, attributes: true });
        }),
    );
    assert.equal(leaving, 0);
    assert.deepEqual(complaints, []);
  });

  test('cards fit phones and desks in every language, and leave the controls free', async (t) => {
    const { origin, open } = await stage(t);
    const slots = {
      main: origin.card('lamp', 1, lampDocument),
      offer: origin.card('save', 1, saveDocument),
      banner: origin.card('shipping', 1, shippingDocument),
    };
    origin.states = [{ frame: 0, slots }];
    for (const [locale, dir] of [['en-US', 'ltr'], ['de-DE', 'ltr'], ['ar-EG', 'rtl']]) {
      const { page, complaints } = await open('', { locale, viewport: { width: 390, height: 844 } });
      for (const slot of Object.keys(slots)) await card(page, slot).waitFor();
      for (const [width, height] of [[390, 844], [360, 640], [1280, 720], [667, 375]]) {
        await page.setViewportSize({ width, height });
        await page.waitForFunction(() => [...document.querySelectorAll('.card')].every((card) => card.getAnimations().length === 0));
        await page.screenshot({ path: join(screenshots, `cards-${locale}-${width}x${height}.png`) });
        const wrong = await page.evaluate(() => {
          const inside = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
          const box = (element) => element.getBoundingClientRect();
          const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
          const buttons = [...document.querySelectorAll('#play, #sound, #full, #live, .home')];
          const cards = [...document.querySelectorAll('.card')];
          const list = [];
          for (const card of cards) {
            const { slot } = card.dataset;
            const at = box(card);
            if (at.left < 0 || at.right > innerWidth) list.push(`${slot} is cut off at a side`);
            if (card.scrollWidth > card.clientWidth + 1) list.push(`${slot} is too narrow for what is in it`);
            for (const part of card.querySelectorAll('a, button')) {
              const { width, height } = box(part);
              if (width > 0 && (width < 44 || height < 44)) list.push(`${slot}: ${part.className} is small to touch`);
            }
          }
          // What is seen where a control is must be that control.
          for (const button of buttons.filter((one) => box(one).width > 0)) {
            const { left, top, width, height } = box(button);
            const hit = document.elementFromPoint(left + width / 2, top + height / 2);
            if (hit?.closest('.card')) list.push(`${button.id || button.className} is under a card`);
          }
          if (document.documentElement.scrollWidth > innerWidth) list.push('the page is too wide');
          if (innerHeight > 700 && !cards.every((card) => inside(box(card), screen))) list.push('a card is not on the screen');
          const tops = cards.map(box);
          for (const a of tops) for (const b of tops) {
            if (a !== b && innerHeight > 700 && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom) list.push('cards lie over one another');
          }
          return list;
        });
        assert.deepEqual(wrong, [], `${locale} at ${width}x${height}`);
      }
      const written = await card(page).evaluate((element) => [element.lang, element.dir, element.querySelector('.card-name').dir]);
      assert.deepEqual(written, [locale.slice(0, 2), dir, dir]);
      assert.deepEqual(complaints, []);
    }
  });
});
