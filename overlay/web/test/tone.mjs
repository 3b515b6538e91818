// A tone for the tests, as fragments of MP4.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { boxes } from './film.mjs';

/** A tone of so many seconds: init, and a part for each second or so. */
export async function tone(seconds, frequency) {
  const { stdout } = await promisify(execFile)(
    'ffmpeg',
    [
      ...['-hide_banner', '-loglevel', 'error', '-f', 'lavfi', '-i', `sine=frequency=${frequency}:sample_rate=48000:duration=${seconds}`],
      ...['-c:a', 'aac', '-b:a', '64k', '-movflags', 'empty_moov+default_base_moof', '-frag_duration', '1000000', '-f', 'mp4', 'pipe:1'],
    ],
    { encoding: 'buffer', maxBuffer: 1 << 26 },
  );
  const all = boxes(stdout);
  const init = Buffer.concat(all.filter(([type]) => type === 'ftyp' || type === 'moov').map(([, bytes]) => bytes));
  const parts = all.flatMap(([type, bytes], i) => (type === 'moof' ? [Buffer.concat([bytes, all[i + 1][1]])] : []));
  return { init, parts };
}
