// Measures from glass to glass: reads the clock that clock-source.mjs burned into the picture off the watch page in
// Chromium and prints how old it is, as JSON on one line. Times in seconds.
//
//	node bench/glass.mjs --url http://127.0.0.1:8080/watch/clock [--seconds 20] [--warmup 5]
import { parseArgs } from 'node:util';
import { launch, open, reach, play, stats } from '../test/browser.mjs';
import { age, cells, decode } from './clock.mjs';

const every = 250;
const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    seconds: { type: 'string', default: '20' },
    warmup: { type: 'string', default: '5' },
  },
});
if (!values.url) {
  console.error('glass: --url is missing: the address of a watch page, such as http://127.0.0.1:8080/watch/clock');
  process.exit(2);
}

/** Takes samples in the page: the time of day, and the brightness of each cell of the clock. */
function sample(page, seconds) {
  return page.evaluate(
    async ({ cells, every, seconds }) => {
      const video = document.querySelector('video');
      const canvas = document.createElement('canvas');
      const [wide, high] = [cells * 4, 8];
      canvas.width = wide;
      canvas.height = high;
      const context = canvas.getContext('2d', { willReadFrequently: true });
      const samples = [];
      const end = performance.now() + seconds * 1000;
      while (performance.now() < end) {
        await new Promise((resolve) => setTimeout(resolve, every));
        const now = Date.now();
        context.drawImage(video, 0, 0, video.videoWidth, (video.videoHeight * 64) / 720, 0, 0, wide, high);
        const line = context.getImageData(0, high / 2, wide, 1).data;
        samples.push({ now, row: Array.from({ length: cells }, (_, i) => line[(i * 4 + 2) * 4]) });
      }
      return samples;
    },
    { cells, every, seconds },
  );
}

/** The value that a share of sorted ones does not exceed; null of none. */
function percentile(sorted, share) {
  return sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}

const browser = await launch();
try {
  const { page, complaints } = await open(browser, values.url);
  await reach(page, 'playing', 60000);
  await play(page, Number(values.warmup));
  const before = await stats(page);
  const samples = await sample(page, Number(values.seconds));
  const after = await stats(page);
  const ages = samples
    .map(({ now, row }) => ({ now, read: decode(row) }))
    .filter(({ read }) => read !== null)
    .map(({ now, read }) => age(read, now) / 1000)
    .sort((a, b) => a - b);
  const result = {
    samples: samples.length,
    unreadable: samples.length - ages.length,
    p50: percentile(ages, 0.5),
    p95: percentile(ages, 0.95),
    p99: percentile(ages, 0.99),
    min: ages.at(0) ?? null,
    max: ages.at(-1) ?? null,
    shown: after.latency,
    target: after.target,
    stalls: after.stalls - before.stalls,
    droppedFrames: after.droppedFrames - before.droppedFrames,
    frames: after.totalFrames - before.totalFrames,
    complaints,
  };
  console.log(JSON.stringify(result));
  if (ages.length === 0) {
    console.error('glass: no clock is in the picture: publish with bench/clock-source.mjs');
    process.exitCode = 1;
  }
} finally {
  await browser.close();
}
