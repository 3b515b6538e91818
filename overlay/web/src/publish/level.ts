/** Quieter than this for this long is silence: a microphone that is on has a noise of its own; dB of full scale, and ms. */
const floor = -66;
const silentAfter = 5000;
/** The range of the meter; dB. */
const range = 60;

/** The level of samples from -1 to 1 by their root mean square; dB of full scale, -100 for nothing at all. */
export function decibels(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return Math.max(-100, 10 * Math.log10(sum / Math.max(1, samples.length)));
}

/** How far the meter goes out at a level: 0 to 1. */
export function deflection(level: number): number {
  return Math.min(1, Math.max(0, 1 + level / range));
}

/** Silence tells when a microphone gives nothing. */
export class Silence {
  private heardAt: number | null = null;

  /** Takes a level at a time in ms, and tells whether it has been silent for long. */
  hear(level: number, now: number): boolean {
    if (this.heardAt === null || level > floor) this.heardAt = now;
    return now - this.heardAt > silentAfter;
  }

  /** Begins anew, with another microphone or after a mute. */
  reset(): void {
    this.heardAt = null;
  }
}

/** Meter measures what a stream's microphone gives. */
export class Meter {
  private context: AudioContext | null = null;
  private analyser: AnalyserNode | null = null;
  private source: MediaStreamAudioSourceNode | null = null;
  private samples = new Float32Array(2048);

  /** Listens to a track, in place of the one before. */
  follow(track: MediaStreamTrack): void {
    this.context ??= new AudioContext();
    this.analyser ??= new AnalyserNode(this.context, { fftSize: this.samples.length });
    this.source?.disconnect();
    this.source = this.context.createMediaStreamSource(new MediaStream([track]));
    this.source.connect(this.analyser);
  }

  /** Goes on where the browser waits for a touch before it lets pages listen. */
  wake(): void {
    if (this.context?.state === 'suspended') void this.context.resume();
  }

  /** The level of the last moment in dB; null while the browser does not let it be measured. */
  read(): number | null {
    if (!this.analyser || this.context?.state !== 'running') return null;
    this.analyser.getFloatTimeDomainData(this.samples);
    return decibels(this.samples);
  }
}
