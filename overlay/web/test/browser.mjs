// Chromium for the tests: one browser, pages that remember what went wrong in them.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const executablePath = process.env.PUSHCART_CHROMIUM ?? '/usr/bin/chromium';

/** Starts Chromium with a fresh profile, which goes when it is closed. */
export function launch(extra = []) {
  return chromium.launch({
    executablePath,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--autoplay-policy=no-user-gesture-required',
      ...extra,
    ],
  });
}

/** A folder for screenshots: PUSHCART_SCREENSHOTS, else a new one among the temporary files. */
export const screenshots = process.env.PUSHCART_SCREENSHOTS ?? (await mkdtemp(join(tmpdir(), 'pushcart-screenshots-')));

/**
 * Opens a page and returns it with a list that collects its complaints: console errors, exceptions, violated policies.
 * Answers of 404 and 503 for playlists and posters are no complaint: they are how a stream that is not there looks.
 */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 }, locale: 'en-US', ...options });
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const expected = /status of (404|503)/.test(message.text()) && /\.m3u8|\/poster\.jpg/.test(message.location().url);
    if (!expected) complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => complaints.push(`exception: ${error.message}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI}`),
    );
  });
  await page.goto(url);
  return { page, complaints, close: () => context.close() };
}

/** The page's statistics as a plain object. */
export function stats(page) {
  return page.evaluate(() => Object.fromEntries(Object.keys(window.pushcart).map((key) => [key, window.pushcart[key]])));
}

/** Waits for a state, for at most limit ms, and says where the page was stuck when it does not come. */
export async function reach(page, state, limit = 30000) {
  try {
    await page.waitForFunction((wanted) => window.pushcart?.state === wanted, state, { timeout: limit, polling: 100 });
  } catch (error) {
    throw new Error(`the page did not get to "${state}": ${JSON.stringify(await stats(page))}`, { cause: error });
  }
}

/** Waits until that many more seconds of media have been played. */
export async function play(page, seconds, limit = seconds * 1000 + 20000) {
  const from = await page.evaluate(() => window.pushcart.currentTime);
  try {
    await page.waitForFunction((end) => window.pushcart.currentTime >= end, from + seconds, { timeout: limit, polling: 100 });
  } catch (error) {
    throw new Error(`${seconds} s were not played: ${JSON.stringify(await stats(page))}`, { cause: error });
  }
}

/**
 * Looks at the picture: how many different colours it has on a coarse raster, and its mean brightness, 0 to 255. A black
 * or a frozen grey picture has next to no colours.
 */
export function picture(page) {
  return page.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.width = 64;
    canvas.height = 36;
    const context = canvas.getContext('2d');
    context.drawImage(document.querySelector('video'), 0, 0, 64, 36);
    const { data } = context.getImageData(0, 0, 64, 36);
    const colours = new Set();
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) {
      colours.add(((data[i] >> 4) << 8) | ((data[i + 1] >> 4) << 4) | (data[i + 2] >> 4));
      sum += (data[i] + data[i + 1] + data[i + 2]) / 3;
    }
    return { colours: colours.size, brightness: sum / (data.length / 4) };
  });
}
