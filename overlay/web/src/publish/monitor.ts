import { Children, h, write } from '../studio/dom';
import { figures, judge, sampleOf, type Complaint, type Figures, type Grade, type Sample, type Wanted } from './health';
import type { PublishStrings } from './strings';

/** The little of GET /api/v1/streams/NAME that is shown. */
export interface NodeView {
  readonly state: string;
  readonly viewers: number;
  readonly advice: readonly string[];
}

/** Reads what the node says of the stream; null when it is not what was expected. */
export function nodeView(answer: unknown): NodeView | null {
  if (typeof answer !== 'object' || answer === null) return null;
  const { state, viewers, advice } = answer as Record<string, unknown>;
  if (typeof state !== 'string') return null;
  return {
    state,
    viewers: typeof viewers === 'number' ? viewers : 0,
    advice: Array.isArray(advice) ? advice.filter((line) => typeof line === 'string') : [],
  };
}

const mega = (bits: number): string => (bits / 1e6).toFixed(1);

/** Monitor says how the connection does: in a word, in a sentence where something is wrong, and in figures. */
export class Monitor {
  private readonly grade = h('p', { id: 'grade', class: 'grade', attributes: { role: 'status' } });
  private readonly sentence = h('p', { id: 'complaint', class: 'complaint', attributes: { role: 'status' } });
  private readonly facts = h('dl', { class: 'facts' });
  private readonly pairs = new Children<{ el: HTMLElement; value: HTMLElement }>(this.facts);
  private readonly adviceTitle = h('h3', {});
  private readonly advice = h('ul', { id: 'advice', class: 'advice', attributes: { 'aria-live': 'polite' } });
  private before: Sample | null = null;
  private wrong: Complaint | null = null;

  constructor(
    private readonly s: PublishStrings,
    section: HTMLElement,
    /** Where the same is said in one line. */
    private readonly pulse: HTMLElement,
  ) {
    this.adviceTitle.textContent = s.advice;
    section.append(h('h2', { text: s.health }), this.grade, this.sentence, this.facts, this.adviceTitle, this.advice);
    this.clear();
  }

  /** What is wrong; null when nothing is. */
  get complaint(): Complaint | null {
    return this.wrong;
  }

  /** Takes a report. age is how long media have flowed; ms. */
  take(report: RTCStatsReport, at: number, wanted: Wanted, age: number): void {
    const sample = sampleOf(report as unknown as Iterable<readonly [string, Record<string, unknown>]>, at);
    const now = this.before && figures(this.before, sample);
    this.before = sample;
    if (!now) return;
    const { grade, complaint } = judge(now, wanted, age);
    this.wrong = complaint;
    this.graded(grade, complaint);
    this.show(now, wanted);
    const { s } = this;
    const line = [s.grades[grade], `${mega(now.bitrate)} Mbit/s`, `${now.frameRate.toFixed(0)} fps`];
    if (now.roundTrip !== null) line.push(`${Math.round(now.roundTrip * 1000)} ms`);
    write(this.pulse, line.join(' · '));
  }

  /** There is a connection, of which nothing is known yet. */
  begin(): void {
    if (!this.before) this.graded('measuring', null);
  }

  /** There is no connection to speak of. */
  clear(): void {
    this.before = this.wrong = null;
    this.graded(null, null);
    write(this.pulse, '');
    this.pairs.set([], () => {
      throw new Error('nothing is made of nothing');
    });
    this.told([]);
  }

  /** Shows the node's advice, as it words it. */
  told(lines: readonly string[]): void {
    const shown = [...this.advice.children].map((line) => line.textContent);
    if (shown.join('\n') !== lines.join('\n')) {
      this.advice.replaceChildren(...lines.map((text) => h('li', { text, attributes: { dir: 'auto' } })));
    }
    this.adviceTitle.hidden = this.advice.hidden = lines.length === 0;
  }

  private graded(grade: Grade | null, complaint: Complaint | null): void {
    const { s } = this;
    write(this.grade, grade === null ? '' : s.grades[grade]);
    for (const element of [this.grade, this.pulse]) element.dataset['grade'] = grade ?? 'none';
    write(this.sentence, complaint === null ? '' : s.complaints[complaint]);
  }

  private show(f: Figures, wanted: Wanted): void {
    const { s } = this;
    const said: [string, string][] = [
      [s.bitrate, s.sentOf(mega(f.bitrate), mega(wanted.bitrate))],
      [s.frames, s.perSecond(f.frameRate.toFixed(0))],
      [s.picture, f.width > 0 ? `${f.width} × ${f.height} ${f.codec}` : ''],
      [s.loss, f.loss === null ? '' : `${(f.loss * 100).toFixed(1)} %`],
      [s.roundTrip, f.roundTrip === null ? '' : `${Math.round(f.roundTrip * 1000)} ms`],
      [s.limit, s.limits[f.limit]],
      [s.path, f.protocol.toUpperCase()],
    ];
    const lines = said.filter(([, value]) => value !== '');
    this.pairs.set(
      lines.map(([label]) => label),
      (label) => {
        const value = h('dd', { attributes: { dir: 'auto' } });
        return { el: h('div', {}, h('dt', { text: label }), value), value };
      },
    );
    for (const [label, value] of lines) {
      const pair = this.pairs.get(label);
      if (pair) write(pair.value, value);
    }
  }
}
