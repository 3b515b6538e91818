import { element } from './element';
import type { Player } from './player';
import type { Strings } from './strings';

/** WebKit's own way to fill an iPhone's screen. */
interface FullscreenVideo extends HTMLVideoElement {
  webkitEnterFullscreen?: () => void;
}

/** Controls are the viewer's buttons and keys. */
export class Controls {
  private readonly play = element('play', HTMLButtonElement);
  private readonly sound = element('sound', HTMLButtonElement);
  private readonly soundText = element('sound-text', HTMLElement);
  private readonly full = element('full', HTMLButtonElement);
  private readonly live = element('live', HTMLButtonElement);
  private readonly liveText = element('live-text', HTMLElement);
  private readonly latency = element('latency', HTMLElement);

  constructor(
    private readonly stage: HTMLElement,
    private readonly video: FullscreenVideo,
    private readonly player: Player,
    private readonly strings: Strings,
  ) {
    this.play.addEventListener('click', () => player.toggle());
    this.sound.addEventListener('click', () => this.toggleSound());
    this.live.addEventListener('click', () => player.jumpToLive());
    this.full.addEventListener('click', () => this.toggleFullscreen());
    this.full.hidden = !stage.requestFullscreen && !video.webkitEnterFullscreen;
    this.full.ariaLabel = strings.fullscreen;
    for (const type of ['volumechange', 'play', 'pause']) video.addEventListener(type, () => this.update());
    document.addEventListener('keydown', (event) => this.key(event));
    this.update();
  }

  /** Shows how things are. */
  update(): void {
    const { player, strings, video } = this;
    const { muted, paused } = video;
    this.play.dataset['paused'] = String(paused);
    this.play.ariaLabel = paused ? strings.play : strings.pause;
    this.sound.dataset['muted'] = String(muted);
    this.sound.ariaLabel = muted ? strings.unmute : strings.mute;
    this.soundText.textContent = strings.unmute;
    const behind = player.behind;
    const atEdge = player.state === 'playing' && !behind;
    this.live.dataset['behind'] = String(behind);
    this.live.dataset['live'] = String(atEdge);
    this.live.disabled = !behind;
    this.liveText.textContent = behind ? strings.jump : strings.live;
    const seconds = player.state === 'playing' ? player.latency : null;
    this.latency.textContent = seconds === null ? '' : strings.behind(seconds.toFixed(1));
  }

  private toggleSound(): void {
    this.video.muted = !this.video.muted;
    if (!this.video.muted && this.video.volume === 0) this.video.volume = 1;
  }

  private toggleFullscreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    else if (this.stage.requestFullscreen) void this.stage.requestFullscreen().catch(() => {});
    else this.video.webkitEnterFullscreen?.();
  }

  private key(event: KeyboardEvent): void {
    // In a menu keys choose.
    if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLSelectElement) return;
    const onButton = event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement;
    switch (event.key) {
      case ' ':
        if (onButton) return;
        this.player.toggle();
        break;
      case 'k':
        this.player.toggle();
        break;
      case 'm':
        this.toggleSound();
        break;
      case 'f':
        this.toggleFullscreen();
        break;
      case 'l':
      case 'End':
        this.player.jumpToLive();
        break;
      default:
        return;
    }
    event.preventDefault();
  }
}
