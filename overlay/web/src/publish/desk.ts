import { element } from '../element';
import { fit } from '../fit';
import { ask } from '../studio/dialogs';
import { Awake } from './awake';
import { browserClock } from './clock';
import { Devices } from './devices';
import { Entrance } from './entrance';
import { Face } from './face';
import { Meter, Silence } from './level';
import { Monitor, nodeView, type NodeView } from './monitor';
import { Peer } from './peer';
import { encodings, qualityNamed, severalByDefault, wholeBitrate } from './quality';
import { lastChoices, Setup } from './setup';
import { offerLinks } from './share';
import type { PublishStrings } from './strings';
import { Uplink } from './uplink';
import { Whip } from './whip';

/** How often the connection is measured, the node asked about the stream, and the level and the time shown; ms. */
const measureEvery = 2000;
const askEvery = 5000;
const showEvery = 100;

/** Phones and tablets turn their pictures as they are held. */
const mobile = (): boolean => navigator.maxTouchPoints > 0 && matchMedia('(pointer: coarse)').matches;

/** What Chromium tells of the network beside whether there is one. */
interface Network extends EventTarget {
  readonly type?: string;
}

/** Desk is the host's: it brings devices, connection and page together. */
export class Desk {
  private readonly devices: Devices;
  private readonly setup: Setup;
  private readonly monitor: Monitor;
  private readonly face: Face;
  private readonly entrance: Entrance;
  private readonly uplink: Uplink;
  private readonly meter = new Meter();
  private readonly silence = new Silence();
  private readonly awake = new Awake();
  private peer: Peer | null = null;
  private node: NodeView | null = null;
  /** Since when the show is on, and since when media flow over this connection; performance.now(). */
  private onAirSince: number | null = null;
  private liveSince: number | null = null;
  private opening = false;

  constructor(
    private readonly stream: string,
    private readonly s: PublishStrings,
  ) {
    const last = lastChoices();
    this.devices = new Devices({
      camera: '',
      facing: 'user',
      microphone: '',
      quality: qualityNamed(last.quality ?? ''),
      shape: mobile() ? 'auto' : (last.shape ?? 'wide'),
      voice: last.voice ?? true,
    });
    const several = last.several ?? severalByDefault({ mobile: mobile(), cores: navigator.hardwareConcurrency });
    this.setup = new Setup(s, this.devices, element('settings', HTMLElement), several);
    this.monitor = new Monitor(s, element('health', HTMLElement), element('pulse', HTMLElement));
    this.entrance = new Entrance(s, stream, () => void this.pressed());
    this.face = new Face(s, {
      allow: () => void this.open(),
      mute: () => this.devices.set('audio', !this.devices.muted),
      hide: () => this.devices.set('video', !this.devices.hidden),
      flip: () => void this.devices.flip(),
    });
    this.uplink = new Uplink({
      clock: browserClock,
      makeLink: () => this.makeLink(),
      liveOnNode: async () => (await this.askNode())?.state === 'live',
      online: () => navigator.onLine,
    });
    offerLinks(s, stream, element('share', HTMLElement));
  }

  /** Begins: with camera and microphone, where they have been allowed before. */
  start(): void {
    const { devices, face, meter, setup, uplink } = this;
    const video = element('preview', HTMLVideoElement);
    const fitted = () => fit(element('stage', HTMLElement), video);
    video.addEventListener('resize', fitted);
    window.addEventListener('resize', fitted);
    devices.onchange = () => {
      // A stream without a picture would keep the page loading for ever.
      const stream = devices.track('video') ? devices.stream : null;
      if (video.srcObject !== stream) video.srcObject = stream;
      void setup.update(uplink.wanted);
      this.update();
      void devices.list('videoinput').then((cameras) => face.offerFlip(cameras.length > 1));
    };
    devices.onreplaced = (track) => {
      void this.peer?.replace(track);
      if (track.kind === 'audio') meter.follow(track);
      this.silence.reset();
    };
    setup.onchange = () => void this.peer?.adjust().catch(() => {});
    uplink.onchange = () => this.connectionChanged();
    this.heedNetwork();
    document.addEventListener('pointerdown', () => meter.wake());
    document.addEventListener('keydown', () => meter.wake());
    window.addEventListener('beforeunload', (event) => {
      if (uplink.wanted) event.preventDefault();
    });
    window.addEventListener('pagehide', () => uplink.end());
    setInterval(() => this.tick(), showEvery);
    setInterval(() => void this.measure(), measureEvery);
    setInterval(() => void this.look(), askEvery);
    void this.openIfAllowed();
    this.update();
  }

  // Camera and microphone.

  private async openIfAllowed(): Promise<void> {
    const granted = async (name: string) => {
      try {
        return (await navigator.permissions.query({ name: name as PermissionName })).state === 'granted';
      } catch {
        return false; // A browser that does not tell: the reader is asked first.
      }
    };
    if (!Devices.possible || ((await granted('camera')) && (await granted('microphone')))) await this.open();
  }

  private async open(): Promise<void> {
    this.opening = true;
    this.update();
    await this.devices.open();
    this.opening = false;
    this.meter.wake();
    this.update();
  }

  // The show.

  /** The large button, or the key field's Enter. */
  private async pressed(): Promise<void> {
    const { uplink, entrance, devices, s } = this;
    if (uplink.wanted) {
      if (await ask(s, s.endTitle, [s.endWhat], s.end, s.keepOn, true)) uplink.end();
      return;
    }
    if (!entrance.accept()) return;
    if (devices.stream.getTracks().length === 0) await this.open();
    if (devices.stream.getTracks().length === 0 || uplink.wanted) return;
    this.onAirSince = null;
    uplink.start();
  }

  private makeLink(): Peer {
    const whip = new Whip(`/whip/${encodeURIComponent(this.stream)}`, this.entrance.key);
    const { devices, setup } = this;
    this.peer = new Peer(whip, () => ({
      stream: devices.stream,
      quality: devices.choice.quality,
      several: setup.several,
    }));
    return this.peer;
  }

  private heedNetwork(): void {
    const { uplink } = this;
    window.addEventListener('online', () => uplink.networkChanged());
    window.addEventListener('offline', () => uplink.networkLost());
    const network = (navigator as Navigator & { connection?: Network }).connection;
    let { type } = network ?? {};
    // It also tells of each new estimate of the speed, which is no other network.
    network?.addEventListener('change', () => {
      if (network.type === type) return;
      type = network.type;
      if (navigator.onLine) uplink.networkChanged();
    });
  }

  private connectionChanged(): void {
    const { uplink } = this;
    const now = performance.now();
    this.liveSince = uplink.state === 'live' ? (this.liveSince ?? now) : null;
    if (uplink.state === 'live') this.onAirSince ??= now;
    if (!uplink.wanted) {
      this.onAirSince = null;
      this.node = null;
      this.peer = null;
    }
    if (uplink.state === 'live') this.monitor.begin();
    else this.monitor.clear();
    if (uplink.state === 'refused') this.entrance.refused(uplink.failure?.status ?? 0);
    if (uplink.state === 'live') void this.look();
    this.awake.set(uplink.wanted);
    void this.setup.update(uplink.wanted);
    this.update();
  }

  // What is told.

  private async measure(): Promise<void> {
    const { peer, liveSince, devices, monitor } = this;
    if (!peer || liveSince === null) return;
    const report = await peer.stats();
    if (this.peer !== peer || this.liveSince !== liveSince) return;
    const now = performance.now();
    const { quality } = devices.choice;
    const picture = devices.track('video');
    const wanted = {
      bitrate: picture ? wholeBitrate(quality, this.setup.several) : 64_000,
      frameRate: picture && !devices.hidden ? Math.min(encodings(quality, false)[0]?.maxFramerate ?? 30, picture.getSettings().frameRate ?? 30) : 0,
    };
    monitor.take(report, now, wanted, now - liveSince);
    this.update();
  }

  private async askNode(): Promise<NodeView | null> {
    // Of a stream that is played by signed addresses only, this is told its publisher.
    const { key } = this.entrance;
    const headers: Record<string, string> = key === '' ? {} : { Authorization: `Bearer ${key}` };
    const response = await fetch(`/api/v1/streams/${encodeURIComponent(this.stream)}`, { cache: 'no-store', headers });
    return response.ok ? nodeView(await response.json()) : null;
  }

  private async look(): Promise<void> {
    if (this.uplink.state !== 'live') return;
    const node = await this.askNode().catch(() => null);
    if (this.uplink.state !== 'live') return;
    this.node = node;
    this.monitor.told(node?.advice ?? []);
    this.update();
  }

  private tick(): void {
    const { devices, meter, silence, face, onAirSince } = this;
    const now = performance.now();
    const level = devices.track('audio') && !devices.muted ? meter.read() : null;
    if (level === null) silence.reset();
    face.tick(level, level !== null && silence.hear(level, now), onAirSince === null ? null : now - onAirSince);
  }

  private update(): void {
    const { face, devices, uplink, entrance, node, monitor, opening } = this;
    entrance.show(uplink.state);
    face.show({ devices, uplink, viewers: node?.viewers ?? null, complaint: monitor.complaint, opening });
  }
}
