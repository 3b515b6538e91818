import { Failure, failure } from '../problem';
import type { ServerClock } from './clock';

export { Failure, failure };

/** How long the node may take to answer; ms. */
const patience = 10_000;
/** The wait before a command is sent a second time; ms. */
const retryAfter = 400;

/** An idempotency key: 32 random characters. */
export function idempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}

/** What goes with a command beside its address. */
export interface Terms {
  readonly body?: unknown;
  readonly type?: string;
  /** The revision that the card must have; null: there must be none yet. */
  readonly rev?: number | null;
}

/** Api speaks to the node for one stream. Paths begin behind the stream's name. */
export class Api {
  /** Called when the node does not take the token any more. */
  onrefused: () => void = () => {};
  /** Why nothing can be changed; '' while the token is good for that. */
  readOnly = '';

  constructor(
    readonly stream: string,
    private readonly token: string,
    private readonly clock: ServerClock,
  ) {}

  /** The address of something of the stream's. */
  url(path: string): string {
    return `/api/v1/streams/${encodeURIComponent(this.stream)}${path}`;
  }

  /** What a request of the operator's has in its head. */
  get authorization(): Record<string, string> {
    return { Authorization: `Bearer ${this.token}` };
  }

  /** Reads something. */
  async read<T>(path: string, signal?: AbortSignal): Promise<T> {
    return (await this.send('GET', path, {}, signal)) as T;
  }

  /**
   * Changes something. When no answer comes, it is asked a second time with the same key: if the first had arrived, the
   * second changes nothing and gets its answer.
   */
  async change<T>(method: string, path: string, terms: Terms = {}): Promise<T> {
    if (this.readOnly !== '') throw new Failure(403, this.readOnly);
    const headers: Record<string, string> = { 'Idempotency-Key': idempotencyKey() };
    if (terms.rev === null) headers['If-None-Match'] = '*';
    else if (terms.rev !== undefined) headers['If-Match'] = `"${terms.rev}"`;
    const init: RequestInit = { headers };
    if (terms.body !== undefined) {
      headers['Content-Type'] = terms.type ?? 'application/json';
      init.body = JSON.stringify(terms.body);
    }
    try {
      return (await this.send(method, path, init)) as T;
    } catch (error) {
      if (!(error instanceof Failure) || ![0, 502, 504].includes(error.status)) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryAfter));
      return (await this.send(method, path, init)) as T;
    }
  }

  private async send(method: string, path: string, init: RequestInit, signal?: AbortSignal): Promise<unknown> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), patience);
    const stop = () => limit.abort();
    signal?.addEventListener('abort', stop);
    const asked = Date.now();
    try {
      const headers = { ...init.headers, ...this.authorization };
      const response = await fetch(this.url(path), { ...init, method, headers, cache: 'no-store', signal: limit.signal });
      this.clock.heard(response.headers.get('Date'), asked, Date.now());
      const body = await response.text();
      if (response.ok) return body === '' ? null : JSON.parse(body);
      if (response.status === 401) this.onrefused();
      throw failure(response.status, body);
    } catch (error) {
      throw error instanceof Failure ? error : new Failure(0, '');
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }
}
