import { Backoff } from '../backoff';
import { failure } from './api';
import { EventParser } from './sse';
import type { View } from './types';

/** The state of the connection to the node. */
export type Link =
  | 'connecting' // for the first time
  | 'open'
  | 'lost' // and tried again
  | 'refused'; // the token is not taken

/** The node says something at least every 15 s; after this long without a word the connection is dead; ms. */
const silence = 35_000;
/** How long the node may take to answer at all; ms. */
const patience = 10_000;

/** What a feed tells. */
export interface FeedEvents {
  view(view: View): void;
  /** detail is the node's sentence where it refused. */
  link(link: Link, detail: string): void;
}

/**
 * Feed keeps the newest view of a stream's cards by server-sent events, which are read with fetch, because EventSource
 * cannot send the token. It reconnects by itself, with waits that grow.
 */
export class Feed {
  private readonly backoff = new Backoff(500, 10_000);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private current: AbortController | null = null;
  private stopped = false;
  private told: Link = 'connecting';

  constructor(
    private readonly url: string,
    private readonly headers: Record<string, string>,
    private readonly events: FeedEvents,
  ) {}

  /** Connects, at once; a connection that is there is given up. */
  connect(): void {
    clearTimeout(this.timer);
    this.current?.abort();
    this.stopped = false;
    const attempt = new AbortController();
    this.current = attempt;
    void this.run(attempt);
  }

  /** Ends it. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    this.current?.abort();
  }

  /** One connection, from its beginning to its end. */
  private async run(attempt: AbortController): Promise<void> {
    let timer = setTimeout(() => attempt.abort(), patience);
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => attempt.abort(), silence);
    };
    try {
      const headers = { ...this.headers, Accept: 'text/event-stream' };
      const response = await fetch(this.url, { headers, cache: 'no-store', signal: attempt.signal });
      heard();
      if (response.status === 401 || response.status === 403) {
        this.stop();
        this.tell('refused', failure(response.status, await response.text()).detail);
        return;
      }
      if (!response.ok || !response.body) throw failure(response.status, await response.text());
      await this.listen(response.body.getReader(), attempt.signal, heard);
      throw failure(0, '');
    } catch (error) {
      // Another connection may have taken this one's place.
      if (this.current === attempt && !this.stopped) this.lost(error);
    } finally {
      clearTimeout(timer);
    }
  }

  private async listen(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    signal: AbortSignal,
    heard: () => void,
  ): Promise<void> {
    const parser = new EventParser();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      heard();
      for (const event of parser.push(decoder.decode(value, { stream: true }))) {
        if (event.type !== 'view') continue;
        const view = JSON.parse(event.data) as View;
        this.backoff.reset();
        this.events.view(view);
        this.tell('open', '');
      }
    }
  }

  private lost(error: unknown): void {
    this.timer = setTimeout(() => this.connect(), this.backoff.delay());
    this.tell('lost', error instanceof Error && 'detail' in error ? String(error.detail) : '');
  }

  private tell(link: Link, detail: string): void {
    if (link === this.told && link !== 'lost') return;
    this.told = link;
    this.events.link(link, detail);
  }
}
