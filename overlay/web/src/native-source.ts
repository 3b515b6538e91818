import { fromNative } from '../sdk';
import { hasSegment } from './presence';
import type { Size, Sound, Source, SourceEvents, Timing } from './source';

/** The distance that Safari's own player keeps cannot be asked for; s. */
const usualHoldBack = 3;

/** How often a first segment is looked for, ms, and how many times: the longest segments are shorter than that. */
const tryEvery = 500;
const mostTries = 30;

/** What WebKit's media elements have for streams with EXT-X-PROGRAM-DATE-TIME. */
interface DatedVideo extends HTMLVideoElement {
  getStartDate?: () => Date;
}

/** A sound of an element, as HTML has it (4.8.11.10.1); browsers that play HLS by themselves have them. */
interface NativeSound {
  enabled: boolean;
  readonly label: string;
  readonly language: string;
}

type NativeSounds = EventTarget & ArrayLike<NativeSound>;

/** NativeSource leaves playback to the browser: iPhones that have no Media Source Extensions of any kind. */
export class NativeSource implements Source {
  readonly cards = fromNative();
  private readonly stopped = new AbortController();
  private edge = 0;

  constructor(
    private readonly video: DatedVideo,
    private readonly url: string,
    private readonly events: SourceEvents,
  ) {}

  /** Whether this browser can. */
  static supported(video: HTMLVideoElement): boolean {
    return video.canPlayType('application/vnd.apple.mpegurl') !== '';
  }

  open(): void {
    const { video, events } = this;
    const on = (type: string, handler: () => void) =>
      video.addEventListener(type, handler, { signal: this.stopped.signal });
    on('loadedmetadata', () => {
      events.ready();
      // A live presentation has no end, one that was closed has a length.
      if (Number.isFinite(video.duration)) events.closed(true);
    });
    on('durationchange', () => {
      if (video.readyState > 0 && Number.isFinite(video.duration)) events.closed(false);
    });
    on('progress', () => {
      const edge = this.seekableEnd() ?? 0;
      if (edge > this.edge) {
        this.edge = edge;
        events.reachable(true);
        events.advanced();
      }
    });
    on('error', () => {
      const code = video.error?.code ?? 0;
      const media = code === MediaError.MEDIA_ERR_DECODE;
      if (video.readyState === 0 && !media) events.absent();
      else {
        events.error(media ? 'media' : 'network', video.error?.message ?? '', true);
        events.broken();
      }
    });
    for (const type of ['addtrack', 'removetrack', 'change']) {
      this.list?.addEventListener(type, () => events.choices(), { signal: this.stopped.signal });
    }
    void this.begin();
  }

  /** Chromium's own player fails on a presentation that has no whole segment yet; so the first is waited for. */
  private async begin(): Promise<void> {
    const { signal } = this.stopped;
    for (let tries = 0; tries < mostTries && !(await hasSegment(this.url, signal)); tries++) {
      await new Promise((resolve) => setTimeout(resolve, tryEvery));
    }
    if (signal.aborted) return;
    this.video.src = this.url;
    this.video.load();
  }

  close(): void {
    this.stopped.abort();
    this.video.removeAttribute('src');
    this.video.load();
  }

  timing(): Timing {
    const { video } = this;
    const start = video.getStartDate?.().getTime() ?? NaN;
    const end = this.seekableEnd();
    return {
      behindEdge: end === null ? null : end - video.currentTime,
      holdBack: usualHoldBack,
      shownAt: Number.isNaN(start) ? null : start + video.currentTime * 1000,
      step: 2,
    };
  }

  get sounds(): readonly Sound[] {
    return Array.from(this.list ?? [], ({ label, language }, id) => ({ id, name: label, language }));
  }

  get sound(): number {
    return Array.from(this.list ?? []).findIndex(({ enabled }) => enabled);
  }

  set sound(id: number) {
    if (id === this.sound) return;
    Array.from(this.list ?? []).forEach((track, i) => (track.enabled = i === id));
  }

  /** The browser chooses the size, and lets nobody else. */
  readonly sizes: readonly Size[] = [];
  readonly size = null;

  private get list(): NativeSounds | undefined {
    return (this.video as DatedVideo & { audioTracks?: NativeSounds }).audioTracks;
  }

  livePosition(): number | null {
    const end = this.seekableEnd();
    return end === null ? null : Math.max(0, end - usualHoldBack);
  }

  private seekableEnd(): number | null {
    const { seekable } = this.video;
    return seekable.length > 0 ? seekable.end(seekable.length - 1) : null;
  }
}
