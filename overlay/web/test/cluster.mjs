// Several nodes that know each other, and a proxy before them that goes from one to another as a CDN would.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, Node } from './node.mjs';

/** Starts nodes of the given names, each in a region of its name; the first keeps the directory. They know each other. */
export async function startCluster(names, settings = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'pushcart-cluster-'));
  const [core, leaf, ...relays] = await freePorts(2 + names.length);
  const nodes = await Promise.all(
    names.map((name, i) =>
      Node.start({
        PUSHCART_NODE_NAME: `${name}-1`,
        PUSHCART_CLUSTER_REGION: name,
        PUSHCART_CLUSTER_ADDRESS: `127.0.0.1:${relays[i]}`,
        PUSHCART_CLUSTER_ADVERTISE: `127.0.0.1:${relays[i]}`,
        PUSHCART_CLUSTER_DIRECTORY: folder,
        PUSHCART_CLUSTER_DEVELOPMENT: 'true',
        ...(i === 0
          ? {
              PUSHCART_CLUSTER_CORE: `127.0.0.1:${core}`,
              PUSHCART_CLUSTER_LISTEN_NATS: `127.0.0.1:${core}`,
              PUSHCART_CLUSTER_LISTEN_LEAF: `127.0.0.1:${leaf}`,
            }
          : { PUSHCART_CLUSTER_LEAF_OF: `127.0.0.1:${leaf}` }),
        ...settings,
      }),
    ),
  );
  await Promise.all(nodes.map((node) => knows(node, names.length - 1)));
  return {
    nodes,
    async stop() {
      await Promise.all(nodes.map((node) => node.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Waits until a node has a directory that takes claims, and knows so many others. */
async function knows(node, others) {
  for (let tries = 0; tries < 300; tries++) {
    const text = await metrics(node);
    if (/^pushcart_directory_healthy 1$/m.test(text) && new RegExp(`^pushcart_directory_peers ${others}$`, 'm').test(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${node.settings.PUSHCART_NODE_NAME} does not know the others:\n${node.child.output}`);
}

/** A node's metrics as text; "" when it does not answer. */
async function metrics(node) {
  const answer = await fetch(`${node.admin}/metrics`).catch(() => null);
  return answer?.ok ? answer.text() : '';
}

/**
 * A proxy that has one node as its upstream at a time. When it goes to another, what is under way goes along: a request that has
 * no answer yet is made anew, and of media that is half here the rest is fetched from the other node. So is what a node that
 * dies leaves behind. Nothing is kept, and nothing is asked of two nodes.
 */
export class Proxy {
  static async start(upstream) {
    const proxy = new Proxy();
    proxy.upstream = upstream;
    proxy.agent = new Agent({ keepAlive: true });
    proxy.under = new Set();
    // Requests that switches found without an answer, and with half of one.
    proxy.moved = { waiting: 0, half: 0 };
    proxy.failed = [];
    proxy.server = createServer((from, to) => new Passage(proxy, from, to).go());
    await once(proxy.server.listen(0, '127.0.0.1'), 'listening');
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  /** Goes to another node, at once. */
  switch(upstream) {
    this.upstream = upstream;
    for (const passage of this.under) passage.move();
  }

  /** Goes to another node in the middle of the next media that passes. */
  switchInMedia(upstream) {
    return new Promise((resolve) => {
      this.inMedia = () => {
        this.inMedia = null;
        this.switch(upstream);
        resolve();
      };
    });
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    this.agent.destroy();
  }
}

/** One request on its way. */
class Passage {
  constructor(proxy, from, to) {
    Object.assign(this, { proxy, from, to, passed: 0, tries: 0, answered: false });
    this.media = from.url.endsWith('.m4s');
    proxy.under.add(this);
    to.on('close', () => {
      proxy.under.delete(this);
      this.upstream?.destroy();
    });
  }

  /** Asks the present upstream: for the rest, where there is a beginning. */
  go() {
    const asked = this.proxy.upstream;
    const headers = { ...this.from.headers, host: new URL(asked.http).host };
    if (this.passed > 0) headers.range = `bytes=${this.passed}-`;
    const upstream = request(asked.http + this.from.url, { method: this.from.method, headers, agent: this.proxy.agent });
    this.upstream = upstream;
    this.asked = asked;
    const mine = () => this.upstream === upstream && !this.to.destroyed;
    upstream.on('response', (answer) => {
      if (!mine()) return;
      this.answer = answer;
      if (!this.answered) {
        this.answered = true;
        this.to.writeHead(answer.statusCode, answer.headers);
      } else if (answer.statusCode !== 206 || !answer.headers['content-range']?.startsWith(`bytes ${this.passed}-`)) {
        this.fail(`the rest from ${this.passed} on is answered with ${answer.statusCode} ${answer.headers['content-range']}`);
        return;
      }
      answer.on('data', (data) => {
        if (!mine()) return;
        const half = this.media && this.proxy.inMedia && data.length > 1 ? data.subarray(0, data.length >> 1) : data;
        this.passed += half.length;
        this.to.write(half);
        if (half !== data) this.proxy.inMedia();
      });
      answer.on('end', () => mine() && answer.complete && this.to.end());
      answer.on('close', () => mine() && !answer.complete && this.again('cut off'));
    });
    upstream.on('error', (error) => mine() && !this.answer && this.again(error.message));
    upstream.end();
  }

  /** The proxy has gone to another node. A playlist that is half here stays with the old one. */
  move() {
    if (this.to.writableEnded || (this.answered && !this.media)) return;
    this.proxy.moved[this.answered ? 'half' : 'waiting']++;
    this.repeat();
  }

  /** The node is gone: once more where the proxy is now, a little later if that is where it was. */
  again(why) {
    if (this.tries++ > 100 || (this.answered && !this.media)) return void this.fail(why);
    if (this.asked !== this.proxy.upstream) return void this.repeat();
    setTimeout(() => !this.to.destroyed && this.repeat(), 20);
  }

  repeat() {
    const old = this.upstream;
    this.upstream = this.answer = null;
    old?.destroy();
    this.go();
  }

  fail(why) {
    this.proxy.failed.push(`${this.from.url}: ${why}`);
    this.to.destroy();
  }
}
