import type { Feed, Range, Sink } from '../types';
import { cuesOf, frameToken, rangeValue } from './cue';

/** What WebKit's media elements have for streams with EXT-X-PROGRAM-DATE-TIME. */
interface DatedVideo extends HTMLVideoElement {
  getStartDate?: () => Date;
}

/**
 * NativeFeed reads the metadata tracks of an element whose browser plays HLS by itself. All cues are looked at, not those
 * alone that are in force: a browser may replace or skip some.
 */
export class NativeFeed implements Feed {
  private readonly stopped = new AbortController();
  private video: DatedVideo | null = null;
  private sink: Sink | null = null;
  private known = new WeakSet<TextTrackCue>();
  private ranges = '[]';

  open(video: DatedVideo, sink: Sink): void {
    this.video = video;
    this.sink = sink;
    const { signal } = this.stopped;
    video.textTracks.addEventListener('addtrack', ({ track }) => track && this.watch(track), { signal });
    for (const track of video.textTracks) this.watch(track);
    video.addEventListener('timeupdate', () => this.look(), { signal });
    video.addEventListener('emptied', () => this.emptied(), { signal });
  }

  close(): void {
    this.stopped.abort();
    this.sink = null;
  }

  address(): string | null {
    const address = this.video?.currentSrc ?? '';
    return /^https?:/.test(address) ? address : null;
  }

  dateAt(time: number): number | null {
    const start = this.video?.getStartDate?.().getTime() ?? NaN;
    return Number.isNaN(start) ? null : start + time * 1000;
  }

  latency(): number | null {
    if (!this.video) return null;
    const { seekable, currentTime } = this.video;
    return seekable.length > 0 ? seekable.end(seekable.length - 1) - currentTime : null;
  }

  /** A track that is switched off has no cues; one that is hidden has, and shows none. */
  private watch(track: TextTrack): void {
    if (track.kind !== 'metadata') return;
    if (track.mode === 'disabled') track.mode = 'hidden';
    track.addEventListener('cuechange', () => this.look(), { signal: this.stopped.signal });
    this.look();
  }

  private look(): void {
    const tracks = [...(this.video?.textTracks ?? [])].filter(({ kind }) => kind === 'metadata');
    const ranges: Range[] = [];
    for (const cue of tracks.flatMap(cuesOf)) {
      const { id, startTime, endTime } = cue;
      const value = rangeValue(cue.value);
      if (value !== null) ranges.push({ id, value, start: startTime, end: endTime });
      if (this.known.has(cue)) continue;
      this.known.add(cue);
      const token = frameToken(cue.value);
      if (token !== null) this.sink?.message(startTime, token);
    }
    const told = JSON.stringify(ranges);
    if (told === this.ranges) return;
    this.ranges = told;
    this.sink?.ranges(ranges);
  }

  private emptied(): void {
    this.known = new WeakSet();
    this.ranges = '[]';
    this.sink?.restart();
  }
}
