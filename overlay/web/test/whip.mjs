// A node for the tests of the publish page: its pages as they are built, and a WHIP endpoint (RFC 9725) whose media end in
// another page of the same browser, so that what is published can be looked at. Its fields say how it behaves.
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const site = (path) => readFile(fileURLToPath(new URL(`../dist/site/${path}`, import.meta.url)));
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
/** As the node sends them with its page. */
const headers = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
    "media-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; require-trusted-types-for 'script'; trusted-types 'none'",
  'Permissions-Policy': 'camera=(self), geolocation=(), microphone=(self), payment=()',
};

/** What runs in the page where media end. */
function receiver() {
  const sessions = new Map();
  const gathered = (connection) =>
    new Promise((resolve) => {
      const done = () => connection.iceGatheringState === 'complete' && resolve();
      connection.addEventListener('icegatheringstatechange', done);
      done();
    });
  window.receiver = {
    async answer(id, offer) {
      const connection = new RTCPeerConnection();
      const stream = new MediaStream();
      sessions.set(id, { connection, stream });
      connection.ontrack = ({ track }) => stream.addTrack(track);
      // Sound is decoded, and its energy counted, only while it is played.
      const loud = Object.assign(new Audio(), { srcObject: stream });
      connection.addEventListener('track', () => loud.play().catch(() => {}));
      await connection.setRemoteDescription({ type: 'offer', sdp: offer });
      await connection.setLocalDescription();
      await gathered(connection);
      return connection.localDescription.sdp;
    },
    /** Restarts ICE: the offer is the one before with other credentials. */
    async restart(id, ufrag, pwd) {
      const { connection } = sessions.get(id);
      const sdp = connection.remoteDescription.sdp
        .replaceAll(/a=ice-ufrag:.*/g, `a=ice-ufrag:${ufrag}`)
        .replaceAll(/a=ice-pwd:.*/g, `a=ice-pwd:${pwd}`)
        .replaceAll(/a=(candidate:.*|end-of-candidates)\r\n/g, '');
      await connection.setRemoteDescription({ type: 'offer', sdp });
      await connection.setLocalDescription();
      await gathered(connection);
      return connection.localDescription.sdp;
    },
    async candidate(id, candidate, usernameFragment) {
      // A session that was ended meanwhile needs none.
      await sessions.get(id)?.connection.addIceCandidate({ candidate, sdpMLineIndex: 0, usernameFragment });
    },
    /** Ends a session as a node does, with a word to its peer; or, lost, as a cable does that is pulled. */
    close(id) {
      sessions.get(id)?.connection.close();
      sessions.delete(id);
    },
    async look(id) {
      const { connection, stream } = sessions.get(id);
      const video = Object.assign(document.createElement('video'), { muted: true, srcObject: stream });
      // Without pictures it never plays.
      await Promise.race([video.play().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 2000))]);
      const { videoWidth, videoHeight } = video;
      const report = [...(await connection.getStats()).values()];
      const inbound = report.filter(({ type }) => type === 'inbound-rtp');
      const picture = inbound.find(({ kind }) => kind === 'video');
      const sound = inbound.find(({ kind }) => kind === 'audio');
      const codec = report.find(({ id: name }) => name === picture?.codecId)?.mimeType;
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [32, 18];
      const context = canvas.getContext('2d');
      context.drawImage(video, 0, 0, 32, 18);
      const { data } = context.getImageData(0, 0, 32, 18);
      const brightness = data.reduce((sum, value, i) => sum + (i % 4 === 3 ? 0 : value), 0) / (data.length * 0.75);
      video.srcObject = null;
      const { framesDecoded = 0 } = picture ?? {};
      const { totalAudioEnergy: energy = 0, packetsReceived: packets = 0 } = sound ?? {};
      return { videoWidth, videoHeight, codec, framesDecoded, brightness, energy, packets, kinds: inbound.length };
    },
  };
}

const fragmentValue = (text, name) => new RegExp(`^a=${name}:(.*)\\r?$`, 'm').exec(text)?.[1];

/** One such node. */
export class FakeWhip {
  /** Starts one; media end in a page of the browser. */
  static async start(browser) {
    const fake = new FakeWhip();
    fake.server = createServer((request, response) => {
      fake.answer(request, response).catch((error) => {
        if (!fake.over) fake.errors.push(error);
        response.destroy();
      });
    });
    await once(fake.server.listen(0, '127.0.0.1'), 'listening');
    fake.port = fake.server.address().port;
    fake.url = `http://127.0.0.1:${fake.port}`;
    fake.context = await browser.newContext();
    fake.page = await fake.context.newPage();
    await fake.page.goto(`${fake.url}/receiver`);
    await fake.page.evaluate(receiver);
    return fake;
  }

  constructor() {
    this.key = 'secret-key';
    this.errors = [];
    /** Every request to the endpoint and its resources: { method, path, status, type, match, body }. */
    this.requests = [];
    /** Sessions that are on: id to entity tag. */
    this.sessions = new Map();
    this.count = 0;
    /** What is answered instead: (request) => [status, problem, headers] or null. */
    this.refuse = () => null;
    /** Whether ICE restarts are granted. */
    this.restarts = true;
    /** What GET /api/v1/streams/NAME says beside; null: what the sessions say. */
    this.stream = null;
    this.viewers = 7;
    this.advice = [];
    /** Whether the node is there at all. */
    this.up = true;
    this.over = false;
  }

  async stop() {
    this.over = true;
    await this.context.close();
    this.server.closeAllConnections();
    await once(this.server.close(), 'close');
    if (this.errors.length > 0) throw this.errors[0];
  }

  /** The session that was begun last. */
  get last() {
    return `s${this.count}`;
  }

  /** What has arrived in a session. */
  look(id = this.last) {
    return this.page.evaluate((session) => window.receiver.look(session), id);
  }

  /** Ends a session as the node does when another takes over or it is shut down. */
  async kick(id = this.last) {
    this.sessions.delete(id);
    await this.page.evaluate((session) => window.receiver.close(session), id);
  }

  of(method) {
    return this.requests.filter((request) => request.method === method);
  }

  async answer(request, response) {
    const { pathname } = new URL(request.url, this.url);
    if (!this.up) {
      request.socket.destroy();
      return;
    }
    if (pathname === '/receiver') response.writeHead(200, { 'Content-Type': types['.html'] }).end('<!doctype html>');
    else if (pathname.startsWith('/whip/')) await this.whip(request, response, pathname);
    else if (pathname.startsWith('/api/')) this.api(response);
    else {
      const path = pathname.startsWith('/publish/') ? 'publish.html' : pathname.slice(1);
      const body = await site(path).catch(() => null);
      if (body === null) response.writeHead(404).end();
      else response.writeHead(200, { 'Content-Type': types[extname(path)] ?? 'application/octet-stream', ...headers }).end(body);
    }
  }

  api(response) {
    const live = this.stream ?? (this.sessions.size > 0 ? 'live' : null);
    const body = { name: 'show', state: live, viewers: this.viewers, advice: this.advice };
    response.writeHead(live === null ? 404 : 200, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
  }

  async whip(request, response, path) {
    const body = Buffer.concat(await request.toArray()).toString();
    const entry = { method: request.method, path, type: request.headers['content-type'], match: request.headers['if-match'], body };
    this.requests.push(entry);
    const reply = (status, text = '', given = {}) => {
      entry.status = status;
      response.writeHead(status, given).end(text);
    };
    const problem = (status, detail, given = {}) =>
      reply(status, JSON.stringify({ status, detail }), { 'Content-Type': 'application/problem+json', ...given });
    const refused = this.refuse(entry);
    if (refused) return problem(...refused);
    if (request.headers.authorization !== `Bearer ${this.key}`) return problem(401, 'The stream key is wrong.');
    const id = path.split('/')[3];
    if (request.method === 'POST') return this.begin(body, reply);
    if (!this.sessions.has(id)) return problem(404, '');
    if (request.method === 'DELETE') {
      await this.kick(id);
      return reply(200);
    }
    if (request.method === 'PATCH') return this.patch(id, entry, reply, problem);
    return problem(405, '');
  }

  async begin(offer, reply) {
    // The same key takes over.
    for (const id of [...this.sessions.keys()]) await this.kick(id);
    const id = `s${++this.count}`;
    this.sessions.set(id, 1);
    const answer = await this.page.evaluate(([session, sdp]) => window.receiver.answer(session, sdp), [id, offer]);
    reply(201, answer, { 'Content-Type': 'application/sdp', Location: `/whip/show/${id}`, ETag: '"1"' });
  }

  async patch(id, { body, match }, reply, problem) {
    const ufrag = fragmentValue(body, 'ice-ufrag');
    if (match === '*') {
      if (!this.restarts) return problem(422, 'No restart here.');
      const etag = this.sessions.get(id) + 1;
      this.sessions.set(id, etag);
      const pwd = fragmentValue(body, 'ice-pwd');
      const sdp = await this.page.evaluate((given) => window.receiver.restart(...given), [id, ufrag, pwd]);
      const answer = sdp.split('\r\n').filter((line) => /^a=(ice-ufrag|ice-pwd|candidate)/.test(line));
      return reply(200, `${answer.join('\r\n')}\r\n`, { 'Content-Type': 'application/trickle-ice-sdpfrag', ETag: `"${etag}"` });
    }
    if (match !== `"${this.sessions.get(id)}"`) return problem(412, 'Another state of ICE.');
    for (const [, candidate] of body.matchAll(/^a=(candidate:.*?)\r?$/gm)) {
      await this.page.evaluate((given) => window.receiver.candidate(...given), [id, candidate, ufrag]);
    }
    reply(204);
  }
}
