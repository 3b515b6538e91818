// Pages that watch the show, with a recorder in front of their scripts.
import { readFile } from 'node:fs/promises';
import { rate } from './picture.mjs';

const text = (name) => readFile(new URL(name, import.meta.url), 'utf8');
const codec = (await text('counter.mjs')).replaceAll('export ', '');
const counter = `window.counter = (() => { ${codec} return { cells, decode }; })();`;
const recorder = await text('recorder.js');

/** What the watch page shows, as the bare page says it. A card that is on its way out does not count. */
const watchShows = () =>
  Array.from(
    document.querySelectorAll('[data-slot][data-card]:not([data-leaving])'),
    ({ dataset }) => `${dataset.slot}:${dataset.card}/${dataset.rev}`,
  )
    .sort()
    .join(' ');

export class Viewer {
  /** Opens a page. */
  static async open(browser, name, url) {
    const viewer = new Viewer();
    viewer.name = name;
    viewer.context = await browser.newContext({ viewport: { width: 320, height: 240 }, locale: 'en-US' });
    viewer.page = await viewer.context.newPage();
    viewer.complaints = [];
    viewer.page.on('pageerror', (error) => viewer.complaints.push(`exception: ${error.message}`));
    viewer.page.on('console', (message) => {
      // A node that is not there cannot but be complained of.
      const expected = message.text().startsWith('Failed to load resource');
      if (['error', 'warning'].includes(message.type()) && !expected) viewer.complaints.push(message.text());
    });
    await viewer.page.addInitScript(`${counter}${recorder}
      document.addEventListener('DOMContentLoaded', () =>
        recorder.start(document.getElementById('video'), () => (window.shown ?? (${watchShows}))()));`);
    await viewer.page.goto(url);
    return viewer;
  }

  /** What was recorded since the last time. */
  take() {
    return this.page.evaluate(() => window.recorder.samples.splice(0));
  }

  /** The frame that was painted last; -1 before the first. */
  frame() {
    return this.page.evaluate(() => window.recorder.frame);
  }

  /** Waits until a frame has been painted, or a later one. */
  async painted(frame, limit = 40000) {
    try {
      await this.page.waitForFunction((wanted) => window.recorder.frame >= wanted, frame, { timeout: limit, polling: 100 });
    } catch (error) {
      throw new Error(`${this.name} did not get to frame ${frame}: ${await this.stuck()} ${this.complaints}`, { cause: error });
    }
  }

  /** Goes back to a frame, by its distance to the one that is shown, and waits until playback is there. */
  async back(frame) {
    await this.page.evaluate(
      ({ frame, rate }) => {
        const video = document.getElementById('video');
        // The watch page takes a viewer back to live who is behind without having asked for it: pausing is asking.
        const button = document.getElementById('play');
        button?.click();
        video.currentTime += (frame - window.recorder.frame) / rate;
        button?.click();
      },
      { frame, rate },
    );
    try {
      await this.page.waitForFunction((to) => window.recorder.frame < to, frame + 2 * rate, { timeout: 20000, polling: 50 });
    } catch (error) {
      throw new Error(`${this.name} did not go back to frame ${frame}: ${await this.stuck()}`, { cause: error });
    }
  }

  /** Goes to the live edge. */
  forward() {
    return this.page.evaluate(() => {
      const button = document.getElementById('live');
      if (button) button.click();
      else document.getElementById('video').currentTime = window.live();
    });
  }

  /** Changes to the one or the other rendition, and waits until its media are shown. */
  async quality(high) {
    await this.page.evaluate((wanted) => window.quality(wanted), high);
    try {
      await this.page.waitForFunction((wanted) => window.qualityShown() === wanted, high, { timeout: 20000, polling: 50 });
    } catch (error) {
      throw new Error(`${this.name} did not change the rendition: ${await this.stuck()}`, { cause: error });
    }
  }

  /** What the page complained of, and the SDK. */
  async complain() {
    const rejected = await this.page.evaluate(() => (window.complaints ?? []).filter((what) => what.startsWith('rejected')));
    return [...this.complaints, ...rejected];
  }

  stuck() {
    return this.page.evaluate(() => {
      const video = document.getElementById('video');
      if (!video) return `the page has no video: ${document.body.innerText}`;
      const { currentTime, readyState, paused, seeking, buffered, error } = video;
      const ranges = Array.from({ length: buffered.length }, (_, i) => [buffered.start(i), buffered.end(i)]);
      return JSON.stringify({
        frame: window.recorder.frame, currentTime, readyState, paused, seeking, ranges, error: error?.message,
        complaints: window.complaints, state: window.pushcart?.state,
      });
    });
  }

  close() {
    return this.context.close();
  }
}
