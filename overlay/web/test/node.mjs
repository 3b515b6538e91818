// A node of our own and publishers for it, for the tests: the real binary, real ffmpeg.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const binary = process.env.PUSHCART_BIN ?? fileURLToPath(new URL('../../../bin/pushcart', import.meta.url));

// A node takes every PUSHCART_ variable for a setting; those of the tests are none.
const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PUSHCART_')));

/** Finds ports that are free now. They are all held until the last is found, so that they differ. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => once(server.listen(0, '127.0.0.1'), 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** A child process whose output is kept for the moment something fails. */
class Child {
  constructor(command, args, env = {}) {
    this.command = command;
    this.output = '';
    this.process = spawn(command, args, { env: { ...inherited, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on('data', (data) => {
        this.output = (this.output + data).slice(-20000);
      });
    }
    this.gone = new Promise((resolve, reject) => {
      this.process.on('exit', resolve);
      this.process.on('error', reject);
    });
    // Whoever waits for it sees the error; without anyone waiting it is no crash.
    this.gone.catch(() => {});
  }

  /** Ends the child and waits for its end. */
  async stop(signal = 'SIGTERM') {
    this.process.kill(signal);
    await this.gone;
  }
}

/** A running node. */
export class Node {
  /** Starts a node; settings are PUSHCART_ environment variables. */
  static async start(settings = {}) {
    const node = new Node();
    const [http, rtmp, admin] = await freePorts(3);
    node.http = `http://127.0.0.1:${http}`;
    node.rtmp = `rtmp://127.0.0.1:${rtmp}/live`;
    node.admin = `http://127.0.0.1:${admin}`;
    node.data = mkdtempSync(join(tmpdir(), 'pushcart-node-'));
    node.settings = {
      PUSHCART_DATA_DIRECTORY: node.data,
      PUSHCART_HTTP_ADDRESS: `127.0.0.1:${http}`,
      PUSHCART_RTMP_ADDRESS: `127.0.0.1:${rtmp}`,
      PUSHCART_ADMIN_ADDRESS: `127.0.0.1:${admin}`,
      // Doors that a test does not ask for are shut: their usual ports are another node's, perhaps.
      PUSHCART_RTSP_ADDRESS: '',
      PUSHCART_RTSP_UDP_ADDRESS: '',
      PUSHCART_SRT_ADDRESS: '',
      PUSHCART_WHIP_UDP_ADDRESS: '127.0.0.1:0',
      PUSHCART_WHIP_TCP_ADDRESS: '',
      // Nobody watches on when a test is over.
      PUSHCART_DRAIN_TIMEOUT: '0s',
      ...settings,
    };
    node.publishers = [];
    await node.run();
    return node;
  }

  /** Runs the node's program: at the start, and again after crash. */
  async run() {
    this.child = new Child(binary, ['serve'], this.settings);
    await this.ready();
  }

  /** Ends the program as a crash would. */
  crash() {
    return this.child.stop('SIGKILL');
  }

  async ready() {
    let over = false;
    this.child.gone.finally(() => (over = true)).catch(() => {});
    for (let tries = 0; tries < 150; tries++) {
      if (over) throw new Error(`${binary} ended at once:\n${this.child.output}`);
      const answer = await fetch(`${this.admin}/readyz`).catch(() => null);
      if (answer?.ok) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${binary} is not ready:\n${this.child.output}`);
  }

  /** The address of a stream's watch page. */
  watch(name) {
    return `${this.http}/watch/${name}`;
  }

  /** The address of the page that goes live under a name. */
  live(name) {
    return `${this.http}/publish/${name}`;
  }

  /** Waits until a stream's first media playlist has so many whole segments. */
  async segments(name, count) {
    const base = `${this.http}/live/${name}`;
    const text = async (path) => {
      const answer = await fetch(`${base}/${path}`).catch(() => null);
      return answer?.ok ? answer.text() : '';
    };
    for (let tries = 0; tries < 300; tries++) {
      const media = (await text('index.m3u8')).split('\n').find((line) => line.endsWith('.m3u8'));
      const playlist = media === undefined ? '' : await text(media);
      if (playlist.split('#EXTINF:').length > count) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${name} never had ${count} segments:\n${this.child.output}`);
  }

  /** Publishes a moving picture and a tone with ffmpeg; video or audio: false leaves one out. */
  publish(name, { video = true, audio = true, size = '640x360' } = {}) {
    const input = (graph) => ['-re', '-f', 'lavfi', '-i', graph];
    const child = new Child('ffmpeg', [
      ...['-hide_banner', '-loglevel', 'warning', '-nostdin'],
      ...(video ? input(`testsrc2=size=${size}:rate=30`) : []),
      ...(audio ? input('sine=frequency=440:sample_rate=48000') : []),
      ...(video ? ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p'] : []),
      ...(video ? ['-g', '60', '-b:v', '800k'] : []),
      ...(audio ? ['-c:a', 'aac', '-b:a', '96k'] : []),
      ...['-f', 'flv', `${this.rtmp}/${name}`],
    ]);
    this.publishers.push(child);
    return child;
  }

  /** Ends the node and everyone who publishes to it. */
  async stop() {
    await Promise.all(this.publishers.map((child) => child.stop('SIGKILL')));
    await this.child.stop();
    rmSync(this.data, { recursive: true, force: true });
  }
}
