import { element } from '../element';
import { icon, write, type IconName } from '../studio/dom';
import { clockText } from '../studio/times';
import type { Devices, Trouble } from './devices';
import type { Complaint } from './health';
import { deflection } from './level';
import type { PublishStrings } from './strings';
import type { Uplink } from './uplink';

/** What the host can ask for by the round buttons. */
export interface Wishes {
  allow(): void;
  mute(): void;
  hide(): void;
  flip(): void;
}

/** What is to be shown. */
export interface Shown {
  readonly devices: Devices;
  readonly uplink: Uplink;
  /** null when it is not known. */
  readonly viewers: number | null;
  /** What is wrong with the connection; null when nothing is. */
  readonly complaint: Complaint | null;
  /** Camera and microphone are being opened. */
  readonly opening: boolean;
}

/** The sentence on what is wrong with camera and microphone; '' when nothing is. */
export function troubleWords(s: PublishStrings, video: Trouble | null, audio: Trouble | null): string {
  if (video !== null && video === audio) return s.troubles.both[video];
  return [video && s.troubles.video[video], audio && s.troubles.audio[audio]].filter((words) => words).join(' ');
}

/** The sentence on why there is no connection; '' when there is nothing to say. */
export function connectionWords(s: PublishStrings, uplink: Pick<Uplink, 'state' | 'failure' | 'blocked'>): string {
  const { state, failure, blocked } = uplink;
  if (failure && failure.detail !== '') return failure.detail;
  if (state === 'refused') return failure && failure.status > 0 ? s.refusedAs(`HTTP ${failure.status}`) : s.trying;
  if (blocked) return s.blocked;
  if (state === 'waiting' && failure) return failure.status === 0 ? s.silentNode : s.refusedAs(`HTTP ${failure.status}`);
  return '';
}

/** Face is what the page shows and the buttons on it. */
export class Face {
  private readonly page = element('publish', HTMLElement);
  private readonly stage = element('stage', HTMLElement);
  private readonly veil = element('veil', HTMLElement);
  private readonly allow = element('allow', HTMLButtonElement);
  private readonly mute = element('mute', HTMLButtonElement);
  private readonly hide = element('hide', HTMLButtonElement);
  private readonly flip = element('flip', HTMLButtonElement);
  private readonly level = element('level', HTMLElement);
  private readonly bar = element('level-bar', HTMLElement);
  private readonly panel = element('panel', HTMLElement);
  private readonly opener = element('open-panel', HTMLButtonElement);
  private silent = false;
  private last: Shown | null = null;

  constructor(
    private readonly s: PublishStrings,
    wishes: Wishes,
  ) {
    element('preview', HTMLVideoElement).ariaLabel = s.preview;
    this.level.ariaLabel = s.level;
    this.allow.addEventListener('click', () => wishes.allow());
    this.mute.addEventListener('click', () => wishes.mute());
    this.hide.addEventListener('click', () => wishes.hide());
    this.flip.addEventListener('click', () => wishes.flip());
    dress(this.flip, 'flip', s.flip);
    this.flip.hidden = true;
    this.movePanel();
  }

  /** Whether there is another camera to turn to. */
  offerFlip(yes: boolean): void {
    this.flip.hidden = !yes;
  }

  /** Shows how things are. */
  show(shown: Shown): void {
    this.last = shown;
    const { s } = this;
    const { devices, uplink, viewers } = shown;
    const { state } = uplink;
    this.page.dataset['state'] = state;
    this.stage.dataset['mirrored'] = String(devices.mirrored);
    toggle(this.mute, devices.muted, devices.muted ? 'microphoneOff' : 'microphone', devices.muted ? s.unmute : s.mute);
    toggle(this.hide, devices.hidden, devices.hidden ? 'cameraOff' : 'camera', devices.hidden ? s.unhide : s.hide);
    this.mute.disabled = !devices.track('audio');
    this.hide.disabled = !devices.track('video');
    const badge = element('badge', HTMLElement);
    write(badge, state === 'live' ? s.live : s.offAir);
    badge.dataset['live'] = String(state === 'live');
    write(element('viewers', HTMLElement), viewers === null ? '' : s.watching(viewers));
    const said = connectionWords(s, uplink);
    const more = s.more[state];
    const headline = state === 'off' ? '' : s.states[state];
    const words = more === '' ? headline : `${headline}${headline.endsWith('…') ? ' ' : ' · '}${more}`;
    write(element('state', HTMLElement), words);
    write(element('trouble', HTMLElement), said);
    this.showVeil(shown);
    this.showHint(shown);
  }

  /** Shows what changes all the time: the level, whether the microphone is silent, and the time on air in ms. */
  tick(level: number | null, silent: boolean, onAir: number | null): void {
    const out = level === null ? 0 : deflection(level);
    this.bar.style.setProperty('--out', out.toFixed(2));
    this.level.setAttribute('aria-valuenow', String(Math.round(out * 100)));
    write(element('timer', HTMLElement), onAir === null ? '' : clockText(onAir));
    if (silent === this.silent) return;
    this.silent = silent;
    if (this.last) this.showHint(this.last);
  }

  /** What lies over the picture while there is none. */
  private showVeil({ devices, opening }: Shown): void {
    const { s, veil, allow } = this;
    const { video, audio } = devices.trouble;
    const closed = devices.stream.getTracks().length === 0;
    const wrong = troubleWords(s, video, audio);
    veil.hidden = !closed && video === null;
    write(element('veil-title', HTMLElement), opening ? s.opening : wrong === '' ? s.allowTitle : '');
    write(element('veil-more', HTMLElement), opening ? '' : wrong === '' ? s.allowMore : wrong);
    allow.hidden = opening || video === 'insecure';
    write(allow, wrong === '' ? s.allow : s.again);
  }

  /** One sentence on what the host should know now, the most important first. */
  private showHint({ devices, complaint }: Shown): void {
    const { s } = this;
    const { video, audio } = devices.trouble;
    const hints = [
      video === null && audio !== null ? s.troubles.audio[audio] : '',
      devices.track('video')?.muted ? s.interrupted : '',
      devices.muted ? s.muted : this.silent ? s.silent : '',
      devices.hidden ? s.hidden : '',
      complaint ? s.complaints[complaint] : '',
    ];
    write(element('hint', HTMLElement), hints.find((words) => words !== '') ?? '');
  }

  /** The panel is a sheet on small screens, opened and closed by buttons; on large ones it is always there. */
  private movePanel(): void {
    const { s, panel, opener } = this;
    const close = element('close-panel', HTMLButtonElement);
    dress(opener, 'settings', s.settings);
    dress(close, 'close', s.close);
    panel.ariaLabel = s.settings;
    const set = (open: boolean) => {
      panel.dataset['open'] = String(open);
      opener.setAttribute('aria-expanded', String(open));
      (open ? panel : opener).focus();
    };
    opener.addEventListener('click', () => set(panel.dataset['open'] !== 'true'));
    close.addEventListener('click', () => set(false));
    panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && panel.dataset['open'] === 'true') set(false);
    });
  }
}

function dress(button: HTMLButtonElement, drawing: IconName, words: string): void {
  if (button.dataset['icon'] !== drawing) button.replaceChildren(icon(drawing));
  button.dataset['icon'] = drawing;
  button.title = words;
  button.setAttribute('aria-label', words);
}

function toggle(button: HTMLButtonElement, on: boolean, drawing: IconName, words: string): void {
  dress(button, drawing, words);
  button.dataset['off'] = String(on);
}
