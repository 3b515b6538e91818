import { Backoff } from './backoff';

/** What is found at a stream's address: nothing, a show, one that is over, or no answer. */
export type Presence = 'absent' | 'live' | 'ended' | 'unreachable';

const firstWait = 2000;
const longestWait = 5000;
/** How long one answer may take; ms. */
const patience = 8000;

/** The address of the first media playlist that the multivariant playlist at base offers; null when it offers none. */
export function firstMediaPlaylist(text: string, base: string): string | null {
  let variant = false;
  for (const raw of text.split('\n')) {
    const line = raw.trim();
    if (line.startsWith('#EXT-X-STREAM-INF')) variant = true;
    else if (variant && line !== '' && !line.startsWith('#')) return new URL(line, base).href;
  }
  return null;
}

/** Whether a playlist says that no more media will be added (rfc8216bis 4.4.3.4). */
export function isClosed(text: string): boolean {
  return text.split('\n').some((line) => line.trim() === '#EXT-X-ENDLIST');
}

/** Looks once what is at url, the absolute address of a multivariant playlist. */
export async function probe(url: string, signal: AbortSignal): Promise<Presence> {
  try {
    const main = await text(url, signal);
    if (main === null) return 'absent';
    const media = firstMediaPlaylist(main, url);
    if (media === null) return 'absent';
    const playlist = await text(media, signal);
    if (playlist === null) return 'absent';
    return isClosed(playlist) ? 'ended' : 'live';
  } catch {
    return 'unreachable';
  }
}

/**
 * Whether the presentation at url, the absolute address of a multivariant playlist, has a whole segment yet; also true when
 * that cannot be said, and the player is to find out what is wrong.
 */
export async function hasSegment(url: string, signal: AbortSignal): Promise<boolean> {
  try {
    const media = firstMediaPlaylist((await text(url, signal)) ?? '', url);
    const playlist = media === null ? null : await text(media, signal);
    return playlist === null || playlist.includes('#EXTINF:');
  } catch {
    return true;
  }
}

/** Fetches a playlist; null when the server has none to give. */
async function text(url: string, signal: AbortSignal): Promise<string | null> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), patience);
  const stop = () => limit.abort();
  signal.addEventListener('abort', stop);
  try {
    const response = await fetch(url, { cache: 'no-store', signal: limit.signal });
    return response.ok ? await response.text() : null;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** Watch looks again and again until there is a live show, and tells each finding. */
export class Watch {
  private readonly stopped = new AbortController();
  private readonly backoff = new Backoff(firstWait, longestWait);
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly url: string,
    private readonly found: (presence: Presence) => void,
  ) {}

  /** Begins, with a wait ahead of the first look. */
  start(): void {
    this.timer = setTimeout(() => void this.look(), this.backoff.delay());
  }

  /** Ends it; nothing is told any more. */
  stop(): void {
    this.stopped.abort();
    clearTimeout(this.timer);
  }

  private async look(): Promise<void> {
    const presence = await probe(this.url, this.stopped.signal);
    if (this.stopped.signal.aborted) return;
    if (presence !== 'live') this.start();
    this.found(presence);
  }
}
