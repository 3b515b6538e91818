// What a node puts into the media, made independently of it: signed states, ID3 tags, event message boxes.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';

const base64url = (data) => Buffer.from(data).toString('base64url');

/** A key that signs states. */
export class Signer {
  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    this.privateKey = privateKey;
    const { x } = publicKey.export({ format: 'jwk' });
    this.kid = createHash('sha256').update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`).digest('base64url');
    this.jwk = { kty: 'OKP', crv: 'Ed25519', x, kid: this.kid, alg: 'EdDSA', use: 'sig' };
  }

  /** The signed token of a state; slots: { main: { card, rev, since } }. */
  token({ stream = 'show', epoch = 1, seq, slots = {} }) {
    const sorted = Object.fromEntries(Object.entries(slots).sort(([a], [b]) => (a < b ? -1 : 1)));
    return this.signText(JSON.stringify({ v: 1, stream, epoch, seq, slots: sorted }));
  }

  /** Signs a payload as it is. */
  signText(payload, header = `{"alg":"EdDSA","kid":"${this.kid}","typ":"pushcart-state+jwt"}`) {
    const signed = `${base64url(header)}.${base64url(payload)}`;
    return `${signed}.${base64url(sign(null, Buffer.from(signed), this.privateKey))}`;
  }
}

const syncsafe = (n) => Buffer.from([n >> 21, n >> 14, n >> 7, n].map((byte) => byte & 0x7f));

/** An ID3v2.4 tag with one TXXX frame. */
export function id3(token, description = 'live.pushcart.cards') {
  const body = Buffer.concat([Buffer.from([3]), Buffer.from(`${description}\0${token}`)]);
  const frame = Buffer.concat([Buffer.from('TXXX'), syncsafe(body.length), Buffer.from([0, 0]), body]);
  return Buffer.concat([Buffer.from([0x49, 0x44, 0x33, 4, 0, 0]), syncsafe(frame.length), frame]);
}

/** An event message box of version 1 (ISO/IEC 23009-1 5.10.3.3). */
export function emsg({ timescale, time, id, message }) {
  const fixed = Buffer.alloc(32);
  fixed.write('emsg', 4);
  fixed[8] = 1;
  fixed.writeUInt32BE(timescale, 12);
  fixed.writeBigUInt64BE(BigInt(time), 16);
  fixed.writeUInt32BE(0xffffffff, 24);
  fixed.writeUInt32BE(id, 28);
  const box = Buffer.concat([fixed, Buffer.from('https://aomedia.org/emsg/ID3\0live.pushcart.cards\0'), message]);
  box.writeUInt32BE(box.length, 0);
  return box;
}
