/** A picture and the element's clock may differ by this, or the browser counts pictures from elsewhere; s. */
const plausible = 2;

/**
 * Playhead follows the pictures that the browser shows. Where it tells of each (requestVideoFrameCallback), their own times
 * count; where there are none to tell of, because the stream has no picture or nobody sees it, the element's clock.
 */
export class Playhead {
  private readonly stopped = new AbortController();
  private request = 0;

  /** moved gets the time of each picture in s, and null when the element is given other media. */
  constructor(
    private readonly video: HTMLVideoElement,
    private readonly moved: (time: number | null) => void,
  ) {
    const on = (type: string, f: () => void) => video.addEventListener(type, f, { signal: this.stopped.signal });
    on('emptied', () => moved(null));
    on('timeupdate', () => this.clock());
    on('seeked', () => this.clock());
    if (this.tells) this.await();
    else on('playing', () => this.poll());
  }

  /** Ends it. */
  stop(): void {
    this.stopped.abort();
    if (this.tells) this.video.cancelVideoFrameCallback(this.request);
    else cancelAnimationFrame(this.request);
  }

  private get tells(): boolean {
    return typeof this.video.requestVideoFrameCallback === 'function';
  }

  private await(): void {
    this.request = this.video.requestVideoFrameCallback((_, { mediaTime }) => {
      this.await();
      const { currentTime, seeking } = this.video;
      this.moved(seeking || Math.abs(mediaTime - currentTime) < plausible ? mediaTime : currentTime);
    });
  }

  private clock(): void {
    if (this.video.readyState < this.video.HAVE_CURRENT_DATA) return;
    if (!this.tells || this.video.videoWidth === 0 || document.hidden) this.moved(this.video.currentTime);
  }

  private poll(): void {
    cancelAnimationFrame(this.request);
    const step = () => {
      if (this.video.paused) return;
      this.moved(this.video.currentTime);
      this.request = requestAnimationFrame(step);
    };
    this.request = requestAnimationFrame(step);
  }
}
