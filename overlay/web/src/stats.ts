/** The states of the page. */
export type State =
  | 'connecting' // to a stream that may be there
  | 'waiting' // no stream yet
  | 'playing'
  | 'buffering' // the network is slow
  | 'reconnecting' // the server gives no answer
  | 'away' // the publisher is gone and may come back
  | 'ended' // the show is over; the next one is awaited
  | 'paused' // by the viewer
  | 'blocked' // by the browser, until the viewer touches something
  | 'refused' // the page's address is not good for the stream, or not any more
  | 'unsupported';

/** Counters of a page's life. */
export interface Counters {
  /** Times that playback stood still although the host was sending. */
  stalls: number;
  /** Times that playback stood still because the host was gone. */
  absences: number;
  /** Sources opened, the first one included. */
  opened: number;
  networkErrors: number;
  mediaErrors: number;
  otherErrors: number;
  fatalErrors: number;
}

/** What programs may read of the page, as window.pushcart. Times in seconds; null when not known. */
export interface Stats extends Readonly<Counters> {
  readonly state: State;
  /** Every state so far with the time it began, in ms since the page was opened. */
  readonly history: readonly { readonly state: State; readonly at: number }[];
  /** Age of the picture on the screen. */
  readonly latency: number | null;
  /** Distance to the edge of what is published, and the one that is aimed at. */
  readonly behindEdge: number | null;
  readonly target: number | null;
  readonly playbackRate: number;
  readonly currentTime: number;
  readonly buffered: number;
  readonly muted: boolean;
  readonly width: number;
  readonly height: number;
  readonly totalFrames: number;
  readonly droppedFrames: number;
  readonly lastError: string;
}

declare global {
  interface Window {
    readonly pushcart?: Stats;
  }
}

/** Puts the statistics where programs find them; they cannot be replaced. */
export function publish(stats: Stats): void {
  Object.defineProperty(window, 'pushcart', { value: stats, writable: false, configurable: false });
}
