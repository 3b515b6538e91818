import { read, waitBeforeRetry } from './net';
import { object } from './state';

/** How many documents are kept; those that were wanted last. */
const mostKept = 600;
/** How many requests go out at once. Others wait their turn. */
const mostAtOnce = 6;
const largest = 32768; // characters

/** A card document as the node gives it; its fields are not checked. */
export type Document = Readonly<Record<string, unknown>>;

interface Entry {
  document: Document | null;
  loading: boolean;
}

/** Documents fetches card documents, each revision once: they never change. */
export class Documents {
  /** In the order in which they were wanted. */
  private readonly entries = new Map<string, Entry>();
  private readonly waiting: (() => void)[] = [];
  private requests = 0;
  private readonly stopped = new AbortController();

  /**
   * base gives the address below which documents are; null while it is not known. epoch is that of the newest state, 0
   * while there is none: with it in the address, caches may keep a document for ever. wanted tells whether one that could not be
   * had is still worth another try. came is called when one is there.
   */
  constructor(
    private readonly base: () => string | null,
    private readonly epoch: () => number,
    private readonly fetch: typeof globalThis.fetch,
    private readonly wanted: (card: string, rev: number) => boolean,
    private readonly came: (card: string, rev: number) => void,
  ) {}

  /** Ends all requests. */
  stop(): void {
    this.stopped.abort();
  }

  /** The document of a revision; null while it is not there, in which case it is fetched. */
  get(card: string, rev: number): Document | null {
    const key = `${card}/${rev}`;
    const entry = this.entries.get(key) ?? { document: null, loading: false };
    this.entries.delete(key);
    this.entries.set(key, entry);
    if (!entry.document && !entry.loading) void this.load(card, rev, entry);
    if (this.entries.size > mostKept) this.forget();
    return entry.document;
  }

  private forget(): void {
    for (const [key, entry] of this.entries) {
      if (this.entries.size <= mostKept) return;
      if (!entry.loading) this.entries.delete(key);
    }
  }

  /** Fetches a document, again and again as long as it is wanted. */
  private async load(card: string, rev: number, entry: Entry): Promise<void> {
    entry.loading = true;
    for (let tries = 1; !entry.document; tries++) {
      await this.turn();
      try {
        // What could not be had may have been answered by a cache: ask behind it.
        if (this.wanted(card, rev)) entry.document = await this.request(card, rev, tries > 1 ? 'no-cache' : 'default');
      } catch {
        // Tried again below.
      } finally {
        this.done();
      }
      if (this.stopped.signal.aborted) return;
      if (!entry.document && this.wanted(card, rev)) await waitBeforeRetry(tries, this.stopped.signal);
      if (!entry.document && !this.wanted(card, rev)) break;
    }
    entry.loading = false;
    if (entry.document) this.came(card, rev);
  }

  /** Waits until there is room for one more request, and takes it. */
  private async turn(): Promise<void> {
    if (this.requests === mostAtOnce) await new Promise<void>((resolve) => this.waiting.push(resolve));
    else this.requests++;
  }

  /** Gives the room to who waits longest. */
  private done(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.requests--;
  }

  private async request(card: string, rev: number, cache: RequestCache): Promise<Document> {
    const base = this.base();
    if (base === null) throw new Error('the address of the documents is not known');
    const epoch = this.epoch();
    const address = new URL(`${card}/${rev}.json${epoch > 0 ? `?e=${epoch}` : ''}`, base).href;
    const document = object(JSON.parse(await read(this.fetch, address, cache, largest, this.stopped.signal)));
    if (document?.['id'] !== card) throw new Error(`${address}: not the document of ${card}`);
    if ('rev' in document && document['rev'] !== rev) throw new Error(`${address}: not revision ${rev}`);
    return document;
  }
}
