import { h, write } from '../studio/dom';
import type { Devices } from './devices';
import { qualities, qualityNamed, type Shape } from './quality';
import type { PublishStrings } from './strings';

/** Fills a choice with what there is, where that differs. */
function fill(select: HTMLSelectElement, options: readonly (readonly [string, string])[], chosen: string): void {
  const key = JSON.stringify(options);
  if (select.dataset['options'] !== key) {
    select.replaceChildren(...options.map(([value, text]) => h('option', { text, attributes: { value } })));
    select.dataset['options'] = key;
  }
  select.value = chosen;
}

/** What the host has chosen beside devices, as it is kept on the device. */
interface Kept {
  quality: string;
  shape: Shape;
  voice: boolean;
  several: boolean;
}

/** The name under which choices are kept: they are the device's, not a stream's. */
const keptAs = 'pushcart.publish';

/** Reads what was chosen the last time; what is not there, or is nothing, is passed over. */
export function keptChoices(text: string | null): Partial<Kept> {
  try {
    const value: unknown = JSON.parse(text ?? '');
    if (typeof value !== 'object' || value === null) return {};
    const { quality, shape, voice, several } = value as Record<string, unknown>;
    return {
      ...(typeof quality === 'string' ? { quality } : {}),
      ...(shape === 'upright' || shape === 'wide' ? { shape } : {}),
      ...(typeof voice === 'boolean' ? { voice } : {}),
      ...(typeof several === 'boolean' ? { several } : {}),
    };
  } catch {
    return {};
  }
}

/** What was chosen on this device the last time. */
export function lastChoices(): Partial<Kept> {
  try {
    return keptChoices(localStorage.getItem(keptAs));
  } catch {
    return {};
  }
}

/** Setup is the part of the page where the host chooses camera, microphone and what is sent. */
export class Setup {
  /** Called when what is sent has changed but for its tracks. */
  onchange: () => void = () => {};

  private readonly camera = h('select', { id: 'camera' });
  private readonly microphone = h('select', { id: 'microphone' });
  private readonly quality = h('select', { id: 'quality' });
  private readonly shape = h('select', { id: 'shape' });
  private readonly voice = h('input', { id: 'voice', attributes: { type: 'checkbox' } });
  private readonly severalBox = h('input', { id: 'several', attributes: { type: 'checkbox' } });
  private readonly severalHint = h('p', { id: 'several-hint', class: 'hint' });

  constructor(
    private readonly s: PublishStrings,
    private readonly devices: Devices,
    section: HTMLElement,
    several: boolean,
  ) {
    const { choice } = devices;
    const field = (text: string, control: HTMLElement) => h('label', { class: 'field' }, h('span', { text }), control);
    const check = (text: string, control: HTMLElement) => h('label', { class: 'check' }, control, h('span', { text }));
    fill(this.quality, qualities.map(({ name }) => [name, `${name}p`]), choice.quality.name);
    fill(this.shape, [['upright', s.upright], ['wide', s.wide]], choice.shape);
    this.voice.checked = choice.voice;
    this.severalBox.checked = several;
    this.severalBox.setAttribute('aria-describedby', 'several-hint');
    section.append(
      h('h2', { text: s.settings }),
      field(s.camera, this.camera),
      field(s.microphone, this.microphone),
      h('div', { class: 'pair' }, field(s.quality, this.quality), ...(choice.shape === 'auto' ? [] : [field(s.shape, this.shape)])),
      check(s.voice, this.voice),
      h('p', { class: 'hint', text: s.voiceHint }),
      check(s.several, this.severalBox),
      this.severalHint,
    );
    this.on(this.camera, () => {
      choice.camera = this.camera.value;
      return devices.reopen('video');
    });
    this.on(this.microphone, () => {
      choice.microphone = this.microphone.value;
      return devices.reopen('audio');
    });
    this.on(this.quality, () => {
      choice.quality = qualityNamed(this.quality.value);
      return devices.adjust();
    });
    this.on(this.shape, () => {
      choice.shape = this.shape.value === 'upright' ? 'upright' : 'wide';
      return devices.adjust();
    });
    this.on(this.voice, () => {
      choice.voice = this.voice.checked;
      return devices.reopen('audio');
    });
    this.on(this.severalBox, async () => {});
  }

  /** Whether the picture is to be sent in several sizes. */
  get several(): boolean {
    return this.severalBox.checked;
  }

  /** Shows the devices there are. live: how many sizes are sent cannot be changed then. */
  async update(live: boolean): Promise<void> {
    const { s, devices } = this;
    this.severalBox.disabled = live;
    write(this.severalHint, live ? s.severalLive : s.severalHint);
    for (const [select, kind, track] of [
      [this.camera, 'videoinput', 'video'],
      [this.microphone, 'audioinput', 'audio'],
    ] as const) {
      const list = await devices.list(kind);
      fill(select, list.map(({ deviceId, label }, i) => [deviceId, label || s.unnamed(i + 1)]), devices.track(track)?.getSettings().deviceId ?? '');
      select.disabled = list.length === 0;
    }
  }

  /** Does what a control asks for, and keeps what is chosen. */
  private on(control: HTMLElement, run: () => Promise<void>): void {
    control.addEventListener('change', () => {
      void run().then(() => this.onchange());
      const { quality, shape, voice } = this.devices.choice;
      const kept: Partial<Kept> = { quality: quality.name, shape, voice, several: this.several };
      try {
        localStorage.setItem(keptAs, JSON.stringify(kept));
      } catch {
        // Then it is chosen again the next time.
      }
    });
  }
}
