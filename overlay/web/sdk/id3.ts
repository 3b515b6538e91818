// ID3v2.4 tags with a signed state: one TXXX frame among whatever else a tagger put there.
//
//	"ID3" version(2) = 4, 0  flags(1)  size(4) of what follows
//	frame: identifier(4)  size(4)  flags(2)
//	TXXX: encoding(1) = 3, UTF-8  description \0  value
//
// Sizes have seven bits a byte (ID3v2.4 structure, 6.2).
import { maxToken } from './state';

/** Names our frame among the user-defined text frames of a tag. */
export const description = 'live.pushcart.cards';

const maxTag = 65536;
const maxFrames = 64;
const header = 10;

/** Finds the token in a tag; null when there is none, or the tag is not one that a node writes. */
export function tokenOf(tag: Uint8Array): string | null {
  if (tag.length < header || tag.length > maxTag || latin(tag, 0, 3) !== 'ID3') return null;
  if (tag[3] !== 4 || tag[4] !== 0 || tag[5] !== 0 || syncsafe(tag, 6) !== tag.length - header) return null;
  let token: string | null = null;
  let at = header;
  for (let n = 0; at < tag.length && tag[at] !== 0; n++) {
    const size = at + header <= tag.length ? syncsafe(tag, at + 4) : 0;
    const end = at + header + size;
    if (size < 1 || end > tag.length || n === maxFrames) return null;
    const value = latin(tag, at, at + 4) === 'TXXX' ? ours(tag.subarray(at + header, end)) : null;
    if (value !== null) {
      const flags = (tag[at + 8] ?? 0) | (tag[at + 9] ?? 0);
      if (token !== null || flags !== 0 || !isToken(value)) return null;
      token = value;
    }
    at = end;
  }
  return token;
}

/** Whether a text has nothing but what tokens are made of. */
export function isToken(value: string): boolean {
  return value.length > 0 && value.length <= maxToken && /^[A-Za-z0-9_.-]+$/.test(value);
}

/** The value of a text frame with our description, '' when it is in another encoding; null for other frames. */
function ours(body: Uint8Array): string | null {
  const start = 1 + description.length;
  if (body[start] !== 0 || latin(body, 1, start) !== description) return null;
  return body[0] === 3 && body.length - start - 1 <= maxToken ? latin(body, start + 1, body.length) : '';
}

function latin(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, Math.min(to, from + 2 * maxToken)));
}

/** Reads four bytes; -1 when one of the high bits is set. */
function syncsafe(bytes: Uint8Array, at: number): number {
  let size = 0;
  for (const byte of bytes.subarray(at, at + 4)) {
    if (byte > 0x7f) return -1;
    size = size * 128 + byte;
  }
  return size;
}
