// The studio in Chromium against a real node.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { launch, open, picture, reach, screenshots } from './browser.mjs';
import { Node } from './node.mjs';

const token = 'studio.test-0123456789=';
const lamp = {
  id: 'lamp',
  name: { en: 'Desk lamp', de: 'Schreibtischlampe', ar: 'مصباح مكتب' },
  description: { en: 'Warm light, dimmable.', de: 'Warmes Licht, dimmbar.' },
  url: 'https://shop.example.com/lamp',
  offers: [{ price: '19.99', priceCurrency: 'EUR', inventoryLevel: 12, 'pushcart:priorPrice': '29.99' }],
  ineligibleRegion: ['FR'],
};
const mug = { id: 'mug', name: 'Mug', offers: [{ price: '8.50', priceCurrency: 'EUR' }] };
const envelope = {
  id: 'envelope',
  name: 'Red envelope',
  'pushcart:giveaway': {
    label: 'Win a lamp',
    opensAt: '2020-01-01T00:00:00Z',
    closesAt: '2020-01-01T01:00:00Z',
    url: 'https://shop.example.com/win',
  },
};
const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

/** Refusals of the API are part of what is tested, and a stream that is not live has no page of its own. */
const real = (complaints) => complaints.filter((what) => !/status of 4\d\d .*\/api\/v1\//.test(what));

describe('the studio', { timeout: 120000 }, () => {
  let node;
  let browser;
  let folder;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pushcart-studio-'));
    node = await Node.start({
      PUSHCART_DATA_DIRECTORY: folder,
      PUSHCART_STUDIO_TOKENS: `*=${token}`,
      PUSHCART_CARDS_HOSTS: 'shop.example.com',
    });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await node?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Asks the API as the operator would. */
  async function api(stream, method, path, body) {
    const response = await fetch(`${node.http}/api/v1/streams/${stream}${path}`, {
      method,
      headers: {
        Authorization: `Bearer ${token}`,
        'Content-Type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = await response.json();
    assert.ok(response.ok, `${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Opens the studio of a stream that has these cards. */
  async function studio(stream, cards, options = {}) {
    if (cards.length > 0) await api(stream, 'PUT', '/cards', cards);
    const opened = await open(browser, `${node.http}/studio/${stream}#token=${token}`, options);
    opened.page.setDefaultTimeout(8000);
    await opened.page.waitForSelector('#studio[data-link="open"]');
    assert.equal(await opened.page.locator('.row').count(), cards.length);
    return opened;
  }

  const row = (page, id) => page.locator(`.row[data-card="${id}"]`);
  const shown = async (stream) => (await api(stream, 'GET', '/slots')).slots.map(({ slot, card }) => `${slot}:${card}`);
  const order = (page) => page.locator('.row').evaluateAll((rows) => rows.map((row) => row.dataset.card));
  const says = (page, text) => page.locator('#said', { hasText: text }).waitFor();
  const fails = (page, text) => page.locator('#failed', { hasText: text }).waitFor();

  test('asks for the token, says when it is wrong, and keeps it to the tab', async () => {
    const { page, complaints, close } = await open(browser, `${node.http}/studio/door`);
    assert.ok(await page.locator('#studio').isHidden());
    await page.fill('#login-token', 'not.the-token');
    await page.keyboard.press('Enter');
    await page.locator('#login-error', { hasText: 'This token is not good for door.' }).waitFor();
    assert.equal(await page.locator('#login-token').getAttribute('aria-invalid'), 'true');
    await page.screenshot({ path: join(screenshots, 'studio-token.png') });
    await page.fill('#login-token', token);
    await page.click('#login-enter');
    await page.waitForSelector('#studio[data-link="open"]');
    await page.locator('.first', { hasText: 'No products yet.' }).waitFor();
    // It is in the tab's memory, in no other, and survives a reload.
    const kept = () => page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie]);
    assert.deepEqual(await kept(), [[token], 0, '']);
    await page.reload();
    await page.waitForSelector('#studio[data-link="open"]');
    await page.click('#leave');
    await page.waitForSelector('#login:not([hidden])');
    assert.deepEqual(await kept(), [[], 0, '']);
    // A token in the address is taken out of it at once; a wrong one is no way in.
    await page.evaluate((good) => (location.hash = `token=${good}`), token);
    await page.waitForSelector('#studio[data-link="open"]');
    assert.equal(page.url(), `${node.http}/studio/door`);
    await page.evaluate(() => (location.hash = 'token=another.wrong-one'));
    await page.locator('#login-error', { hasText: 'This token is not good' }).waitFor();
    assert.equal(page.url(), `${node.http}/studio/door`);
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('adds, edits, copies and deletes cards, and puts complaints at their fields', async () => {
    const { page, complaints, close } = await studio('edit', []);
    await page.keyboard.press('n');
    const sheet = page.locator('dialog.editor');
    await page.keyboard.type('Läse-Lampe');
    assert.equal(await sheet.getByLabel('Identifier').inputValue(), 'lase-lampe');
    await sheet.getByLabel('Price', { exact: true }).fill('1e999');
    await sheet.getByLabel('Currency').fill('eur');
    await sheet.getByLabel('In stock', { exact: true }).fill('three');
    await sheet.getByRole('button', { name: 'Save' }).click();
    await sheet.locator('.error', { hasText: 'This has to be a whole number.' }).waitFor();
    await sheet.getByLabel('In stock', { exact: true }).fill('3');
    await sheet.getByRole('button', { name: 'Save' }).click();
    // The node's own sentence, at the field that it names, which has the focus.
    const price = sheet.getByLabel('Price', { exact: true });
    await page.waitForFunction(() => document.activeElement?.getAttribute('aria-invalid') === 'true');
    assert.equal(await price.getAttribute('aria-invalid'), 'true');
    assert.match(await price.evaluate((input) => input.parentElement.querySelector('.error').textContent), /1e999/);
    await price.fill('24.90');
    await sheet.getByRole('button', { name: 'Save' }).click();
    await says(page, 'Läse-Lampe is saved.');
    await sheet.waitFor({ state: 'detached' });
    assert.match(await row(page, 'lase-lampe').locator('.row-about').textContent(), /€24\.90 · 3 left/);

    // An edit says only what it changes, under the revision that was seen.
    const sent = page.waitForRequest((request) => request.method() === 'PATCH');
    await row(page, 'lase-lampe').locator('.row-open').click();
    await sheet.getByRole('textbox', { name: 'Name' }).fill('Reading lamp');
    await sheet.getByLabel('Brand').evaluate((input) => (input.closest('details').open = true));
    await sheet.getByLabel('Brand').fill('Lux');
    await sheet.getByRole('button', { name: 'Save' }).click();
    const patch = await sent;
    assert.deepEqual(patch.postDataJSON(), { name: 'Reading lamp', brand: 'Lux' });
    assert.equal(patch.headers()['if-match'], '"1"');
    assert.match(patch.headers()['idempotency-key'], /^[0-9a-f]{32}$/);
    await row(page, 'lase-lampe').locator('.row-name', { hasText: 'Reading lamp' }).waitFor();

    // What is not saved is not thrown away without asking.
    await row(page, 'lase-lampe').locator('.row-open').click();
    await sheet.getByRole('textbox', { name: 'Name' }).fill('Never');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Discard' }).click();
    await sheet.waitFor({ state: 'detached' });

    await row(page, 'lase-lampe').getByRole('button', { name: 'More for Reading lamp' }).click();
    await page.getByRole('button', { name: 'Duplicate' }).click();
    await sheet.getByRole('button', { name: 'Save' }).click();
    await row(page, 'lase-lampe-2').waitFor();
    // An identifier that is taken is the identifier's matter.
    await page.keyboard.press('n');
    await page.keyboard.type('Other');
    await sheet.getByLabel('Identifier').fill('lase-lampe');
    await sheet.getByRole('button', { name: 'Remove offer' }).click();
    await sheet.getByRole('button', { name: 'Save' }).click();
    await page.waitForFunction(() => document.activeElement?.getAttribute('aria-invalid') === 'true');
    assert.equal(await sheet.getByLabel('Identifier').getAttribute('aria-invalid'), 'true');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Discard' }).click();

    const remove = async (id) => {
      await row(page, id)
        .getByRole('button', { name: /^More for/ })
        .click();
      await page.getByRole('button', { name: 'Delete' }).click();
      await page.locator('dialog.question').getByRole('button', { name: 'Delete' }).click();
    };
    await remove('lase-lampe-2');
    await row(page, 'lase-lampe-2').waitFor({ state: 'detached' });
    await row(page, 'lase-lampe').locator('.show').click();
    await says(page, 'is on air');
    await remove('lase-lampe');
    await fails(page, 'hide it first');
    assert.deepEqual(
      (await api('edit', 'GET', '/cards')).cards.map(({ id }) => id),
      ['lase-lampe'],
    );
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('shows and hides by click, by key and at a time, in several slots', async () => {
    const { page, complaints, close } = await studio('keys', [lamp, mug, envelope]);
    await row(page, 'lamp').locator('.show').click();
    await says(page, 'Desk lamp is on air in main.');
    assert.deepEqual(await shown('keys'), ['main:lamp']);
    assert.equal(await row(page, 'lamp').getAttribute('data-air'), 'here');
    assert.equal(await row(page, 'lamp').locator('.on-air').textContent(), 'On air: main');
    assert.equal(await page.locator('#bar .now-name').textContent(), 'Desk lamp');
    await page.keyboard.press('2');
    await says(page, 'Mug is on air in main.');
    await page.keyboard.press('0');
    await says(page, 'main is empty.');
    assert.deepEqual(await shown('keys'), []);
    await page.keyboard.press('1');
    await says(page, 'Desk lamp is on air in main.');

    // Keys that are typed are text, and keys of a dialog are the dialog's.
    await page.keyboard.press('/');
    await page.keyboard.type('2 1');
    await page.keyboard.press('Escape');
    await page.keyboard.press('Escape');
    await page.keyboard.press('?');
    await page.locator('dialog.help').waitFor();
    await page.keyboard.press('3');
    await page.keyboard.press('Escape');
    await page.locator('dialog.help').waitFor({ state: 'detached' });
    assert.deepEqual(await shown('keys'), ['main:lamp']);
    await page.keyboard.press('Escape');
    await says(page, 'main is empty.');

    // Another slot.
    await page.getByRole('button', { name: 'New slot' }).click();
    await page.getByLabel('Name of the slot').fill('Offer');
    await page.keyboard.press('Enter');
    await page.locator('#slot-error', { hasText: 'small letter' }).waitFor();
    await page.getByLabel('Name of the slot').fill('offer');
    await page.keyboard.press('Enter');
    await page.keyboard.press('3');
    await says(page, 'Red envelope is on air in offer.');
    await page.keyboard.press('s');
    await page.keyboard.press('1');
    await says(page, 'Desk lamp is on air in main.');
    assert.deepEqual(await shown('keys'), ['main:lamp', 'offer:envelope']);
    assert.equal(await row(page, 'envelope').getAttribute('data-air'), 'elsewhere');
    await page.screenshot({ path: join(screenshots, 'studio-slots.png') });
    await page.getByRole('button', { name: 'Hide all' }).click();
    await says(page, 'All slots are empty.');
    assert.deepEqual(await shown('keys'), []);

    // In ten seconds, taken back; and at a time two seconds from now.
    const later = async (id) => {
      await row(page, id)
        .getByRole('button', { name: /^More for/ })
        .click();
      await page.getByRole('button', { name: 'Show later' }).click();
    };
    await later('mug');
    await page.getByRole('button', { name: 'In 10 s' }).click();
    await page.locator('.waiting', { hasText: /Show Mug in main: 0:(10|09)/ }).waitFor();
    await page.locator('.waiting').getByRole('button', { name: 'Cancel' }).click();
    await page.locator('.waiting').waitFor({ state: 'detached' });
    await later('mug');
    const soon = await page.evaluate(() => {
      const at = new Date(Math.ceil(Date.now() / 1000 + 1) * 1000);
      return new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19);
    });
    await page.getByLabel('At a time').fill(soon);
    await page.getByRole('button', { name: 'Schedule' }).click();
    await page.locator('#bar .now[data-air="true"]', { hasText: 'Mug' }).waitFor();
    assert.deepEqual(await shown('keys'), ['main:mug']);
    const lines = await page.locator('.line').allTextContents();
    assert.equal(lines.length, 6, lines.join('\n'));
    assert.match(lines[0], /On air.*Mug.*main/);
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('changes price, stock, sale and giveaway while they are shown', async () => {
    const { page, complaints, close } = await studio('quick', [lamp, envelope]);
    await page.keyboard.press('1');
    const air = page.locator('.air-slot');
    const card = async () => (await api('quick', 'GET', '/cards/lamp')).card;
    await air.getByLabel('Price').fill('17.49');
    await air.getByRole('button', { name: 'Set price' }).click();
    await says(page, 'The new price is on air.');
    assert.equal(await air.locator('.price').textContent(), '€17.49');
    assert.equal((await card()).offers[0].price, '17.49');
    assert.equal((await api('quick', 'GET', '/slots')).slots[0].rev, 2);
    await air.getByLabel('Price').fill('17.999');
    await page.keyboard.press('Enter');
    await fails(page, '17.999');
    assert.equal(await air.locator('.price').textContent(), '€17.49');

    // Clicks that are faster than the node add up.
    const more = air.getByRole('button', { name: 'One more in stock' });
    for (let i = 0; i < 5; i++) await more.click();
    await air.getByRole('button', { name: 'One less in stock' }).click();
    await air.locator('.stock', { hasText: /^16$/ }).waitFor();
    await air.getByRole('button', { name: 'Sold out' }).click();
    await says(page, 'Shown as sold out.');
    const gone = (await card()).offers[0];
    assert.deepEqual([gone.availability, gone.inventoryLevel], ['SoldOut', 0]);
    await air.getByRole('button', { name: 'Back in stock' }).click();
    await says(page, 'Shown as in stock.');

    await air.getByRole('button', { name: '5 min' }).first().click();
    await says(page, 'The flash sale is on for 5 min.');
    await air.locator('.quick-words', { hasText: /Sale ends in (5:00|4:5\d)/ }).waitFor();
    const left = Date.parse((await card())['pushcart:promotion'].endsAt) - Date.now();
    assert.ok(left > 290_000 && left < 301_000, `the sale ends in ${left} ms`);
    await air.getByRole('button', { name: 'End now' }).click();
    await says(page, 'The flash sale is over.');
    assert.equal((await card())['pushcart:promotion'], undefined);
    await page.keyboard.press('2');
    await air.getByRole('button', { name: '3 min' }).click();
    await says(page, 'The giveaway is open for 3 min.');
    await air.locator('.quick-words', { hasText: /Claim within (3:00|2:5\d)/ }).waitFor();
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('shows what somebody else changed, and puts mine on top if asked to', async () => {
    const { page, complaints, close } = await studio('two', [lamp]);
    const sheet = page.locator('dialog.editor');
    await row(page, 'lamp').locator('.row-open').click();
    await sheet.getByRole('textbox', { name: 'Name' }).first().fill('Bright lamp');
    await api('two', 'PATCH', '/cards/lamp', { brand: 'Lumen', offers: [{ ...lamp.offers[0], price: '15.00' }] });
    // The list is live: it has the other's change already.
    await row(page, 'lamp').locator('.row-about', { hasText: '€15.00' }).waitFor();
    await sheet.getByRole('button', { name: 'Save' }).click();
    const question = page.locator('dialog.question');
    await question.waitFor();
    const lines = await question.locator('.changes').allTextContents();
    assert.match(lines[0], /Offer 1, Price 19\.99 → 15\.00/);
    assert.match(lines[0], /Brand none → Lumen/);
    assert.equal(lines[1], 'Name, en Desk lamp → Bright lamp');
    await page.screenshot({ path: join(screenshots, 'studio-conflict.png') });
    await question.getByRole('button', { name: 'Leave it as it is' }).click();
    assert.equal((await api('two', 'GET', '/cards/lamp')).rev, 2);
    await sheet.getByRole('button', { name: 'Save' }).click();
    await question.getByRole('button', { name: 'Save mine on top' }).click();
    await says(page, 'Bright lamp is saved.');
    const { card, rev } = await api('two', 'GET', '/cards/lamp');
    assert.deepEqual([card.name.en, card.brand, card.offers[0].price, rev], ['Bright lamp', 'Lumen', '15.00', 3]);
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('imports by paste, file and drop, names what is wrong, and exports', async () => {
    const { page, complaints, close } = await studio('lists', [mug]);
    const sheet = page.locator('dialog.wide');
    const json = sheet.getByLabel('Or paste JSON here');
    const go = sheet.getByRole('button', { name: 'Import' });
    const open = () => page.getByRole('button', { name: 'Import, export' }).click();
    await open();
    await json.fill('[{"id": "a",');
    await sheet.locator('.error', { hasText: 'This is not JSON.' }).waitFor();
    await json.fill(JSON.stringify([envelope, { ...lamp, offers: [{ price: '9', priceCurrency: 'XXX1' }] }]));
    await go.click();
    await sheet.locator('.error', { hasText: 'Product 2 (Desk lamp), Offer 1, Currency:' }).waitFor();
    await sheet.getByLabel('Replace the whole list').check();
    await sheet.locator('.hint', { hasText: '1 product goes from the list.' }).waitFor();
    await go.click();
    await sheet.locator('.error', { hasText: 'Product 2 (Desk lamp), Offer 1, Currency:' }).waitFor();
    await sheet.getByLabel('Replace the whole list').uncheck();
    await sheet.locator('input[type="file"]').setInputFiles({
      name: 'cards.json',
      mimeType: 'application/json',
      buffer: Buffer.from(JSON.stringify({ cards: [lamp] })),
    });
    await sheet.locator('.hint', { hasText: '1 product found.' }).waitFor();
    await go.click();
    await says(page, '1 product imported.');
    await row(page, 'lamp').waitFor();
    // A file that is dropped anywhere opens the dialog with what is in it.
    const drop = await page.evaluateHandle(
      (text) => {
        const data = new DataTransfer();
        data.items.add(new File([text], 'more.json', { type: 'application/json' }));
        return data;
      },
      JSON.stringify([{ id: 'pen', name: 'Pen' }, lamp]),
    );
    await page.dispatchEvent('#studio', 'drop', { dataTransfer: drop });
    await sheet.locator('.hint', { hasText: '2 products found.' }).waitFor();
    await sheet.getByLabel('Replace the whole list').check();
    await go.click();
    await says(page, '2 products imported.');
    await row(page, 'mug').waitFor({ state: 'detached' });
    assert.deepEqual(await order(page), ['pen', 'lamp']);

    await open();
    const saving = page.waitForEvent('download');
    await sheet.getByRole('button', { name: 'Download' }).click();
    const file = await saving;
    assert.equal(file.suggestedFilename(), 'lists-cards.json');
    const { cards } = JSON.parse(await readFile(await file.path(), 'utf8'));
    assert.deepEqual(
      cards.map(({ id }) => id),
      ['pen', 'lamp'],
    );
    assert.deepEqual(cards[1].name, lamp.name);
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('is sorted by dragging and by keys, and searched', async () => {
    const { page, complaints, close } = await studio('order', [lamp, mug, envelope]);
    const ids = async () => (await api('order', 'GET', '/cards')).cards.map(({ id }) => id);
    const place = async (id) => row(page, id).locator('.handle').boundingBox();
    const from = await place('lamp');
    const to = await place('envelope');
    await page.mouse.move(from.x + 10, from.y + 10);
    await page.mouse.down();
    await page.mouse.move(to.x + 10, to.y + 30, { steps: 6 });
    assert.equal(await page.locator('.row[data-held]').getAttribute('data-card'), 'lamp');
    await page.mouse.up();
    await says(page, 'The list is in its new order.');
    assert.deepEqual(await order(page), ['mug', 'envelope', 'lamp']);
    assert.deepEqual(await ids(), ['mug', 'envelope', 'lamp']);
    await row(page, 'lamp').locator('.handle').focus();
    await page.keyboard.press('ArrowUp');
    await page.keyboard.press('ArrowUp');
    await page.waitForFunction(() => document.querySelector('.rows').dataset.saving === 'false');
    assert.deepEqual(await ids(), ['lamp', 'mug', 'envelope']);
    assert.equal(await page.evaluate(() => document.activeElement.closest('.row')?.dataset.card), 'lamp');
    await page.keyboard.press('/');
    await page.keyboard.type('schreib');
    await page.locator('.hint', { hasText: '1 of 3 products' }).waitFor();
    assert.deepEqual(await order(page), ['lamp']);
    await page.keyboard.press('Escape');
    assert.deepEqual(await order(page), ['lamp', 'mug', 'envelope']);
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('shows what viewers see, by region and language', async () => {
    const { page, complaints, close } = await studio('seen', [lamp, mug]);
    const seen = page.locator('#viewers');
    await seen.locator('.hint', { hasText: 'Viewers see no card here.' }).waitFor();
    await page.keyboard.press('1');
    await seen.locator('.card-name', { hasText: 'Desk lamp' }).waitFor();
    await seen.getByLabel('Language').selectOption('ar');
    await seen.locator('.card-name', { hasText: 'مصباح مكتب' }).waitFor();
    assert.equal(await seen.locator('.card').getAttribute('dir'), 'rtl');
    await seen.getByLabel('Language').selectOption('de');
    await seen.getByLabel('Region').selectOption('AT');
    await seen.locator('.card-price', { hasText: '19,99' }).waitFor();
    await page.screenshot({ path: join(screenshots, 'studio-viewers.png') });
    await seen.getByLabel('Region').selectOption('FR');
    await seen.locator('.hint', { hasText: 'Withheld: viewers in this region (France)' }).waitFor();
    assert.equal(await seen.locator('.card').count(), 0);
    await seen.getByLabel('Product').selectOption('mug');
    await seen.locator('.card-name', { hasText: 'Mug' }).waitFor();
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('sends a command once more when its answer is lost, and nothing happens twice', async () => {
    const { page, close } = await studio('once', [lamp]);
    let lost = 0;
    await page.route('**/slots/main', async (route) => {
      if (lost++ > 0) return route.continue();
      await route.fetch();
      return route.abort();
    });
    await row(page, 'lamp').locator('.show').click();
    await says(page, 'Desk lamp is on air in main.');
    assert.equal(lost, 2);
    assert.equal((await api('once', 'GET', '/timeline')).timeline.length, 1);
    await close();
  });

  test('plays the stream, tells how it is doing, and fits a phone', async () => {
    node.publish('phone', { audio: false });
    const { page, complaints, close } = await studio(
      'phone',
      [
        lamp,
        mug,
        envelope,
        ...[...'abcdefgh'].map((id) => ({ id, name: `Product ${id}`, offers: [{ price: '5', priceCurrency: 'EUR' }] })),
      ],
      phone,
    );
    await row(page, 'mug').locator('.show').tap();
    await page.locator('#bar .now[data-air="true"]', { hasText: 'Mug' }).waitFor();
    await reach(page, 'playing');
    await page.waitForFunction(() => /^\d+\.\d s behind$/.test(document.querySelector('#latency').textContent));
    assert.ok((await picture(page)).colours > 20);
    assert.equal(await page.evaluate(() => document.querySelector('video').muted), true);
    await page.locator('#signal', { hasText: /^Live · \d+ viewers?$/ }).waitFor();
    await page.screenshot({ path: join(screenshots, 'studio-phone.png') });

    // Nothing is cut off, and what shows and hides is large enough for a thumb and lies where it reaches.
    const wide = () =>
      page.evaluate(() =>
        [...document.querySelectorAll('#studio *')]
          .filter((el) => el.getBoundingClientRect().right > innerWidth + 1 && el.getClientRects().length > 0)
          .map((el) => el.className),
      );
    const show = await row(page, 'lamp').locator('.show').boundingBox();
    const hide = await page.locator('#bar .hide').boundingBox();
    assert.ok(show.height >= 44 && show.width >= 44 && show.x > 195, JSON.stringify(show));
    assert.ok(hide.height >= 44 && hide.y > 844 / 2 && hide.y + hide.height <= 844, JSON.stringify(hide));
    for (const tab of ['air', 'viewers', 'timeline', 'stream', 'products']) {
      await page.locator(`#tabs [data-tab="${tab}"]`).tap();
      assert.deepEqual(await wide(), [], tab);
      assert.ok(await page.locator(`#${tab} `).isVisible());
      assert.equal(await page.locator('.panel:visible').count(), 1);
      await page.screenshot({ path: join(screenshots, `studio-phone-${tab}.png`) });
    }
    assert.deepEqual(
      await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.scrollHeight]),
      [390, 844],
    );
    await page.locator('#tabs [data-tab="stream"]').tap();
    await page.locator('.facts', { hasText: '640 × 360' }).waitFor();
    await page.locator('.advice li', { hasText: 'No audio is sent' }).waitFor();
    await page.locator('#tabs [data-tab="products"]').tap();

    await row(page, 'h').scrollIntoViewIfNeeded();
    assert.ok((await page.evaluate(() => document.querySelector('#products').scrollTop)) > 100);
    await page.locator('#bar .hide').tap();
    await says(page, 'main is empty.');
    await row(page, 'h').locator('.row-open').tap();
    await page.screenshot({ path: join(screenshots, 'studio-phone-editor.png') });
    assert.equal(await page.evaluate(() => document.querySelector('dialog').scrollWidth), 390);
    await page.locator('dialog').getByRole('button', { name: 'Close' }).tap();

    // A row is dragged by its handle with a finger. It comes last: the browser takes a tap right after it for one that stops
    // the movement.
    await row(page, 'lamp').scrollIntoViewIfNeeded();
    const touch = await page.context().newCDPSession(page);
    const finger = (type, points) => touch.send('Input.dispatchTouchEvent', { type, touchPoints: points });
    const { x, y } = await row(page, 'lamp').locator('.handle').boundingBox();
    await finger('touchStart', [{ x: x + 8, y: y + 10 }]);
    for (let by = 20; by <= 120; by += 20) await finger('touchMove', [{ x: x + 8, y: y + 10 + by }]);
    await finger('touchEnd', []);
    await says(page, 'The list is in its new order.');
    assert.deepEqual((await order(page)).slice(0, 2), ['mug', 'lamp']);
    assert.deepEqual(real(complaints), []);
    await close();
  });

  test('is named for those who hear it, and speaks their language', async () => {
    for (const [locale, title, show] of [
      ['en-GB', 'Studio names', 'Show'],
      ['es-MX', 'Estudio names', 'Mostrar'],
      ['zh-CN', 'names 导播台', '展示'],
    ]) {
      const { page, complaints, close } = await studio('names', [lamp, envelope], {
        ...phone,
        locale,
        reducedMotion: 'reduce',
      });
      assert.equal(await page.title(), title);
      assert.equal(await row(page, 'lamp').locator('.show').textContent(), show);
      await row(page, 'lamp').locator('.show').tap();
      await page.locator('#bar .now[data-air="true"]').waitFor();
      await row(page, 'lamp').locator('.row-open').tap();
      const nameless = await page.evaluate(() => {
        const named = (el) =>
          el.getAttribute('aria-label') ||
          el.labels?.[0]?.textContent ||
          (el.matches('button, a') && (el.textContent.trim() || el.querySelector('img')?.alt));
        return [...document.querySelectorAll('button, a, input, select, textarea')]
          .filter((el) => !named(el))
          .map((el) => el.outerHTML);
      });
      assert.deepEqual(nameless, []);
      await api('names', 'DELETE', '/slots');
      assert.deepEqual(real(complaints), [], locale);
      await close();
    }
  });

  test('says that it is not connected, lets nothing be done, and comes back with what is on air', async () => {
    const { page, complaints, close } = await studio('again', [lamp, mug], { viewport: { width: 1440, height: 900 } });
    await page.keyboard.press('1');
    await says(page, 'Desk lamp is on air in main.');
    await page.screenshot({ path: join(screenshots, 'studio-desktop.png') });
    await node.crash();
    await page.locator('#link', { hasText: 'Not connected.' }).waitFor();
    const commands = await page
      .locator('[data-command]')
      .evaluateAll((all) => all.map((button) => button.getAttribute('aria-disabled')));
    assert.ok(commands.length > 5 && commands.every((disabled) => disabled === 'true'), commands.join());
    await page.keyboard.press('2');
    await fails(page, 'Not connected: nothing was changed.');
    await page.screenshot({ path: join(screenshots, 'studio-lost.png') });
    // What was shown when the connection went is still to be seen.
    assert.equal(await page.locator('#bar .now-name').textContent(), 'Desk lamp');
    await page.getByRole('button', { name: 'Try now' }).click();
    await node.run();
    await page.waitForSelector('#studio[data-link="open"]');
    assert.equal(await page.locator('#link').textContent(), '');
    assert.deepEqual(await shown('again'), ['main:lamp']);
    await page.keyboard.press('2');
    await says(page, 'Mug is on air in main.');
    // A server that is not there cannot but be complained of.
    assert.deepEqual(
      real(complaints).filter((what) => !what.includes('net::ERR_')),
      [],
    );
    await close();
  });
});
