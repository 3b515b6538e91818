// Takes pictures of a page as Chromium's compositor puts it together, video and document in one, and reads them: the counter
// from the video, and what the main slot shows from the colour of its item.
import { readFile } from 'node:fs/promises';
import { cells } from './counter.mjs';

const counter = (await readFile(new URL('counter.mjs', import.meta.url), 'utf8')).replaceAll('export ', '');
/** How wide the page shows the picture; px. */
const width = 320;
/** A point of the main slot's item that has no text. */
const spot = { x: 310, y: 190 };

export class Glass {
  /** Begins to take pictures of a viewer's page. */
  static async over(viewer) {
    const glass = new Glass();
    glass.pictures = [];
    glass.session = await viewer.context.newCDPSession(viewer.page);
    glass.session.on('Page.screencastFrame', ({ data, metadata, sessionId }) => {
      glass.pictures.push({ data, time: metadata.timestamp * 1000 });
      glass.session.send('Page.screencastFrameAck', { sessionId }).catch(() => {}); // it may have been stopped
    });
    await glass.session.send('Page.startScreencast', { format: 'png', everyNthFrame: 1 });
    glass.viewer = viewer;
    return glass;
  }

  /** Ends it and returns the pictures. */
  async stop() {
    await this.session.send('Page.stopScreencast');
    await this.session.detach();
    return this.pictures;
  }

  /** Reads pictures: [time, frame, colour of the main slot, false]. */
  async read(browser, pictures) {
    const page = await browser.newPage();
    const samples = await page.evaluate(
      async ({ pictures, cells, width, counter, spot }) => {
        const { decode } = new Function(`${counter} return { decode };`)();
        const samples = [];
        for (const { data, time } of pictures) {
          const image = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
          const canvas = new OffscreenCanvas(image.width, image.height);
          const context = canvas.getContext('2d', { willReadFrequently: true });
          context.drawImage(image, 0, 0);
          const line = context.getImageData(0, 16, width, 1).data;
          const row = Array.from({ length: cells }, (_, i) => line[Math.floor(((i + 0.5) * width) / cells) * 4]);
          const [r, g, b] = context.getImageData(spot.x, spot.y, 1, 1).data;
          samples.push([time, decode(row), `#${((r << 16) | (g << 8) | b).toString(16).padStart(6, '0')}`, false]);
        }
        return samples;
      },
      { pictures, cells, width, counter, spot },
    );
    await page.close();
    return samples.filter(([, frame]) => frame >= 0);
  }
}

/** The colour that the bare page gives what a slot shows; black is nothing. */
export function colour(words) {
  if (!words) return '#000000';
  let hash = 0x811c9dc5;
  for (const c of words) hash = Math.imul(hash ^ c.charCodeAt(0), 0x01000193) >>> 0;
  return `#${(hash >>> 8).toString(16).padStart(6, '0')}`;
}
