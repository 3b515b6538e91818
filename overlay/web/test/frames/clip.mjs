// A clip with the counter burned in: ffmpeg makes an FLV file of it, whose tags are what an RTMP publisher sends.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { draw, height, rate, width } from './picture.mjs';

/** Milliseconds of a frame. */
export const frameTime = 1000 / rate;

const video = 9;
const audio = 8;

/**
 * Makes a clip of so many frames with a tone. reorder has it use B-frames.
 *
 * It has the codec data of both tracks, and tags in the order of their decoding times. The tag of a picture has its number
 * and its presentation time in ms.
 */
export async function makeClip(frames, { reorder = false } = {}) {
  const order = reorder ? ['-bf', '2', '-b_strategy', '0', '-tune', 'film'] : ['-tune', 'zerolatency'];
  const ffmpeg = spawn('ffmpeg', [
    ...['-hide_banner', '-loglevel', 'error', '-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${width}x${height}`],
    ...['-r', `${rate}`, '-i', 'pipe:0', '-f', 'lavfi', '-i', 'sine=frequency=330:sample_rate=48000'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-threads', '1', '-crf', '30', '-g', `${rate}`, '-keyint_min', `${rate}`],
    ...['-sc_threshold', '0', ...order, '-c:a', 'aac', '-b:a', '48k', '-shortest', '-f', 'flv', 'pipe:1'],
  ], { stdio: ['pipe', 'pipe', 'inherit'] });
  const chunks = [];
  ffmpeg.stdout.on('data', (chunk) => chunks.push(chunk));
  const ended = once(ffmpeg, 'close');
  for (let i = 0; i < frames; i++) {
    if (!ffmpeg.stdin.write(draw(i))) await once(ffmpeg.stdin, 'drain');
  }
  ffmpeg.stdin.end();
  const [code] = await ended;
  if (code !== 0) throw new Error(`ffmpeg ended with ${code}`);
  return readTags(Buffer.concat(chunks));
}

/**
 * Takes an FLV file apart (FLV 10.1, annex E):
 *
 *	type(8) size(24) time(24) time(8, high bits) stream(24) body  size of all that(32)
 */
function readTags(file) {
  const clip = { config: [], tags: [] };
  let first = null;
  for (let at = 9 + 4; at + 11 <= file.length; ) {
    const type = file[at];
    const size = file.readUIntBE(at + 1, 3);
    const time = file.readUIntBE(at + 4, 3) | (file[at + 7] << 24);
    const body = file.subarray(at + 11, at + 11 + size);
    at += 11 + size + 4;
    if (type !== video && type !== audio) continue;
    const tag = { type, time, body };
    if (body[1] === 0) {
      clip.config.push(tag); // sequence headers: AVCPacketType and AACPacketType are 0
      continue;
    }
    if (type === video) {
      if (body[1] !== 1) continue; // the end of the sequence
      const pts = time + body.readIntBE(2, 3);
      first ??= pts;
      tag.key = body[0] >> 4 === 1;
      tag.pts = pts;
      tag.frame = Math.round((pts - first) / frameTime);
    }
    clip.tags.push(tag);
  }
  return clip;
}
