import { fromNative } from '../sdk';
import type { Source, SourceEvents, Timing } from './source';

/** The distance that Safari's own player keeps cannot be asked for; s. */
const usualHoldBack = 3;

/** What WebKit's media elements have for streams with EXT-X-PROGRAM-DATE-TIME. */
interface DatedVideo extends HTMLVideoElement {
  getStartDate?: () => Date;
}

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
    video.src = this.url;
    video.load();
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

  livePosition(): number | null {
    const end = this.seekableEnd();
    return end === null ? null : Math.max(0, end - usualHoldBack);
  }

  private seekableEnd(): number | null {
    const { seekable } = this.video;
    return seekable.length > 0 ? seekable.end(seekable.length - 1) : null;
  }
}
