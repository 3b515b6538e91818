/** What ICE needs of a session description. */
export interface Credentials {
  readonly ufrag: string;
  readonly pwd: string;
}

const lines = (text: string): string[] => text.split(/\r?\n/).filter((line) => line !== '');
const join = (list: readonly string[]): string => list.map((line) => `${line}\r\n`).join('');
const value = (list: readonly string[], name: string): string | null =>
  list.find((line) => line.startsWith(name))?.slice(name.length) ?? null;

/** The first credentials in a description or a fragment of one; null when it has none. */
export function credentials(sdp: string): Credentials | null {
  const list = lines(sdp);
  const [ufrag, pwd] = [value(list, 'a=ice-ufrag:'), value(list, 'a=ice-pwd:')];
  return ufrag === null || pwd === null ? null : { ufrag, pwd };
}

/**
 * A fragment (RFC 8840, section 9) of a local description: its credentials and these candidates, "candidate:..." each. All
 * media go over one transport, so it is told for the first section only. end says that there are no more candidates.
 */
export function fragment(sdp: string, candidates: readonly string[], end: boolean): string {
  const list = lines(sdp);
  const first = list.findIndex((line) => line.startsWith('m='));
  const media = list.slice(first);
  const found = credentials(sdp);
  if (first < 0 || !found) throw new Error('the description has no media section with ICE credentials');
  return join([
    ...list.slice(0, first).filter((line) => line.startsWith('a=group:BUNDLE')),
    media[0] ?? '',
    `a=mid:${value(media, 'a=mid:') ?? '0'}`,
    `a=ice-ufrag:${found.ufrag}`,
    `a=ice-pwd:${found.pwd}`,
    ...candidates.map((candidate) => `a=${candidate}`),
    ...(end ? ['a=end-of-candidates'] : []),
  ]);
}

/** A remote description as it is after an ICE restart that was answered with a fragment (RFC 9725, section 4.3.2). */
export function restarted(sdp: string, answer: string): string {
  const found = credentials(answer);
  if (!found) throw new Error('the answer to the restart has no ICE credentials');
  const candidates = lines(answer).filter((line) => /^a=(candidate:|end-of-candidates)/.test(line));
  const kept = lines(sdp).filter((line) => !/^a=(candidate:|end-of-candidates)/.test(line));
  const renewed = kept.map((line) => {
    if (line.startsWith('a=ice-ufrag:')) return `a=ice-ufrag:${found.ufrag}`;
    if (line.startsWith('a=ice-pwd:')) return `a=ice-pwd:${found.pwd}`;
    return line;
  });
  const first = renewed.findIndex((line) => line.startsWith('m='));
  const second = renewed.findIndex((line, i) => i > first && line.startsWith('m='));
  renewed.splice(second < 0 ? renewed.length : second, 0, ...candidates);
  return join(renewed);
}

/**
 * An answer that lets the browser begin at a bit rate, in kbit/s. Chromium else begins at 300, which makes the first ten
 * seconds of a show a blur; others pass over what they do not know.
 */
export function withStartBitrate(sdp: string, kbps: number): string {
  let video = false;
  let formats: string[] = [];
  const told = new Set<string>();
  const result: string[] = [];
  const add = () => {
    for (const format of formats) {
      if (!told.has(format)) result.push(`a=fmtp:${format} x-google-start-bitrate=${kbps}`);
    }
    formats = [];
  };
  for (const line of lines(sdp)) {
    if (line.startsWith('m=')) {
      add();
      video = line.startsWith('m=video ');
    }
    const codec = /^a=rtpmap:(\d+) (H264|VP8|VP9|AV1)\//i.exec(line);
    if (video && codec?.[1] !== undefined) formats.push(codec[1]);
    const parameters = /^a=fmtp:(\d+) /.exec(line)?.[1];
    if (video && parameters !== undefined && formats.includes(parameters)) {
      told.add(parameters);
      result.push(`${line};x-google-start-bitrate=${kbps}`);
    } else result.push(line);
  }
  add();
  return join(result);
}
