import type { Size } from './source';

/** What is needed of a level of hls.js, the variant of a multivariant playlist. */
export interface LevelLike {
  readonly uri: string;
  readonly width: number;
  readonly height: number;
  readonly bitrate: number;
  readonly frameRate: number;
  readonly videoCodec: string | undefined;
  /** How often it failed since it last played. */
  readonly loadError: number;
}

/** A stretch of a playlist: a part, or a segment. */
interface Stretch {
  readonly end: number;
  readonly gap?: boolean;
}

/** What is needed of a playlist of hls.js. */
export interface PlaylistLike {
  readonly partList: readonly Stretch[] | null;
  readonly fragments: readonly (Stretch & { readonly tagList: readonly (readonly string[])[] })[];
}

/** What is needed of one to tell how late it is. */
export interface ReportLike {
  /** Whether it has media that the one before had not. */
  readonly advanced: boolean;
  readonly partTarget: number;
  readonly targetduration: number;
  readonly averagetargetduration?: number | undefined;
  readonly lastPartSn: number;
  readonly lastPartIndex: number;
  readonly renditionReports?: readonly Readonly<Record<string, string | undefined>>[] | undefined;
}

const codecs: readonly (readonly [RegExp, string])[] = [
  [/^avc[13]\./, 'H.264'],
  [/^(hvc1|hev1|dvh1|dvhe)\./, 'HEVC'],
  [/^av01\./, 'AV1'],
  [/^vp09\./, 'VP9'],
];

/** What people call a codec that a playlist names as RFC 6381 has it; '' when nobody here knows. */
export function codecName(codec: string | undefined): string {
  return codecs.find(([pattern]) => pattern.test(codec ?? ''))?.[1] ?? '';
}

/** Whether a rendition is the host's own: nodes call those video, and the ones that they make by what they are, such as 480p. */
export function isOriginal(uri: string): boolean {
  return /(^|\/)video(-\d+)?\.m3u8([?#]|$)/.test(uri);
}

/**
 * What viewers can choose, the largest first. Levels that share their pictures are one choice; levels without pictures, which
 * hls.js keeps only where no level has any, are none.
 */
export function sizesOf(levels: readonly LevelLike[]): Size[] {
  const seen = new Set<string>();
  const list: Size[] = [];
  levels.forEach(({ uri, width, height, bitrate, frameRate, videoCodec }, id) => {
    if (seen.has(uri)) return;
    seen.add(uri);
    const lines = Math.min(width, height) || 0;
    list.push({ id, lines, bitrate, frames: frameRate || 0, codec: codecName(videoCodec), original: isOriginal(uri) });
  });
  return list.sort((a, b) => b.lines - a.lines || b.frames - a.frames || b.bitrate - a.bitrate);
}

/** A gap that ends no later than this behind what is buffered needs no way around it; s. */
const tolerance = 0.05;

/**
 * Whether a playlist says that media behind a time (s) will not come. Segments count by their tag alone, since hls.js marks those, too, that it
 * gave up itself.
 */
export function gapAhead({ partList, fragments }: PlaylistLike, from: number): boolean {
  const ahead = ({ end, gap }: Stretch) => gap === true && end > from + tolerance;
  return (
    (partList?.some(ahead) ?? false) ||
    fragments.some((one) => ahead(one) && one.tagList.some(([tag]) => tag === 'GAP'))
  );
}

/** A rendition that is this much behind the host's own and does not grow has come to a stop; s. */
const stopped = 0.6;

/** How far a playlist is behind the host's own, which it reports; s, 0 when it is not told or not behind. */
export function behindOriginal(details: ReportLike): number {
  const { lastPartSn, lastPartIndex, partTarget, averagetargetduration, targetduration, renditionReports = [] } = details;
  const ahead = renditionReports
    .filter(({ URI }) => isOriginal(URI ?? ''))
    .map((report) => {
      const segments = Number(report['LAST-MSN']) - lastPartSn;
      const parts = Number(report['LAST-PART'] ?? 0) - lastPartIndex;
      return segments * (averagetargetduration || targetduration) + parts * partTarget;
    });
  return Math.max(0, ...ahead.filter(Number.isFinite));
}

/** Whether a playlist has come to a stop while the host goes on: it was asked for again and has nothing new. */
export function isStuck(details: ReportLike): boolean {
  return !details.advanced && behindOriginal(details) > stopped;
}

/** How much of what the network is believed to carry, in bit/s, a level may take that is turned to in a hurry. */
const share = 0.8;

/**
 * The level to turn to when media of the present one are missing: of those that have not failed, the host's own or else the best that the
 * network carries, else the smallest; -1 when there is none.
 */
export function wayAround(levels: readonly LevelLike[], present: number, bandwidth: number): number {
  const whole = levels
    .map((level, id) => ({ id, level }))
    .filter(({ id, level }) => id !== present && level.loadError === 0 && level.uri !== levels[present]?.uri)
    .sort((a, b) => b.level.bitrate - a.level.bitrate);
  const fitting = whole.filter(({ level }) => level.bitrate <= bandwidth * share);
  return (fitting.find(({ level }) => isOriginal(level.uri)) ?? fitting[0] ?? whole.at(-1))?.id ?? -1;
}
