import { Children, h, write } from './dom';
import { commandButton, everySecond, type Studio } from './studio';
import { clockText, timeOfDay } from './times';
import type { LadderInfo, RungInfo, StreamInfo } from './types';

/** How often the stream's state is read while somebody looks; ms. */
const refreshEvery = 2000;

/** A fact about the stream; words are empty where it is not known. */
interface Fact {
  readonly label: string;
  readonly words: string;
}

/** A bit rate as people say it. */
export function rate(bps: number): string {
  return bps >= 1e6 ? `${(bps / 1e6).toFixed(1)} Mbit/s` : `${Math.round(bps / 1000)} kbit/s`;
}

/** What is to be said about a stream; null is none that is live. */
export function facts(info: StreamInfo | null, { s, lang }: Pick<Studio, 's' | 'lang'>, now: number): Fact[] {
  if (!info) return [];
  const video = info.tracks.find(({ kind }) => kind === 'video');
  const audio = info.tracks.find(({ kind }) => kind === 'audio');
  const drops = Object.entries(info.drops).filter(([, count]) => count > 0);
  const size = video?.width && video.height ? `${video.width} × ${video.height}, ` : '';
  const all: Fact[] = [
    { label: s.viewersNow, words: new Intl.NumberFormat(lang).format(info.viewers) },
    { label: s.bitrate, words: info.bitrate_bps > 0 ? rate(info.bitrate_bps) : '' },
    { label: s.video, words: video ? `${size}${video.codec}` : s.none },
    { label: s.frameRate, words: video?.frame_rate ? s.perSecond(String(Number(video.frame_rate.toFixed(2)))) : '' },
    {
      label: s.keyframes,
      words: info.keyframe_interval_seconds ? s.seconds(Number(info.keyframe_interval_seconds.toFixed(1))) : '',
    },
    {
      label: s.audio,
      words: audio ? `${audio.codec}${audio.sample_rate ? `, ${audio.sample_rate / 1000} kHz` : ''}` : s.none,
    },
    {
      label: s.drops,
      words:
        drops.length === 0 ? s.none : drops.map(([reason, count]) => `${count} ${reason.replaceAll('_', ' ')}`).join(', '),
    },
    { label: s.reconnects, words: String(info.reconnects) },
    { label: s.since, words: clockText(now - Date.parse(info.started_at)) },
    { label: s.protocol, words: [info.protocol, info.agent].filter(Boolean).join(', ') },
  ];
  return all.filter(({ words }) => words !== '');
}

/** How a ladder does, in a line: its state, what it is for, and what encodes it; the node's reason where it has one. */
export function ladderState(ladder: LadderInfo, s: Studio['s']): string {
  const about = [
    [ladder.name, s.ladderModes[ladder.mode]].filter(Boolean).join(' '),
    ladder.backend === undefined ? '' : s.encoder(ladder.backend),
    ladder.converts.join(', '),
  ];
  const words = [s.ladderStates[ladder.state] ?? ladder.state, ...about.filter(Boolean)].join(' · ');
  return ladder.reason ? `${words}. ${ladder.reason}` : words;
}

/** How a rung does: its bit rate and how late it is, or why there is none. */
export function rungState(rung: RungInfo, s: Studio['s']): string {
  const state = s.ladderStates[rung.state] ?? rung.state;
  if (rung.state !== 'running') return rung.reason ? `${state}: ${rung.reason}` : state;
  return [
    rate(rung.measured_bps || rung.bitrate_bps),
    rung.lag_seconds >= 0.05 ? s.behindSource(rung.lag_seconds.toFixed(1)) : '',
  ]
    .filter(Boolean)
    .join(', ');
}

/** FactList is a list of facts that changes in place. */
class FactList {
  readonly el = h('dl', { class: 'facts' });
  private readonly pairs = new Children<{ el: HTMLElement; value: HTMLElement }>(this.el);

  set(facts: readonly Fact[]): void {
    this.pairs.set(
      facts.map(({ label }) => label),
      (label) => {
        const value = h('dd');
        return { el: h('div', {}, h('dt', { text: label }), value), value };
      },
    );
    for (const { label, words } of facts) {
      const pair = this.pairs.get(label);
      if (pair) write(pair.value, words);
    }
  }
}

/** Health reads how the stream is doing and says it, with what could be done better. */
export class Health {
  private info: StreamInfo | null = null;
  private readonly list = new FactList();
  private readonly ladder = h('div', { class: 'ladder', attributes: { hidden: '' } });
  private readonly ladderWords = h('p', { class: 'state' });
  private readonly rungs = new FactList();
  private readonly state = h('p', { class: 'state' });
  private readonly advice = h('ul', { class: 'advice', attributes: { 'aria-live': 'polite' } });
  private readonly inBand: HTMLButtonElement;
  private readonly refusal = h('p', { class: 'hint' });

  constructor(
    private readonly studio: Studio,
    section: HTMLElement,
    private readonly signal: HTMLElement,
  ) {
    const { s, store, commands, clock } = studio;
    const watch = h('a', {
      text: s.watchPage,
      attributes: { href: studio.access.watch, target: '_blank', rel: 'noopener' },
    });
    this.inBand = commandButton(studio, { class: 'switch', attributes: { role: 'switch' } }, () =>
      commands.acceptInBand(!store.view?.in_band),
    );
    this.inBand.textContent = s.inBand;
    section.append(
      h('h2', { text: s.streamTab }),
      this.state,
      this.advice,
      this.list.el,
      this.ladder,
      watch,
      h('h3', { text: s.inBandTitle }),
      this.inBand,
      this.refusal,
    );
    this.ladder.append(h('h3', { text: s.ladder }), this.ladderWords, this.rungs.el);
    store.onchange(() => this.updateInBand());
    document.addEventListener('visibilitychange', () => void this.refresh());
    setInterval(() => void this.refresh(), refreshEvery);
    everySecond(
      section,
      () => clock.now(),
      () => this.update(),
    );
    void this.refresh();
  }

  private async refresh(): Promise<void> {
    if (document.hidden) return;
    try {
      const asked = Date.now();
      const response = await fetch(this.studio.api.url(''), { headers: this.studio.api.authorization, cache: 'no-store' });
      this.studio.clock.heard(response.headers.get('Date'), asked, Date.now());
      this.info = response.ok ? ((await response.json()) as StreamInfo) : null;
    } catch {
      // What was known last stays; that there is no connection is said elsewhere.
      return;
    }
    this.update();
  }

  private update(): void {
    const { studio, info } = this;
    const { s, clock } = studio;
    const now = clock.now();
    this.list.set(facts(info, studio, now));
    this.updateLadder(info?.ladder);
    write(this.state, this.words(now));
    this.state.dataset['state'] = info?.state ?? 'none';
    const advice = info?.advice ?? [];
    const told = [...this.advice.children].map((line) => line.textContent);
    if (told.join('\n') !== advice.join('\n')) this.advice.replaceChildren(...advice.map((text) => h('li', { text })));
    write(this.signal, info ? `${this.short()} · ${s.watching(info.viewers)}` : s.notLive);
    this.signal.dataset['state'] = info?.state ?? 'none';
    this.signal.dataset['advice'] = String(advice.length > 0);
  }

  /** Tells what is made of the stream; nothing where nothing is. */
  private updateLadder(ladder: LadderInfo | undefined): void {
    const { s } = this.studio;
    this.ladder.hidden = ladder === undefined;
    if (ladder === undefined) return;
    write(this.ladderWords, ladderState(ladder, s));
    this.ladderWords.dataset['ladder'] = ladder.state;
    this.rungs.set(ladder.rungs.map((rung) => ({ label: rung.name, words: rungState(rung, s) })));
  }

  private short(): string {
    return this.info?.state === 'live' ? this.studio.s.live : this.studio.s.away;
  }

  private words(now: number): string {
    const { s } = this.studio;
    if (!this.info) return s.notLiveMore;
    if (this.info.state === 'live') return s.live;
    const until = Date.parse(this.info.waiting_until ?? '');
    return Number.isNaN(until) ? s.away : s.awayFor(clockText(until - now));
  }

  private updateInBand(): void {
    const { s, store, lang, clock } = this.studio;
    this.inBand.setAttribute('aria-checked', String(store.view?.in_band ?? false));
    const refused = store.view?.in_band_refusal;
    const last = refused && `${timeOfDay(refused.at, lang, clock.now())}, ${s.sources[refused.source] ?? refused.source}`;
    const words = refused ? s.inBandRefused(refused.count, last ?? '', refused.message) : '';
    write(this.refusal, words);
  }
}
