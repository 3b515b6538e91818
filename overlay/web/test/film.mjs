// A film for the tests: each frame has its number burned in, and the media can be cut at each part and signed states put in.
import { spawn } from 'node:child_process';
import { encode } from '../bench/clock.mjs';

export const rate = 30;
/** Ticks of the track in a second and in a frame. */
export const timescale = 90000;
export const ticks = timescale / rate;
const [width, height, rows, cells] = [320, 180, 24, 32];

/** Frames as raw yuv420p. */
function* frames(count) {
  for (let n = 0; n < count; n++) {
    const frame = Buffer.alloc((width * height * 3) / 2, 128);
    for (let y = rows; y < height; y++) frame.fill(40 + ((y * 3 + n) & 127), y * width, (y + 1) * width);
    const row = Buffer.alloc(width);
    encode(n).forEach((bit, i) => row.fill(bit ? 235 : 16, (i * width) / cells, ((i + 1) * width) / cells));
    for (let y = 0; y < rows; y++) row.copy(frame, y * width);
    yield frame;
  }
}

/** Encodes so many frames as one fragmented MP4: a key frame each second, a fragment for each part of 200 ms. */
async function encodeFilm(count, size) {
  const child = spawn(
    'ffmpeg',
    [
      ...['-hide_banner', '-loglevel', 'error'],
      ...['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${width}x${height}`, '-r', String(rate), '-i', 'pipe:0'],
      ...['-vf', `scale=${size}:flags=neighbor`, '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency'],
      ...['-g', String(rate), '-sc_threshold', '0', '-qp', '20', '-video_track_timescale', String(timescale)],
      ...['-movflags', 'empty_moov+default_base_moof', '-frag_duration', '200000', '-f', 'mp4', 'pipe:1'],
    ],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const chunks = [];
  child.stdout.on('data', (chunk) => chunks.push(chunk));
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve() : reject(new Error(`ffmpeg ended with ${code}`))));
  });
  for (const frame of frames(count)) {
    if (!child.stdin.write(frame)) await new Promise((resolve) => child.stdin.once('drain', resolve));
  }
  child.stdin.end();
  await ended;
  return Buffer.concat(chunks);
}

/** The boxes in a buffer one after another: [type, bytes]. */
export function boxes(buffer) {
  const list = [];
  for (let at = 0; at < buffer.length; ) {
    const size = buffer.readUInt32BE(at);
    list.push([buffer.toString('latin1', at + 4, at + 8), buffer.subarray(at, at + size)]);
    at += size;
  }
  return list;
}

/** Moves a fragment in time: adds to the decoding time in its tfdt, of version 1 (ISO/IEC 14496-12 8.8.12). */
function moved(moof, by) {
  const copy = Buffer.from(moof);
  const at = copy.indexOf('tfdt') + 4;
  if (copy[at] !== 1) throw new Error('the film has a tfdt of version 0');
  copy.writeBigUInt64BE(copy.readBigUInt64BE(at + 4) + BigInt(by), at + 4);
  return copy;
}

const films = new Map();

/**
 * A film of so many frames: init, and parts of six frames each whose media time begins at start (in ticks). It is made once.
 */
export function film(count, { size = '320:180', start = 0 } = {}) {
  const key = `${count} ${size} ${start}`;
  if (!films.has(key)) films.set(key, make(count, size, start));
  return films.get(key);
}

async function make(count, size, start) {
  const all = boxes(await encodeFilm(count, size));
  const init = Buffer.concat(all.filter(([type]) => type === 'ftyp' || type === 'moov').map(([, bytes]) => bytes));
  const parts = [];
  all.forEach(([type, bytes], i) => {
    if (type === 'moof') parts.push(Buffer.concat([moved(bytes, start), all[i + 1][1]]));
  });
  return { init, parts, start, count };
}
