import { fromBase64url, object, toBase64url, type Token } from './state';
import { read, waitBeforeRetry } from './net';

/** A key set is fetched again when it is older than this; ms. */
const freshFor = 600_000;
/** Unknown keys make it be fetched again no more often than this; ms. */
const askAgainAfter = 10_000;
const largest = 65536; // characters
const mostKeys = 64;

/** What came of a check. unsupported: the browser has no Ed25519. */
export type Verdict = 'good' | 'signature' | 'unknown-key' | 'unsupported';

/** Keys are the public keys of a node (RFC 7517), fetched when they are needed. */
export class Keys {
  private keys: ReadonlyMap<string, CryptoKey> | null = null;
  private fetchedAt = -Infinity;
  private askedAt = -Infinity;
  private asking: Promise<void> | null = null;
  private readonly stopped = new AbortController();

  /** address gives the key set's; null while it is not known. now is a clock in ms that never goes back. */
  constructor(
    private readonly address: () => string | null,
    private readonly fetch: typeof globalThis.fetch,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Ends all requests; checks that wait for them are never answered. */
  stop(): void {
    this.stopped.abort();
  }

  /** Checks a token's signature. It waits, and tries again, as long as there are no keys at all. */
  async check(token: Token): Promise<Verdict> {
    if (!(await supported())) return 'unsupported';
    const key = await this.find(token.kid);
    if (!key) return 'unknown-key';
    return (await crypto.subtle.verify('Ed25519', key, token.signature, token.signed)) ? 'good' : 'signature';
  }

  private async find(kid: string): Promise<CryptoKey | null> {
    for (let tries = 0; !this.keys; tries++) {
      if (tries > 0) await waitBeforeRetry(tries, this.stopped.signal);
      await this.ask();
    }
    const known = this.keys.get(kid);
    const now = this.now();
    const mayAsk = now - this.askedAt >= askAgainAfter;
    if (known) {
      // Kept in use while the set is looked at again: a host that does not answer takes no card off the screen.
      if (mayAsk && now - this.fetchedAt >= freshFor) void this.ask();
      return known;
    }
    if (this.asking || mayAsk) await this.ask();
    return this.keys.get(kid) ?? null;
  }

  /** Fetches the set; who asks meanwhile shares the answer. A failure leaves the keys as they were. */
  private ask(): Promise<void> {
    this.asking ??= this.load().finally(() => (this.asking = null));
    return this.asking;
  }

  private async load(): Promise<void> {
    this.askedAt = this.now();
    const address = this.address();
    if (address === null) return;
    try {
      const cache = this.keys ? 'no-cache' : 'default';
      const keys = await keySet(await read(this.fetch, address, cache, largest, this.stopped.signal));
      if (!keys) return;
      this.keys = keys;
      this.fetchedAt = this.askedAt;
    } catch {
      // The next check tries again.
    }
  }
}

/** Reads a JWK set: keys that check Ed25519 signatures and are called by their thumbprint. Null when it is no set. */
async function keySet(json: string): Promise<Map<string, CryptoKey> | null> {
  const list = object(JSON.parse(json))?.['keys'];
  if (!Array.isArray(list)) return null;
  const keys = new Map<string, CryptoKey>();
  for (const item of list.slice(0, mostKeys)) {
    const { kty, crv, x, kid } = object(item) ?? {};
    if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string' || typeof kid !== 'string') continue;
    const raw = fromBase64url(x);
    if (raw?.length !== 32 || kid !== (await thumbprint(x))) continue;
    keys.set(kid, await crypto.subtle.importKey('raw', raw, 'Ed25519', false, ['verify']));
  }
  return keys;
}

/** RFC 7638, RFC 8037 2. */
async function thumbprint(x: string): Promise<string> {
  const members = new TextEncoder().encode(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`);
  return toBase64url(new Uint8Array(await crypto.subtle.digest('SHA-256', members)));
}

let support: Promise<boolean> | undefined;

/** Whether this browser has Ed25519. WebCrypto is there for pages of https and localhost only. */
export function supported(): Promise<boolean> {
  support ??= (async () => {
    try {
      // The base point: any point will do.
      const point = Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 0x58 : 0x66));
      await crypto.subtle.importKey('raw', point, 'Ed25519', false, ['verify']);
      return true;
    } catch {
      return false;
    }
  })();
  return support;
}
