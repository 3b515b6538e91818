// The parts of the publish page that need no browser.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { load } from './load.mjs';

const parts = await load('test/publish-parts');
const { connectionWords, credentials, decibels, deflection, encodings, Failure, figures, fragment, iceServers } = parts;
const { judge, Keep, keptChoices, nodeView, pictureConstraints, preferred, publishStrings, qualities, qualityNamed } = parts;
const { restarted, sampleOf, secretIn, severalByDefault, Silence, streamName, troubleOf, troubleWords, Uplink } = parts;
const { Whip, wholeBitrate, withStartBitrate } = parts;

/** Lets promises that are settled be noticed. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

/** A clock that goes when it is told to. */
class FakeClock {
  time = 0;
  timers = new Set();

  now() {
    return this.time;
  }

  after(ms, f) {
    const timer = { at: this.time + ms, f };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  /** Lets ms pass, and what was to happen meanwhile. */
  async pass(ms) {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const next = [...this.timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers.delete(next);
      this.time = next.at;
      next.f();
    }
    this.time = end;
    await settle();
  }
}

/** A link that does what a test says. */
class FakeLink {
  onstate = () => {};
  alive = false;
  closed = null;
  restarts = 0;

  constructor(world) {
    this.world = world;
  }

  open() {
    return this.world.open(this);
  }

  restart() {
    this.restarts++;
    return this.world.restart(this);
  }

  close(goodbye) {
    this.closed = goodbye;
  }

  tell(state) {
    this.alive = state === 'connected';
    this.onstate(state);
  }
}

/** A node and a network that take every show, until they are told otherwise. */
class World {
  clock = new FakeClock();
  links = [];
  isOnline = true;
  /** What the API says. */
  live = async () => false;
  open = async () => {};
  restart = async () => {};

  makeLink() {
    const link = new FakeLink(this);
    this.links.push(link);
    return link;
  }

  liveOnNode() {
    return this.live();
  }

  online() {
    return this.isOnline;
  }

  get link() {
    return this.links.at(-1);
  }
}

/** A world, an uplink in it, and the states that it goes through. */
function stage() {
  const world = new World();
  const uplink = new Uplink(world, () => 0.5);
  const states = [];
  uplink.onchange = () => states.at(-1) === uplink.state || states.push(uplink.state);
  return { world, uplink, states };
}

/** One that is live. */
async function live() {
  const set = stage();
  set.uplink.start();
  await settle();
  set.world.link.tell('connected');
  assert.equal(set.uplink.state, 'live');
  set.states.length = 0;
  return set;
}

describe('the uplink', () => {
  test('goes live and ends with a good-bye', async () => {
    const { world, uplink, states } = stage();
    assert.equal(uplink.wanted, false);
    uplink.start();
    uplink.start();
    await settle();
    assert.equal(world.links.length, 1);
    world.link.tell('connected');
    uplink.end();
    assert.deepEqual(states, ['connecting', 'live', 'off']);
    assert.equal(world.link.closed, true);
    assert.equal(world.clock.timers.size, 0, 'a timer is left');
    world.link.tell('failed');
    await world.clock.pass(60_000);
    assert.deepEqual([uplink.state, world.links.length], ['off', 1]);
  });

  test('sits out an interruption that ends by itself', async () => {
    const { world, states } = await live();
    world.link.tell('disconnected');
    await world.clock.pass(1000);
    world.link.tell('connected');
    await world.clock.pass(60_000);
    assert.deepEqual(states, ['recovering', 'live']);
    assert.deepEqual([world.links.length, world.link.restarts], [1, 0]);
  });

  test('mends a longer one within the session', async () => {
    const { world, states } = await live();
    world.link.tell('disconnected');
    await world.clock.pass(2000);
    assert.equal(world.link.restarts, 1);
    // Further complaints while it is being mended change nothing.
    world.link.tell('disconnected');
    world.link.tell('failed');
    await world.clock.pass(1000);
    world.link.tell('connected');
    await world.clock.pass(60_000);
    assert.deepEqual(states, ['recovering', 'live']);
    assert.deepEqual([world.links.length, world.link.restarts, world.link.closed], [1, 1, null]);
  });

  test('begins a new session when the old one cannot be mended, and says no good-bye', async () => {
    const { world, uplink } = await live();
    world.link.tell('failed');
    assert.equal(world.link.restarts, 1);
    await world.clock.pass(8000);
    assert.equal(world.links.length, 2);
    // A good-bye would end the show for its viewers.
    assert.equal(world.links[0].closed, false);
    world.link.tell('connected');
    assert.equal(uplink.state, 'live');
  });

  test('begins a new session when the node will not mend the old one', async () => {
    const { world, uplink } = await live();
    world.restart = async () => {
      throw new Failure(422, 'Not here.');
    };
    world.link.tell('failed');
    await settle();
    assert.equal(uplink.state, 'waiting');
    await world.clock.pass(500);
    assert.equal(world.links.length, 2);
  });

  test('looks for another way at once when the network changes, and takes the old one where that was good', async () => {
    const { world, uplink, states } = await live();
    uplink.networkChanged();
    uplink.networkChanged();
    assert.equal(world.link.restarts, 1);
    await world.clock.pass(6000);
    assert.equal(uplink.state, 'live');
    assert.deepEqual(states, ['recovering', 'live']);
    assert.equal(world.links.length, 1);
  });

  test('goes on when the device has a network again', async () => {
    const { world, uplink } = await live();
    world.isOnline = false;
    world.restart = world.open = async () => {
      throw new Failure(0, '');
    };
    uplink.networkLost();
    assert.equal(uplink.state, 'live', 'media flow, whatever the device says');
    world.link.tell('disconnected');
    uplink.networkLost();
    assert.equal(uplink.state, 'offline');
    await world.clock.pass(30_000);
    assert.equal(uplink.state, 'offline');
    const tries = world.links.length;
    assert.ok(tries > 3 && tries < 15, `${tries} tries in half a minute`);
    world.isOnline = true;
    world.open = async () => {};
    uplink.networkChanged();
    await settle();
    assert.equal(world.links.length, tries + 1);
    world.link.tell('connected');
    assert.equal(uplink.state, 'live');
  });

  test('tries again with growing waits while the node is away, and after each success from the start', async () => {
    const { world, uplink } = await live();
    world.restart = world.open = async () => {
      throw new Failure(0, '');
    };
    world.link.tell('failed');
    const tries = [];
    for (let n = world.links.length; tries.length < 10; ) {
      await world.clock.pass(100);
      if (world.links.length > n) tries.push(world.clock.now());
      n = world.links.length;
    }
    const waits = tries.map((at, i) => at - (tries[i - 1] ?? 0));
    assert.ok(waits[0] <= 500, `the first wait is ${waits[0]} ms`);
    assert.ok(waits.every((wait, i) => i === 0 || wait >= waits[i - 1] - 100), waits.join());
    assert.ok(Math.max(...waits) <= 8100, waits.join());
    assert.equal(uplink.state, 'waiting');
    world.open = async () => {};
    await world.clock.pass(10_000);
    world.link.tell('connected');
    world.open = async () => {
      throw new Failure(0, '');
    };
    const before = world.links.length;
    world.link.tell('failed');
    await world.clock.pass(500);
    assert.equal(world.links.length, before + 1);
  });

  test('leaves a node that is full alone for as long as it asks', async () => {
    const { world, uplink, states } = stage();
    world.open = async () => {
      throw new Failure(503, 'The node is full.', '', 20_000);
    };
    uplink.start();
    await world.clock.pass(19_000);
    assert.equal(world.links.length, 1);
    assert.deepEqual([uplink.state, uplink.failure.detail], ['waiting', 'The node is full.']);
    await world.clock.pass(2000);
    assert.equal(world.links.length, 2);
    assert.ok(!states.includes('refused'));
  });

  test('does not ask again what was refused', async () => {
    for (const status of [400, 401, 403, 404, 409, 415, 422]) {
      const { world, uplink } = stage();
      world.open = async () => {
        throw new Failure(status, 'No.');
      };
      uplink.start();
      await world.clock.pass(120_000);
      assert.equal(world.links.length, 1, status);
      assert.deepEqual([uplink.state, uplink.failure.status, uplink.wanted], ['refused', status, false]);
      // The host may, with another key.
      world.open = async () => {};
      uplink.start();
      await settle();
      world.link.tell('connected');
      assert.equal(uplink.state, 'live');
    }
  });

  test('says what the browser cannot', async () => {
    const { world, uplink } = stage();
    world.open = async () => {
      throw new TypeError('no codec in common');
    };
    uplink.start();
    await world.clock.pass(120_000);
    assert.deepEqual([uplink.state, uplink.failure.detail, world.links.length], ['refused', 'no codec in common', 1]);
  });

  test('does not fight another device for the stream', async () => {
    const { world, uplink } = await live();
    world.live = async () => true;
    world.link.tell('gone');
    await world.clock.pass(120_000);
    assert.deepEqual([uplink.state, world.links.length, uplink.wanted], ['taken', 1, false]);
    // Unless its host wants it back.
    uplink.start();
    await settle();
    world.link.tell('connected');
    assert.equal(uplink.state, 'live');
  });

  test('learns of a take-over when it comes back, too', async () => {
    const { world, uplink } = await live();
    world.live = async () => true;
    world.restart = async () => {
      throw new Failure(410, 'Another session took over.');
    };
    world.link.tell('disconnected');
    await world.clock.pass(2000);
    assert.deepEqual([uplink.state, uplink.failure.detail], ['taken', 'Another session took over.']);
  });

  test('goes on after a restart of the node', async () => {
    for (const [said, wait] of [[async () => false, 600], [async () => Promise.reject(new Error('no')), 600], [() => new Promise(() => {}), 6000]]) {
      const { world, uplink } = await live();
      world.live = said;
      world.link.tell('gone');
      await world.clock.pass(wait);
      assert.equal(world.links.length, 2);
      world.link.tell('connected');
      assert.equal(uplink.state, 'live');
    }
  });

  test('can be ended in every state', async () => {
    let answer;
    for (const [name, bring] of [
      ['connecting', async ({ world }) => void (world.open = () => new Promise(() => {}))],
      ['recovering', async ({ world }) => world.link?.tell('disconnected')],
      ['waiting', async ({ world }) => void (world.open = async () => { throw new Failure(0, ''); })],
      ['recovering', async ({ world }) => {
        world.live = () => new Promise((resolve) => (answer = resolve));
        world.link?.tell('gone');
      }],
    ]) {
      const set = name === 'recovering' ? await live() : stage();
      await bring(set);
      set.uplink.start();
      await settle();
      assert.equal(set.uplink.state, name);
      set.uplink.end();
      answer?.(true);
      await set.world.clock.pass(60_000);
      assert.equal(set.uplink.state, 'off', name);
      assert.equal(set.world.clock.timers.size, 0);
      assert.equal(set.world.links.length, 1);
    }
  });

  test('finds out that media are blocked', async () => {
    const { world, uplink } = stage();
    uplink.start();
    await world.clock.pass(16_000);
    assert.equal(uplink.blocked, false);
    await world.clock.pass(16_000);
    assert.equal(uplink.blocked, true);
    world.link.tell('connected');
    assert.equal(uplink.blocked, false);
  });

  test('what an old link says does not count', async () => {
    const { world, uplink } = await live();
    world.link.tell('failed');
    await world.clock.pass(8000);
    const [old] = world.links;
    world.link.tell('connected');
    old.tell('failed');
    old.tell('gone');
    await world.clock.pass(60_000);
    assert.deepEqual([uplink.state, world.links.length], ['live', 2]);
  });
});

const description = [
  'v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0 1',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=ice-ufrag:old', 'a=ice-pwd:oldpassword', 'a=mid:0', 'a=candidate:1 1 udp 1 192.0.2.1 9 typ host',
  'a=end-of-candidates', 'a=rtpmap:111 opus/48000/2', 'a=fmtp:111 useinbandfec=1',
  'm=video 9 UDP/TLS/RTP/SAVPF 102 96 103', 'a=ice-ufrag:old', 'a=ice-pwd:oldpassword', 'a=mid:1',
  'a=rtpmap:102 H264/90000', 'a=fmtp:102 packetization-mode=1', 'a=rtpmap:96 VP8/90000', 'a=rtpmap:103 rtx/90000', 'a=fmtp:103 apt=102', '',
].join('\r\n');

describe('session descriptions', () => {
  test('fragments have what RFC 8840 asks for', () => {
    assert.deepEqual(fragment(description, ['candidate:9 1 udp 5 192.0.2.7 5 typ host'], true).split('\r\n'), [
      'a=group:BUNDLE 0 1', 'm=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=mid:0', 'a=ice-ufrag:old', 'a=ice-pwd:oldpassword',
      'a=candidate:9 1 udp 5 192.0.2.7 5 typ host', 'a=end-of-candidates', '',
    ]);
    assert.throws(() => fragment('v=0\r\n', [], false), /no media section/);
  });

  test('an answer to a restart renews credentials and candidates, and nothing else', () => {
    const answer = 'a=ice-ufrag:new\r\na=ice-pwd:newpassword\r\na=candidate:7 1 udp 5 192.0.2.9 8189 typ host\r\na=end-of-candidates\r\n';
    const renewed = restarted(description, answer);
    assert.deepEqual(credentials(renewed), { ufrag: 'new', pwd: 'newpassword' });
    assert.ok(!renewed.includes('old') && !renewed.includes('192.0.2.1 '), renewed);
    const lines = renewed.split('\r\n');
    assert.equal(lines.filter((line) => line === 'a=ice-ufrag:new').length, 2);
    const at = lines.indexOf('a=candidate:7 1 udp 5 192.0.2.9 8189 typ host');
    assert.ok(at > 0 && at < lines.findIndex((line) => line.startsWith('m=video')), 'the candidate is in the first section');
    assert.equal(lines.length, description.split('\r\n').length);
    assert.throws(() => restarted(description, 'a=candidate:1\r\n'), /no ICE credentials/);
  });

  test('the bit rate to begin at is told for each video codec', () => {
    const lines = withStartBitrate(description, 1500).split('\r\n');
    assert.ok(lines.includes('a=fmtp:102 packetization-mode=1;x-google-start-bitrate=1500'));
    assert.ok(lines.includes('a=fmtp:96 x-google-start-bitrate=1500'));
    assert.ok(lines.includes('a=fmtp:103 apt=102') && lines.includes('a=fmtp:111 useinbandfec=1'));
  });

  test('H.264 is offered first, and nothing is left out', () => {
    const codecs = ['video/VP8', 'video/rtx', 'video/H264', 'video/AV1', 'video/H264'].map((mimeType, n) => ({ mimeType, n }));
    assert.deepEqual(preferred(codecs).map(({ n }) => n), [2, 4, 0, 1, 3]);
    assert.deepEqual(preferred([]), []);
  });
});

/** A fetch that answers one thing after another, and keeps what it was asked. */
function fakeFetch(...answers) {
  const asked = [];
  const send = async (address, { method, headers, body }) => {
    asked.push({ address, method, headers, body });
    const next = answers.shift();
    if (next === undefined) throw new TypeError('network');
    const [status, text, given] = next;
    return new Response(status === 204 ? null : text, { status, headers: given });
  };
  return { asked, send };
}

describe('WHIP', () => {
  const created = [201, 'answer', { Location: '/whip/show/1', ETag: '"a"', Link: '<stun:stun.example.net>; rel="ice-server"' }];

  test('offers, trickles, restarts and ends', async () => {
    const { asked, send } = fakeFetch(created, [204], [200, 'fragment', { ETag: '"b"' }], [204], [200, '']);
    const whip = new Whip('https://node.example.com/whip/show', 'key', send);
    const resource = await whip.offer('offer', new AbortController().signal);
    assert.equal(resource.answer, 'answer');
    assert.deepEqual(resource.servers, [{ urls: 'stun:stun.example.net' }]);
    await resource.trickle('one');
    assert.equal(await resource.restart('two'), 'fragment');
    await resource.trickle('three');
    resource.end();
    await settle();
    assert.deepEqual(
      asked.map(({ method, address, headers }) => [method, address, headers['Content-Type'], headers['If-Match'], headers.Authorization]),
      [
        ['POST', 'https://node.example.com/whip/show', 'application/sdp', undefined, 'Bearer key'],
        ['PATCH', 'https://node.example.com/whip/show/1', 'application/trickle-ice-sdpfrag', '"a"', 'Bearer key'],
        ['PATCH', 'https://node.example.com/whip/show/1', 'application/trickle-ice-sdpfrag', '*', 'Bearer key'],
        ['PATCH', 'https://node.example.com/whip/show/1', 'application/trickle-ice-sdpfrag', '"b"', 'Bearer key'],
        ['DELETE', 'https://node.example.com/whip/show/1', undefined, undefined, 'Bearer key'],
      ],
    );
  });

  test('tells why a show is not taken', async () => {
    const offer = (...answer) => new Whip('https://h/whip/a', '', fakeFetch(...answer).send).offer('', new AbortController().signal);
    const problem = (status, detail, given) => [status, JSON.stringify({ detail }), given];
    await assert.rejects(offer(problem(401, 'Wrong key.')), { status: 401, detail: 'Wrong key.', pause: 0 });
    await assert.rejects(offer(problem(503, 'Full.', { 'Retry-After': '7' })), { status: 503, pause: 7000 });
    await assert.rejects(offer(problem(503, 'Full.', { 'Retry-After': '9999999' })), { pause: 60_000 });
    await assert.rejects(offer([502, '<html>proxy</html>']), { status: 502, detail: '' });
    await assert.rejects(offer(), { status: 0 });
    // A success that is none: no resource was made.
    await assert.rejects(offer([201, 'answer', {}]), { status: 201 });
    const { asked, send } = fakeFetch(created);
    await new Whip('https://h/whip/a', '', send).offer('', new AbortController().signal);
    assert.equal(asked[0].headers.Authorization, undefined);
  });

  test('reads the servers of Link headers', () => {
    assert.deepEqual(
      iceServers(
        '<stun:stun.example.net>; rel="ice-server", </other>; rel="next", ' +
          '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="a, \\"b\\""; credential="x;y>"; credential-type="password", ' +
          '<turns:t.example.net>;rel=ice-server;username=u;credential=p,<https://x>; rel="ice-server"',
      ),
      [
        { urls: 'stun:stun.example.net' },
        { urls: 'turn:turn.example.net?transport=udp', username: 'a, "b"', credential: 'x;y>' },
        { urls: 'turns:t.example.net', username: 'u', credential: 'p' },
      ],
    );
    assert.deepEqual(iceServers(null), []);
    assert.deepEqual(iceServers('<<>>;;;="'), []);
  });
});

describe('figures', () => {
  const report = (bytes, frames, rest = {}) => [
    ['c', { type: 'codec', mimeType: 'video/H264' }],
    ['v', { type: 'outbound-rtp', kind: 'video', codecId: 'c', bytesSent: bytes, framesSent: frames, frameWidth: 720, frameHeight: 1280, ...rest }],
    ['l', { type: 'outbound-rtp', kind: 'video', codecId: 'c', bytesSent: 0, framesSent: 3, frameWidth: 180, frameHeight: 320 }],
    ['a', { type: 'outbound-rtp', kind: 'audio', bytesSent: 1000 }],
    ['r', { type: 'remote-inbound-rtp', kind: 'video', fractionLost: 0.03, roundTripTime: 0.2 }],
    ['t', { type: 'transport', selectedCandidatePairId: 'p' }],
    ['p', { type: 'candidate-pair', localCandidateId: 'h', currentRoundTripTime: 0.05, availableOutgoingBitrate: 2e6 }],
    ['h', { type: 'local-candidate', protocol: 'tcp' }],
  ];

  test('are read from a report', () => {
    const before = sampleOf(report(1000, 30), 1000);
    const now = figures(before, sampleOf(report(501_000, 90, { qualityLimitationReason: 'bandwidth' }), 3000));
    assert.deepEqual(now, {
      at: 3000, bytes: 502_000, frames: 90, loss: 0.03, roundTrip: 0.05, available: 2e6, width: 720, height: 1280,
      limit: 'bandwidth', codec: 'H264', protocol: 'tcp', bitrate: 2e6, frameRate: 30,
    });
    assert.equal(figures(sampleOf(report(9e9, 1), 0), sampleOf(report(1, 1), 2000)), null, 'another session');
    const nothing = sampleOf([], 5);
    assert.deepEqual([nothing.bytes, nothing.roundTrip, nothing.loss, nothing.codec, nothing.limit], [0, null, null, '', 'none']);
  });

  test('are judged, with the worst first', () => {
    const f = { at: 0, bytes: 0, frames: 0, loss: 0, roundTrip: 0.04, available: 3e6, width: 1280, height: 720, limit: 'none', codec: 'H264', protocol: 'udp', bitrate: 2e6, frameRate: 30 };
    const wanted = { bitrate: 2.5e6, frameRate: 30 };
    const say = (change, age = 60_000) => {
      const { grade, complaint } = judge({ ...f, ...change }, wanted, age);
      return complaint === null ? grade : `${grade} ${complaint}`;
    };
    assert.equal(say({}), 'good');
    // A picture in which nothing moves needs little.
    assert.equal(say({ bitrate: 90_000 }), 'good');
    assert.equal(say({ available: 1e5 }), 'good', 'nothing is held back');
    assert.equal(say({ limit: 'bandwidth', available: 1.5e6 }), 'fair bandwidth');
    assert.equal(say({ limit: 'bandwidth', available: 0.5e6 }), 'poor bandwidth');
    assert.equal(say({ limit: 'cpu' }), 'fair cpu');
    assert.equal(say({ limit: 'cpu', frameRate: 10 }), 'poor cpu');
    assert.equal(say({ loss: 0.04 }), 'fair loss');
    assert.equal(say({ loss: 0.2, roundTrip: 2 }), 'poor loss');
    assert.equal(say({ roundTrip: 0.4 }), 'fair delay');
    assert.equal(say({ roundTrip: 0.9 }), 'poor delay');
    assert.equal(say({ frameRate: 20 }), 'fair frames');
    assert.equal(say({ bitrate: 0 }), 'poor noMedia');
    // At first browsers feel their way.
    assert.equal(say({ limit: 'bandwidth', available: 0.5e6 }, 3000), 'measuring');
    assert.equal(say({ bitrate: 0 }, 1000), 'measuring');
    assert.equal(say({ loss: 0.2 }, 3000), 'poor loss');
    assert.equal(judge({ ...f, frameRate: 0 }, { ...wanted, frameRate: 0 }, 60_000).grade, 'good', 'no camera, no frames');
  });

  test('the node tells of viewers and advice, or nothing', () => {
    assert.deepEqual(nodeView({ state: 'live', viewers: 3, advice: ['Do.', 4] }), { state: 'live', viewers: 3, advice: ['Do.'] });
    assert.deepEqual(nodeView({ state: 'waiting' }), { state: 'waiting', viewers: 0, advice: [] });
    assert.equal(nodeView('x'), null);
    assert.equal(nodeView({}), null);
  });
});

describe('sound', () => {
  test('is measured in decibels', () => {
    assert.equal(decibels(new Float32Array(100)), -100);
    assert.equal(decibels(new Float32Array(0)), -100);
    assert.ok(Math.abs(decibels(new Float32Array(64).fill(0.1)) + 20) < 0.001);
    assert.deepEqual([-100, -60, -30, 0, 6].map(deflection), [0, 0, 0.5, 1, 1]);
  });

  test('that does not come is noticed after a while', () => {
    const silence = new Silence();
    assert.equal(silence.hear(-90, 1000), false);
    assert.equal(silence.hear(-90, 5900), false);
    assert.equal(silence.hear(-90, 6100), true);
    assert.equal(silence.hear(-40, 6200), false);
    assert.equal(silence.hear(-90, 11_000), false);
    silence.reset();
    assert.equal(silence.hear(-90, 12_000), false);
  });
});

describe('choices', () => {
  test('a picture is as it was chosen, and a phone’s as the phone is held', () => {
    const ask = (shape) => pictureConstraints(qualityNamed('720'), shape);
    assert.deepEqual([ask('upright').width, ask('upright').height], [{ ideal: 720 }, { ideal: 1280 }]);
    assert.deepEqual([ask('wide').width, ask('auto').width], [{ ideal: 1280 }, { ideal: 1280 }]);
    assert.equal(ask('auto').aspectRatio, undefined);
    assert.equal(ask('upright').aspectRatio.ideal, 0.5625);
    assert.equal(qualityNamed('nonsense').name, '720');
  });

  test('several sizes are layers from low to high, within the bit rate', () => {
    for (const quality of qualities) {
      const list = encodings(quality, true);
      assert.deepEqual(list.map(({ rid, scaleResolutionDownBy }) => [rid, scaleResolutionDownBy]), [['low', 4], ['mid', 2], ['high', 1]]);
      assert.equal(list[2].maxBitrate, quality.bitrate);
      assert.ok(wholeBitrate(quality, true) < quality.bitrate * 1.4);
      assert.equal(encodings(quality, false)[0].rid, undefined);
    }
    assert.equal(severalByDefault({ mobile: true, cores: 16 }), false);
    assert.equal(severalByDefault({ mobile: false, cores: 4 }), false);
    assert.equal(severalByDefault({ mobile: false, cores: 8 }), true);
  });

  test('what was kept is read with care', () => {
    assert.deepEqual(keptChoices('{"quality":"540","shape":"upright","voice":false,"several":true}'), { quality: '540', shape: 'upright', voice: false, several: true });
    for (const text of [null, '', '{', '4', 'null', '{"quality":4,"shape":"round","voice":"yes"}']) assert.deepEqual(keptChoices(text), {}, text);
  });

  /** Storage, or a browser that forbids it. */
  const storage = () => {
    const map = new Map();
    return { map, getItem: (name) => map.get(name) ?? null, setItem: (name, value) => map.set(name, value), removeItem: (name) => map.delete(name) };
  };

  test('a key is kept for the tab, and on the device where that is wished', () => {
    const [tab, device] = [storage(), storage()];
    const keep = new Keep('show', () => tab, () => device);
    assert.equal(keep.key, null);
    keep.save('one', false);
    assert.deepEqual([keep.key, keep.remembered, device.map.size], ['one', false, 0]);
    keep.save('two', true);
    assert.deepEqual([new Keep('show', storage, () => device).key, keep.remembered], ['two', true]);
    assert.equal(new Keep('other', () => tab, () => device).key, null);
    keep.save('three', false);
    assert.deepEqual([keep.key, device.map.size], ['three', 0]);
    keep.save('four', true);
    keep.forget();
    assert.deepEqual([keep.key, tab.map.size, device.map.size], [null, 0, 0]);
    const forbidden = () => {
      throw new Error('SecurityError');
    };
    const without = new Keep('show', forbidden, forbidden);
    without.save('key', true);
    assert.equal(without.key, null);
  });

  test('addresses are read', () => {
    assert.equal(streamName('/publish/my%20show/'), 'my show');
    assert.equal(secretIn('#key=a+b%2F&x', 'key'), 'a+b/');
    assert.equal(secretIn('#monkey=a', 'key'), null);
  });
});

describe('words', () => {
  const error = (name) => Object.assign(new Error(), { name });

  test('what cameras complain of is told apart', () => {
    for (const [name, trouble] of [
      ['NotAllowedError', 'denied'], ['SecurityError', 'denied'], ['NotFoundError', 'missing'], ['OverconstrainedError', 'missing'],
      ['NotReadableError', 'busy'], ['AbortError', 'busy'], ['TypeError', 'unknown'],
    ]) {
      assert.equal(troubleOf(error(name)), trouble, name);
    }
    assert.equal(troubleOf('x'), 'unknown');
  });

  test('there are some for everything, in every language', () => {
    for (const lang of ['en', 'es', 'zh']) {
      const s = publishStrings(lang);
      const empty = (value) => (typeof value === 'string' ? value === '' : typeof value === 'object' && Object.values(value).some(empty));
      const blank = Object.keys(s).filter((name) => name !== 'more' && empty(s[name]));
      assert.deepEqual(blank, [], lang);
      assert.equal(troubleWords(s, null, null), '');
      assert.equal(troubleWords(s, 'denied', 'denied'), s.troubles.both.denied);
      assert.equal(troubleWords(s, 'missing', 'busy'), `${s.troubles.video.missing} ${s.troubles.audio.busy}`);
      const say = (state, failure, blocked = false) => connectionWords(s, { state, failure, blocked });
      assert.equal(say('refused', new Failure(401, 'The key is wrong.')), 'The key is wrong.');
      assert.equal(say('refused', new Failure(404, '')), s.refusedAs('HTTP 404'));
      assert.equal(say('waiting', new Failure(0, '')), s.silentNode);
      assert.equal(say('waiting', null, true), s.blocked);
      assert.equal(say('live', null), '');
    }
    assert.equal(publishStrings('constructor').close, 'Close');
  });
});
