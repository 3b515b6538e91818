import { pictureConstraints, type Quality, type Shape } from './quality';

/** Why there is no picture or no sound. */
export type Trouble =
  | 'insecure' // browsers open cameras for https and localhost only
  | 'denied' // by the reader, the system or the operator of the device
  | 'missing' // nothing is plugged in
  | 'busy' // another program has it
  | 'unknown';

/** Sorts what getUserMedia throws (Media Capture and Streams, 10.2). */
export function troubleOf(error: unknown): Trouble {
  const name = error instanceof Error ? error.name : '';
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return 'denied';
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'missing';
    case 'NotReadableError':
    case 'AbortError':
      return 'busy';
    default:
      return 'unknown';
  }
}

/** What the host has chosen; '' leaves a device to the browser. */
export interface Choice {
  camera: string;
  facing: 'user' | 'environment';
  microphone: string;
  quality: Quality;
  shape: Shape;
  /** Whether echo and noise are taken out of the sound and its level is evened: good for a voice, bad for music. */
  voice: boolean;
}

type Kind = 'audio' | 'video';

/** Devices has the camera and the microphone. What they give is in stream, and is replaced there when a device is. */
export class Devices {
  readonly stream = new MediaStream();
  /** What is wrong with each, null when nothing is or it was not asked for yet. */
  readonly trouble: Record<Kind, Trouble | null> = { audio: null, video: null };
  /** Called when a track has taken the place of another. */
  onreplaced: (track: MediaStreamTrack) => void = () => {};
  /** Called when anything about the devices has changed. */
  onchange: () => void = () => {};
  muted = false;
  hidden = false;
  /** Whether the side of the camera was chosen, and not only presumed. */
  private turned = false;

  constructor(readonly choice: Choice) {
    navigator.mediaDevices?.addEventListener('devicechange', () => void this.plugged());
  }

  /** Whether this page may use cameras at all. */
  static get possible(): boolean {
    return isSecureContext && navigator.mediaDevices !== undefined;
  }

  track(kind: Kind): MediaStreamTrack | undefined {
    return this.stream.getTracks().find((track) => track.kind === kind);
  }

  /** Whether the picture is of the one who looks at it: cameras that do not say so are webcams, which are. */
  get mirrored(): boolean {
    const track = this.track('video');
    if (!track) return false;
    const facing = track.getSettings().facingMode;
    return facing === undefined ? !/\b(back|rear|environment)\b/i.test(track.label) : facing === 'user';
  }

  /** Opens both, with one question to the reader where the browser asks. */
  async open(): Promise<void> {
    if (!Devices.possible) {
      this.trouble.video = this.trouble.audio = 'insecure';
      this.onchange();
      return;
    }
    try {
      this.took(await navigator.mediaDevices.getUserMedia({ video: this.picture(), audio: this.sound() }));
    } catch {
      // One of the two may be there without the other.
      await Promise.all([this.reopen('video'), this.reopen('audio')]);
    }
    this.onchange();
  }

  /** Opens one of them anew, as it is chosen now. */
  async reopen(kind: Kind): Promise<void> {
    const old = this.track(kind);
    // Many phones have one camera open at a time.
    old?.stop();
    const ask = () =>
      navigator.mediaDevices.getUserMedia(kind === 'video' ? { video: this.picture() } : { audio: this.sound() });
    try {
      this.took(await ask().catch((error: unknown) => {
        // What was chosen is not there any more: any will do.
        if (!(error instanceof Error && error.name === 'OverconstrainedError')) throw error;
        if (kind === 'video') {
          this.choice.camera = '';
          this.turned = false;
        } else this.choice.microphone = '';
        return ask();
      }));
    } catch (error) {
      if (old) this.stream.removeTrack(old);
      this.trouble[kind] = troubleOf(error);
    }
    this.onchange();
  }

  /** Turns to the camera at the other side, or to the next one. */
  async flip(): Promise<void> {
    const { choice } = this;
    const cameras = await this.list('videoinput');
    const present = this.track('video')?.getSettings();
    if (present?.facingMode !== undefined) {
      choice.facing = present.facingMode === 'user' ? 'environment' : 'user';
      choice.camera = '';
      this.turned = true;
    } else {
      const at = cameras.findIndex(({ deviceId }) => deviceId === present?.deviceId);
      choice.camera = cameras[(at + 1) % cameras.length]?.deviceId ?? '';
    }
    await this.reopen('video');
  }

  /** Brings the camera's picture to the quality and shape that are chosen now. */
  async adjust(): Promise<void> {
    try {
      await this.track('video')?.applyConstraints(pictureConstraints(this.choice.quality, this.choice.shape));
    } catch {
      await this.reopen('video');
    }
    this.onchange();
  }

  /** Sends silence, or a black picture, or what there is. */
  set(kind: Kind, off: boolean): void {
    if (kind === 'audio') this.muted = off;
    else this.hidden = off;
    const track = this.track(kind);
    if (track) track.enabled = !off;
    this.onchange();
  }

  async list(kind: MediaDeviceKind): Promise<MediaDeviceInfo[]> {
    const all = Devices.possible ? await navigator.mediaDevices.enumerateDevices() : [];
    // Before the first permission they have no names and no ids.
    return all.filter((device) => device.kind === kind && device.deviceId !== '');
  }

  private picture(): MediaTrackConstraints {
    const { camera, facing, quality, shape } = this.choice;
    // What the host has chosen must be it: an ideal is one among many, and a better resolution would outweigh it.
    const facingMode = this.turned ? { exact: facing } : { ideal: facing };
    const which = camera === '' ? { facingMode } : { deviceId: { exact: camera } };
    return { ...which, ...pictureConstraints(quality, shape) };
  }

  private sound(): MediaTrackConstraints {
    const { microphone, voice } = this.choice;
    return {
      ...(microphone === '' ? {} : { deviceId: { exact: microphone } }),
      echoCancellation: voice,
      noiseSuppression: voice,
      autoGainControl: voice,
    };
  }

  private took(given: MediaStream): void {
    for (const track of given.getTracks()) {
      const kind = track.kind as Kind;
      const old = this.track(kind);
      if (old) {
        this.stream.removeTrack(old);
        old.stop();
      }
      track.contentHint = kind === 'video' ? 'motion' : this.choice.voice ? 'speech' : 'music';
      track.enabled = kind === 'audio' ? !this.muted : !this.hidden;
      for (const type of ['mute', 'unmute']) track.addEventListener(type, () => this.onchange());
      track.addEventListener('ended', () => void this.ended(track));
      this.stream.addTrack(track);
      this.trouble[kind] = null;
      this.onreplaced(track);
    }
  }

  /** A device was unplugged, or its permission taken back: another of its kind takes its place. */
  private async ended(track: MediaStreamTrack): Promise<void> {
    if (this.track(track.kind as Kind) !== track) return;
    if (track.kind === 'video') this.choice.camera = '';
    else this.choice.microphone = '';
    await this.reopen(track.kind as Kind);
  }

  /** Something was plugged in or out; what was missing may be there now. */
  private async plugged(): Promise<void> {
    for (const kind of ['video', 'audio'] as const) {
      if (this.trouble[kind] === 'missing') await this.reopen(kind);
    }
    this.onchange();
  }
}
