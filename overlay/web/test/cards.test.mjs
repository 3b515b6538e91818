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

/**
 * Keeps what is on the page from one change to the next, in window.seen: a card that is there for a second may be gone before
 * a test gets round to it. Where there is a button to be on, it is put there once.
 */
function witness() {
  window.seen = [];
  const look = () => {
    const cards = [...document.querySelectorAll('#overlay .card')].map((card) => {
      const { slot, card: id, rev, leaving } = card.dataset;
      if (!window.focused) card.querySelector('.card-open')?.focus();
      window.focused ||= document.activeElement.className === 'card-open';
      const text = card.innerText.replaceAll(/\s+/g, ' ').trim();
      return { slot, id, rev: Number(rev), text, moving: card.getAnimations().length, leaving: leaving === 'true' };
    });
    const news = document.querySelector('#overlay > [role="status"]').innerText.replaceAll(/\s+/g, ' ').trim();
    const claim = document.querySelector('.card-claim')?.checkVisibility() ?? false;
    seen.push({ cards, news, claim, focus: document.activeElement.className });
  };
  document.addEventListener('DOMContentLoaded', () => {
    const all = { subtree: true, childList: true, attributes: true, characterData: true };
    new MutationObserver(look).observe(document.getElementById('overlay'), all);
  });
}

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
      await page.addInitScript(witness);
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

  const card = (page, slot) => page.locator(`.card[data-slot="${slot}"]`);
  const shown = (page, slot, id) => page.waitForSelector(`.card[data-slot="${slot}"][data-card="${id}"]`);
  /** Waits until a card has come and gone, and returns what was seen. */
  async function whole(page) {
    const over = () => seen.some(({ cards }) => cards.length > 0) && seen.at(-1).cards.length === 0;
    await page.waitForFunction(over, undefined, { timeout: 60000, polling: 100 });
    return page.evaluate(() => window.seen);
  }

  test('a card comes, changes its price and goes, and says so once', async (t) => {
    const { origin, open, plan } = await stage(t);
    const one = origin.card('lamp', 1, lampDocument);
    const cheaper = lampDocument.offers.map((offer) => ({ ...offer, price: '9.99', inventoryLevel: 1 }));
    const two = origin.card('lamp', 2, { ...lampDocument, offers: cheaper });
    const last = { ...lampDocument, offers: [{ ...cheaper[0], availability: 'SoldOut' }] };
    const { page, complaints } = await open('?lang=de&region=AT');
    plan([
      [0, { main: one }],
      [3, { main: two }],
      [6, { main: origin.card('lamp', 3, last) }],
      [9, {}],
    ]);
    await shown(page, 'main', 'lamp');
    const link = await page.$eval('.card a', ({ href, target, rel }) => ({ href, target, rel }));
    assert.deepEqual(link, { href: `${shop}/lamp`, target: '_blank', rel: 'noopener noreferrer' });
    await page.waitForFunction(() => {
      const prior = document.querySelector('.card-prior');
      return prior !== null && getComputedStyle(prior).textDecorationLine === 'line-through';
    });
    await page.waitForFunction(() => document.querySelector('.card img').naturalWidth === 1);

    const seen = await whole(page);
    const texts = (rev) => seen.flatMap(({ cards }) => cards.filter((one) => one.rev === rev && !one.leaving).map(({ text }) => text));
    const about = 'Anzeige Schreibtischlampe mit Dimmer und Donaudampfschifffahrtsgesellschaftsarm Warmes Licht in fünf Stufen. Drei Jahre Garantie.';
    const first = texts(1).at(-1);
    // By the dates of the stream, which began on another day: 8000 s, less what it has run.
    const clock = /02:1[23]:\d\d/.exec(first)?.[0];
    assert.equal(
      first,
      `${about} 19,99 € 29,99 € niedrigster Preis der letzten 30 Tage Nur noch 3 Blitzangebot endet in ${clock} Ansehen (öffnet sich in einem neuen Tab)`,
    );
    assert.match(texts(2).at(-1), / 9,99 € 29,99 € .* Nur noch 1 /);
    assert.match(texts(3).at(-1), / Ausverkauft /);
    // Who is on the button when the price changes stays there.
    assert.ok(seen.filter(({ cards }) => cards.some(({ leaving }) => !leaving)).every(({ focus }) => focus === 'card-open'));
    // Neither the price nor any second of the countdown was read out.
    const news = new Set(seen.map(({ news }) => news));
    const once = 'Anzeige Schreibtischlampe mit Dimmer und Donaudampfschifffahrtsgesellschaftsarm 19,99 € niedrigster Preis der letzten 30 Tage 29,99 €';
    assert.deepEqual([...news], [once]);
    assert.ok(seen.length > 12, 'the countdown did not run');
    assert.deepEqual(complaints, []);
  });

  test('a coupon is copied, and a giveaway can be claimed while it is open', async (t) => {
    const { origin, open, plan } = await stage(t);
    const { page, complaints } = await open('', { permissions: ['clipboard-read', 'clipboard-write'] });
    const { soon } = origin;
    const giveaway = { ...saveDocument['pushcart:giveaway'], opensAt: at(soon + 3), closesAt: at(soon + 6) };
    plan([
      [0, { offer: origin.card('save', 1, { ...saveDocument, 'pushcart:giveaway': giveaway }) }],
      [9, {}],
    ]);
    await shown(page, 'offer', 'save');
    await page.locator('.card-copy').click();
    await page.waitForFunction(() => document.querySelector('.card-copy').textContent === 'Copied');
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), 'SAVE10');
    assert.equal(await page.locator('.card-claim').getAttribute('href'), `${shop}/claim`);
    const seen = await whole(page);
    const course = seen.flatMap(({ cards, claim }) =>
      cards.map(({ text }) => `${/Red envelope (opens in|closes in|closed)/.exec(text)[1]}${claim ? ', claim' : ''}`),
    );
    // What the clock says is set before what the button is, so that a look may come between.
    const settled = course.filter((one, i) => one === course[i + 1]);
    assert.deepEqual([...new Set(settled)], ['opens in', 'closes in, claim', 'closed']);
    assert.ok(seen.some(({ cards }) => cards.some(({ text }) => /10 % off ends in 00:09:\d\d SAVE10/.test(text))));
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
    await shown(page, 'x-1', 'evil');
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

  test('cards move in and out, and without motion are there, and gone, at once', async (t) => {
    for (const [reducedMotion, moves] of [['reduce', false], ['no-preference', true]]) {
      const { origin, open, plan } = await stage(t);
      const { page, complaints } = await open('', { reducedMotion });
      plan([
        [0, { main: origin.card('lamp', 1, lampDocument) }],
        [2, {}],
      ]);
      const cards = (await whole(page)).flatMap(({ cards }) => cards);
      assert.equal(cards.some(({ moving }) => moving > 0), moves);
      assert.equal(cards.some(({ leaving }) => leaving), moves);
      assert.deepEqual(complaints, []);
    }
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
      const written = await card(page, 'main').evaluate((element) => [element.lang, element.dir, element.querySelector('.card-name').dir]);
      assert.deepEqual(written, [locale.slice(0, 2), dir, dir]);
      assert.deepEqual(complaints, []);
    }
  });
});
