import { Backoff } from './backoff';

/** Refused is an answer that says that the address is not good for the stream; reason is the node's word for why, '' when it has none. */
export class Refused {
  constructor(readonly reason: string) {}
}

/** What is found at a stream's address: nothing, a show, one that is over, no answer, or that it is not for this viewer. */
export type Presence = 'absent' | 'live' | 'ended' | 'unreachable' | Refused;

/** Whether an HTTP status says that an address is not good for what was asked for. */
export function isRefusal(status: number): boolean {
  return status === 401 || status === 403;
}

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
  } catch (error) {
    return error instanceof Refused ? error : 'unreachable';
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

/** Fetches a playlist; null when the server has none to give. It throws a Refused when it is not for this viewer. */
async function text(url: string, signal: AbortSignal): Promise<string | null> {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), patience);
  const stop = () => limit.abort();
  signal.addEventListener('abort', stop);
  try {
    const response = await fetch(url, { cache: 'no-store', signal: limit.signal });
    if (isRefusal(response.status)) throw new Refused(reasonIn(await response.text()));
    return response.ok ? await response.text() : null;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/** The reason in a problem document (RFC 9457); '' when it is none. */
export function reasonIn(body: string): string {
  try {
    const problem: unknown = JSON.parse(body);
    if (typeof problem !== 'object' || problem === null || !('reason' in problem)) return '';
    return typeof problem.reason === 'string' ? problem.reason : '';
  } catch {
    return ''; // a proxy's own page
  }
}

/** Watch looks again and again until there is a live show, and tells each finding. */
export class Watch {
  private readonly stopped = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly url: string,
    private readonly found: (presence: Presence) => void,
    private readonly backoff = new Backoff(firstWait, longestWait),
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
