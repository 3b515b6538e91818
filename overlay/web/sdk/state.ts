// The signed state of the slots: a JWS in compact serialization (RFC 7515 7.1) with Ed25519 (RFC 8037). There is one right
// encoding of each state; what differs from it in a single character is refused, as the node does.

/** What one slot shows. */
export interface SlotState {
  readonly card: string;
  readonly rev: number;
  /** ms since 1970; null when it is not known. */
  readonly since: number | null;
}

/** What all slots show from a moment on; by name, those that show something. */
export type Slots = ReadonlyMap<string, SlotState>;

/** A token taken apart. Nothing of it is verified. */
export interface Token {
  readonly kid: string;
  readonly stream: string;
  readonly epoch: number;
  readonly seq: number;
  readonly slots: Slots;
  readonly signed: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** How many characters a token may have. */
export const maxToken = 1024;

const streamForm = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
export const slotForm = /^[a-z][a-z0-9-]{0,15}$/;
export const cardForm = /^[a-z0-9][a-z0-9_-]{0,39}$/;
const kidForm = /^[A-Za-z0-9_-]{43}$/;

/** Bytes of base64url without padding (RFC 4648 5); null when it is not in its one right form. */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const bytes = Uint8Array.from(binary, (c) => c.charCodeAt(0));
  return toBase64url(bytes) === text ? bytes : null;
}

/** base64url without padding. */
export function toBase64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}

/** Takes a token apart; null when it is not what a node writes. */
export function parseToken(token: string): Token | null {
  if (token.length > maxToken) return null;
  const parts = token.split('.');
  const [header, payload, signature] = parts.map(fromBase64url);
  if (parts.length !== 3 || !header || !payload || signature?.length !== 64) return null;
  const kid = keyOf(text(header));
  const state = parseState(text(payload));
  if (kid === null || state === null) return null;
  const signed = new TextEncoder().encode(token.slice(0, token.lastIndexOf('.')));
  return { kid, ...state, signed, signature };
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function keyOf(header: string): string | null {
  const kid = fields(header)?.['kid'];
  if (typeof kid !== 'string' || !kidForm.test(kid)) return null;
  return header === `{"alg":"EdDSA","kid":"${kid}","typ":"pushcart-state+jwt"}` ? kid : null;
}

function parseState(payload: string): Pick<Token, 'stream' | 'epoch' | 'seq' | 'slots'> | null {
  const doc = fields(payload);
  if (!doc) return null;
  const { stream, epoch, seq } = doc;
  const list = object(doc['slots']);
  if (typeof stream !== 'string' || !streamForm.test(stream) || !count(epoch, 1) || !count(seq, 0) || !list) return null;
  const slots = new Map<string, SlotState>();
  for (const [name, value] of Object.entries(list)) {
    const { card, rev, since } = object(value) ?? {};
    if (!slotForm.test(name) || typeof card !== 'string' || !cardForm.test(card) || !count(rev, 1) || !count(since, 0)) {
      return null;
    }
    slots.set(name, { card, rev, since });
  }
  return payload === canonical(stream, epoch, seq, slots) ? { stream, epoch, seq, slots } : null;
}

function canonical(stream: string, epoch: number, seq: number, slots: Slots): string {
  const list = [...slots]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { card, rev, since }]) => `"${name}":{"card":"${card}","rev":${rev},"since":${since}}`);
  return `{"v":1,"stream":"${stream}","epoch":${epoch},"seq":${seq},"slots":{${list.join(',')}}}`;
}

/** Reads a JSON object; null when it is none. */
function fields(json: string): Record<string, unknown> | null {
  try {
    return object(JSON.parse(json));
  } catch {
    return null;
  }
}

export function object(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}

function count(value: unknown, least: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least;
}
