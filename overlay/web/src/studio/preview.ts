import { element } from '../element';
import { Player } from '../player';
import { publish } from '../stats';
import { words } from '../status';
import type { Strings } from '../strings';
import { icon, write } from './dom';
import type { StudioStrings } from './strings';

/** How often the latency is written; ms. */
const every = 500;
/** The least time between two addresses that are asked for; ms. */
const renewEvery = 10_000;

/** Preview plays the stream as viewers get it, without sound until it is asked for. */
export class Preview {
  private readonly section = element('preview', HTMLElement);
  private readonly video = element('video', HTMLVideoElement);
  private readonly words = element('preview-words', HTMLElement);
  private readonly latency = element('latency', HTMLElement);
  private readonly sound = element('sound', HTMLButtonElement);
  private readonly player: Player;

  private movedAt = 0;

  /** playlist is where the stream can be watched, again gives where it can be when that is not good any more. */
  constructor(
    playlist: string,
    private readonly again: () => Promise<string>,
    private readonly strings: Strings,
    private readonly s: StudioStrings,
  ) {
    const { video, sound } = this;
    this.section.setAttribute('aria-label', s.preview);
    this.player = new Player(video, new URL(playlist, location.href).href);
    this.player.onchange = () => this.update();
    sound.addEventListener('click', () => (video.muted = !video.muted));
    video.addEventListener('volumechange', () => this.update());
    setInterval(() => this.update(), every);
    publish(this.player.stats());
    this.player.start();
    this.update();
  }

  /** Addresses that are signed are good for some hours. */
  private async renew(): Promise<void> {
    const now = performance.now();
    if (this.movedAt > 0 && now - this.movedAt < renewEvery) return;
    this.movedAt = now;
    try {
      this.player.moveTo(new URL(await this.again(), location.href).href);
    } catch {
      // It is tried again.
    }
  }

  private update(): void {
    const { player, strings, video, sound } = this;
    if (player.state === 'refused') void this.renew();
    const { headline } = words(player.state, strings, player.refusal);
    this.section.dataset['state'] = player.state;
    write(this.words, headline);
    const seconds = player.state === 'playing' ? player.latency : null;
    write(this.latency, seconds === null ? '' : this.s.latency(seconds.toFixed(1)));
    const muted = String(video.muted);
    if (sound.dataset['muted'] === muted) return;
    sound.dataset['muted'] = muted;
    sound.setAttribute('aria-label', video.muted ? strings.unmute : strings.mute);
    sound.replaceChildren(icon(video.muted ? 'muted' : 'loud'));
  }
}
