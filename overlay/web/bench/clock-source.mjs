// Makes a moving picture with the time of day burned into it: raw yuv420p, 1280x720, 30 frames a second, in real time.
//
//	node bench/clock-source.mjs --publish rtmp://127.0.0.1:1935/live/clock [--seconds 60]
//	node bench/clock-source.mjs | ffmpeg -f rawvideo -pix_fmt yuv420p -s 1280x720 -r 30 -i pipe:0 ...
//
// Without --seconds it goes on until it is stopped. With --publish it starts ffmpeg, with a tone, and ends with it.
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { cells, encode, height, rows, width } from './clock.mjs';

const rate = 30;
const { values } = parseArgs({ options: { publish: { type: 'string' }, seconds: { type: 'string', default: '0' } } });
const last = Number(values.seconds) > 0 ? Number(values.seconds) * rate : Infinity;

/** A frame with a background that an encoder has something to do with; luma plane, then both chroma planes. */
function background() {
  const frame = Buffer.alloc((width * height * 3) / 2, 128);
  for (let y = rows; y < height; y++) {
    for (let x = 0; x < width; x++) frame[y * width + x] = 40 + (((x ^ y) & 63) * 2);
  }
  return frame;
}

const still = background();

/** Draws the clock, and a bar that moves, into a copy of the background. */
function draw(count, ms) {
  const frame = Buffer.from(still);
  const cell = width / cells;
  const row = Buffer.alloc(width);
  encode(ms).forEach((bit, i) => row.fill(bit ? 235 : 16, i * cell, (i + 1) * cell));
  for (let y = 0; y < rows; y++) row.copy(frame, y * width);
  const left = (count * 8) % (width - 160);
  for (let y = 300; y < 420; y++) frame.fill(200, y * width + left, y * width + left + 160);
  return frame;
}

function ffmpeg(url) {
  const child = spawn(
    'ffmpeg',
    [
      ...['-hide_banner', '-loglevel', 'error', '-nostdin', '-fflags', 'nobuffer', '-probesize', '32'],
      ...['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${width}x${height}`, '-r', String(rate), '-i', 'pipe:0'],
      ...['-f', 'lavfi', '-i', 'sine=frequency=330:sample_rate=48000'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-b:v', '1500k', '-g', String(2 * rate)],
      ...['-c:a', 'aac', '-b:a', '96k', '-shortest', '-f', 'flv', url],
    ],
    { stdio: ['pipe', 'inherit', 'inherit'] },
  );
  child.on('exit', (code) => process.exit(code ?? 1));
  child.on('error', (error) => {
    console.error(`clock-source: ffmpeg does not start: ${error.message}`);
    process.exit(1);
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill('SIGTERM'));
  return child.stdin;
}

const out = values.publish ? ffmpeg(values.publish) : process.stdout;
out.on('error', () => process.exit(values.publish ? 1 : 0));

// Frames are counted against the clock, so that a timer that comes late makes no stream that is slow.
const begun = performance.now();
let count = 0;
let full = false;
out.on('drain', () => (full = false));
const timer = setInterval(() => {
  const due = Math.min(last, Math.floor(((performance.now() - begun) * rate) / 1000) + 1);
  while (count < due && !full) full = !out.write(draw(count++, Date.now()));
  if (count >= last) {
    clearInterval(timer);
    out.end();
  }
}, 4);
