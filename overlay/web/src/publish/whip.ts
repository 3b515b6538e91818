import { Failure, failure } from '../problem';

/** How long the node may take to answer; ms. */
const patience = 10_000;
/** No pause that the node asks for is kept for longer; ms. */
const longestPause = 60_000;

/** The servers that Link headers name for finding ways to the node (RFC 9725, section 4.6). */
export function iceServers(link: string | null): RTCIceServer[] {
  const servers: RTCIceServer[] = [];
  for (const [, uri = '', rest = ''] of (link ?? '').matchAll(/<([^>]*)>((?:\s*;\s*[\w-]+\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s;,"]*))*)/g)) {
    const parameters = new Map<string, string>();
    for (const [, name = '', quoted, plain = ''] of rest.matchAll(/;\s*([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))/g)) {
      parameters.set(name.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain);
    }
    if (parameters.get('rel') !== 'ice-server' || !/^(stuns?|turns?):/.test(uri)) continue;
    const [username, credential] = [parameters.get('username'), parameters.get('credential')];
    servers.push({ urls: uri, ...(username !== undefined && credential !== undefined ? { username, credential } : {}) });
  }
  return servers;
}

/** Reads Retry-After (RFC 9110, 10.2.3) where it is in seconds; ms. */
function pauseOf(response: Response): number {
  const seconds = Number(response.headers.get('Retry-After') ?? '0');
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(longestPause, seconds * 1000) : 0;
}

/** Resource is a session on the node (RFC 9725, section 4.2), for as long as it lasts. */
export class Resource {
  constructor(
    private readonly whip: Whip,
    private readonly address: string,
    private etag: string,
    /** The node's answer to the offer. */
    readonly answer: string,
    readonly servers: RTCIceServer[],
  ) {}

  /** Tells the node of candidates. Nodes that want none say so, and that is no failure. */
  async trickle(body: string): Promise<void> {
    const headers = { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': this.etag || '*' };
    await this.whip.request(this.address, { method: 'PATCH', headers, body });
  }

  /** Restarts ICE with a fragment of ours, and returns the node's. */
  async restart(body: string): Promise<string> {
    const headers = { 'Content-Type': 'application/trickle-ice-sdpfrag', 'If-Match': '*' };
    const response = await this.whip.request(this.address, { method: 'PATCH', headers, body });
    if (response.status !== 200) throw new Failure(response.status, '');
    this.etag = response.headers.get('ETag') ?? this.etag;
    return response.text();
  }

  /** Ends the session; also when the page itself is about to go. */
  end(): void {
    this.whip.request(this.address, { method: 'DELETE', keepalive: true }).catch(() => {
      // The node notices the end by itself.
    });
  }
}

/** Whip offers media to a node (RFC 9725). */
export class Whip {
  constructor(
    private readonly endpoint: string,
    /** The stream key; '' for a node that asks for none. */
    private readonly key: string,
    private readonly send: typeof fetch = (...args) => fetch(...args),
  ) {}

  /** Offers; a Failure when the node does not take it. */
  async offer(sdp: string, signal: AbortSignal): Promise<Resource> {
    const headers = { 'Content-Type': 'application/sdp' };
    const response = await this.request(this.endpoint, { method: 'POST', headers, body: sdp, signal });
    const location = response.headers.get('Location');
    const answer = await response.text();
    if (response.status !== 201 || location === null) throw new Failure(response.status, '');
    const address = new URL(location, response.url || this.endpoint).href;
    const servers = iceServers(response.headers.get('Link'));
    return new Resource(this, address, response.headers.get('ETag') ?? '', answer, servers);
  }

  /** Sends one request with the key; what is no success is a Failure. */
  async request(address: string, init: RequestInit): Promise<Response> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), patience);
    const stop = () => limit.abort();
    init.signal?.addEventListener('abort', stop);
    try {
      const headers = { ...(init.headers as Record<string, string>), ...this.authorization };
      const response = await this.send(address, { ...init, headers, cache: 'no-store', signal: limit.signal });
      if (response.ok) return response;
      throw failure(response.status, await response.text(), pauseOf(response));
    } catch (error) {
      throw error instanceof Failure ? error : new Failure(0, '');
    } finally {
      clearTimeout(timer);
      init.signal?.removeEventListener('abort', stop);
    }
  }

  private get authorization(): Record<string, string> {
    return this.key === '' ? {} : { Authorization: `Bearer ${this.key}` };
  }
}
