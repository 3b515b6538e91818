import type { Feed } from '../sdk';

/** A sound that can be chosen: a language, or a commentary. */
export interface Sound {
  readonly id: number;
  /** As the publisher names it; '' when it has no name. */
  readonly name: string;
  /** A BCP 47 tag; '' when it is not known. */
  readonly language: string;
}

/** A size of the picture that can be chosen. */
export interface Size {
  readonly id: number;
  /** The picture's shorter side, by which people know qualities; 0 when it is not known. */
  readonly lines: number;
  /** bit/s */
  readonly bitrate: number;
  /** Pictures in a second; 0 when it is not known. */
  readonly frames: number;
  /** What the pictures are coded in, as people call it; '' when it is not known. */
  readonly codec: string;
  /** It is what the host sends; the others are made of that. */
  readonly original: boolean;
}

/** What a source tells its player. */
export interface SourceEvents {
  /** There is no stream at the address. */
  absent(): void;
  /** The first playlists are read: media can be played. */
  ready(): void;
  /** A playlist came that has media the one before had not. */
  advanced(): void;
  /** What can be chosen, or is chosen, has changed. */
  choices(): void;
  /** The show is over. unseen tells that it was so when it was first looked at. */
  closed(unseen: boolean): void;
  /** The address is not good for the stream, or not any more. */
  refused(): void;
  /** Whether requests get any answer at all. */
  reachable(yes: boolean): void;
  /** The source cannot go on; another has to be opened in its place. */
  broken(): void;
  /** Something went wrong, for the statistics. */
  error(kind: 'network' | 'media' | 'other', detail: string, fatal: boolean): void;
}

/** Where playback is in a live stream; times in seconds, null when not known. */
export interface Timing {
  /** From the edge of what the server has published, as it moves on, to the playhead. */
  behindEdge: number | null;
  /** How far behind the edge the stream asks players to stay: PART-HOLD-BACK, else HOLD-BACK. */
  holdBack: number | null;
  /** The capture time of the picture that is shown, in ms since 1970. */
  shownAt: number | null;
  /** How often the playlist grows: the part target, else the target duration. */
  step: number;
}

/** A Source brings a stream's media into a video element. */
export interface Source {
  /** What the media say of product cards. */
  readonly cards: Feed;
  /** Begins. */
  open(): void;
  /** Lets the element go; the source is of no use any more. */
  close(): void;
  timing(): Timing;
  /** The sounds that the stream has, and the one that is played: its id, -1 when that is not known. */
  readonly sounds: readonly Sound[];
  sound: number;
  /** The sizes that the stream has, the largest first; empty where the browser chooses. size is null for automatic. */
  readonly sizes: readonly Size[];
  size: number | null;
  /** Where in the element's time to play to be live; null when not known. */
  livePosition(): number | null;
}
