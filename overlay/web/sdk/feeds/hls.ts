import { tokenOf } from '../id3';
import { rangeAttribute, rangeClass } from '../ranges';
import type { Feed, Range, Sink } from '../types';
import { cuesOf, frameToken } from './cue';

/** What is used of an instance of hls.js. */
export interface HlsLike {
  on(event: string, listener: (event: string, data: never) => void): void;
  off(event: string, listener: (event: string, data: never) => void): void;
  readonly url?: string | null;
  readonly latency?: number;
  readonly playingDate?: Date | null;
  readonly latestLevelDetails?: Details | null;
  readonly levels?: readonly { readonly details?: Details | undefined }[];
  readonly currentLevel?: number;
}

interface Details {
  readonly fragments: readonly Fragment[];
  readonly dateRanges?: Readonly<Record<string, DateRange>>;
  readonly skippedSegments?: number;
}

interface Fragment {
  readonly start: number;
  readonly duration: number;
  readonly programDateTime: number | null;
}

interface DateRange {
  readonly id: string;
  readonly class: string;
  readonly startDate: Date;
  readonly endDate: Date | null;
  readonly attr: Readonly<Record<string, string | undefined>>;
}

/** How many closed ranges that the playlist has forgotten are kept. */
const mostForgotten = 256;

/**
 * HlsFeed listens to hls.js. Messages are taken when hls.js has read them out of a part (hlsFragParsingMetadata), in the
 * element's time: before there are cues, which it replaces and removes, and whether it was told to make any or not. Date
 * ranges are taken from the playlists: their cues keep the attributes that a range had first.
 */
export class HlsFeed implements Feed {
  private sink: Sink | null = null;
  private readonly ranges = new Map<string, Range>();

  constructor(private readonly hls: HlsLike) {}

  open(video: HTMLVideoElement, sink: Sink): void {
    this.sink = sink;
    this.each((event, listener) => this.hls.on(event, listener));
    // What hls.js has read before.
    for (const track of video.textTracks) {
      if (track.kind !== 'metadata' || track.label !== 'id3') continue;
      for (const cue of cuesOf(track)) this.message(cue.startTime, frameToken(cue.value));
    }
    const details = this.details();
    if (details) this.updated(details);
  }

  close(): void {
    this.each((event, listener) => this.hls.off(event, listener));
    this.sink = null;
  }

  address(): string | null {
    const { url } = this.hls;
    return url ? new URL(url, location.href).href : null;
  }

  dateAt(time: number): number | null {
    let best: Fragment | null = null;
    for (const fragment of this.details()?.fragments ?? []) {
      if (fragment.start > time && best) break;
      if (fragment.programDateTime !== null) best = fragment;
    }
    if (!best || best.programDateTime === null) return this.hls.playingDate?.getTime() ?? null;
    return best.programDateTime + (time - best.start) * 1000;
  }

  latency(): number | null {
    return this.hls.latency || null;
  }

  private each(f: (event: string, listener: (event: string, data: never) => void) => void): void {
    f('hlsFragParsingMetadata', this.parsed);
    f('hlsLevelUpdated', this.levelUpdated);
    f('hlsManifestLoading', this.loading);
  }

  private readonly parsed = (_: string, data: { samples: readonly { pts: number; data: Uint8Array }[] }) => {
    for (const { pts, data: tag } of data.samples) this.message(pts, tokenOf(tag));
  };

  private readonly levelUpdated = (_: string, { details }: { details: Details }) => this.updated(details);

  private readonly loading = () => {
    this.ranges.clear();
    this.sink?.restart();
  };

  private message(time: number, token: string | null): void {
    if (token !== null) this.sink?.message(time, token);
  }

  private details(): Details | null {
    const { latestLevelDetails, levels, currentLevel = -1 } = this.hls;
    return latestLevelDetails ?? levels?.[currentLevel]?.details ?? null;
  }

  /**
   * Takes the ranges of a playlist. A delta update may lack some; one that a whole playlist lacks has ended long ago, and one
   * that has no end yet ends when it says so.
   */
  private updated(details: Details): void {
    const { ranges } = this;
    const listed = Object.values(details.dateRanges ?? {}).filter((range) => range.class === rangeClass);
    const whole = !details.skippedSegments;
    const missing = [...ranges].filter(([id]) => !listed.some((range) => range.id === id));
    const forgotten = missing.slice(0, Math.max(0, missing.length - mostForgotten));
    for (const [id, range] of whole ? missing.filter(([, { end }]) => end === Infinity) : []) ranges.set(id, { ...range, end: range.start });
    for (const [id] of forgotten) ranges.delete(id);
    for (const range of listed) {
      const { id, startDate, endDate, attr } = range;
      const start = timeOf(details, startDate);
      if (start === null) continue;
      ranges.set(id, { id, value: attr[rangeAttribute] ?? '', start, end: (endDate && timeOf(details, endDate)) ?? Infinity });
    }
    this.sink?.ranges([...ranges.values()]);
  }
}

/** Where a date is in the element's time, by the playlist's dates; null when it has none. */
function timeOf({ fragments }: Details, date: Date): number | null {
  let best: Fragment | null = null;
  for (const fragment of fragments) {
    if (fragment.programDateTime === null) continue;
    if (best && fragment.programDateTime > date.getTime()) break;
    best = fragment;
  }
  return best?.programDateTime ? best.start + (date.getTime() - best.programDateTime) / 1000 : null;
}
