// Gathers what was measured, prints it and judges it.
import assert from 'node:assert/strict';
import { colour } from './glass.mjs';
import { judge, percentile, Truth } from './measure.mjs';

export class Report {
  #tapes = [];
  #glass = null;

  /** Takes what a page recorded while something was done. */
  add(situation, viewer, show, tape) {
    this.#tapes.push({ situation, player: viewer.name, show, tape });
  }

  /** Takes what was on the glass of one page. */
  glass(name, samples, show) {
    const main = show.truth().changes.map(({ frame, shows, way }) => ({
      frame, way, shows: colour(shows.split(' ').find((word) => word.startsWith('main:'))),
    }));
    this.#glass = { name, count: samples.length, found: judge({ samples, told: [] }, new Truth(main)) };
  }

  /** Judges all tapes, once all media were read. */
  #judged() {
    this.judged ??= (() => {
      const truths = new Map();
      return this.#tapes.map(({ situation, player, show, tape }) => {
        if (!truths.has(show)) truths.set(show, show.truth());
        return { situation, player, ...judge(tape, truths.get(show)) };
      });
    })();
    return this.judged;
  }

  /** Rows: by situation and player, by way, by kind. */
  #rows() {
    const all = this.#judged();
    const rows = [];
    const group = (title, of, each) => {
      const groups = new Map();
      for (const tape of all) {
        for (const item of each(tape)) {
          const name = of(tape, item);
          if (!groups.has(name)) groups.set(name, []);
          groups.get(name).push(item);
        }
      }
      rows.push({ title });
      for (const [name, items] of groups) rows.push({ name, items });
    };
    group('where and with what', ({ situation, player }) => `${situation} · ${player}`, ({ changes }) => changes);
    group('how the card came', (_, { way }) => way, ({ changes }) => changes);
    group('what it did', (_, { kind }) => kind, ({ changes }) => changes);
    group('the state that stands, from the first picture', ({ situation, player }) => `${situation} · ${player}`, ({ starts }) => starts);
    return rows;
  }

  lines() {
    const all = this.#judged();
    const lines = [
      `${''.padEnd(64)}| frames late        | picture was told        | told between`,
      `${'frames late'.padEnd(58)}     n | p50 p95 max        |     n p50 p95 max       | p50 p95 max`,
    ];
    for (const { title, name, items } of this.#rows()) lines.push(title ? `— ${title}` : line(name, items));
    const early = all.flatMap((tape) => tape.early.map((e) => ({ ...e, player: tape.player, situation: tape.situation })));
    lines.push(`early: ${early.length}${early.length ? `: ${JSON.stringify(early.slice(0, 10))}` : ''}`);
    lines.push(`changes between which no picture was painted: ${all.reduce((sum, { unseen }) => sum + unseen, 0)}`);
    const { name, count, found } = this.#glass;
    lines.push(`${name}: ${count} pictures; early: ${found.early.length}`, line(name, found.changes));
    return lines;
  }

  /** Fails where a card was early, or later than a frame at p95. */
  judge() {
    for (const { situation, player, early } of this.#judged()) {
      assert.deepEqual(early, [], `${player}, ${situation}: cards that were early`);
    }
    assert.deepEqual(this.#glass.found.early, [], 'cards that were early on the glass');
    for (const { name, items } of this.#rows()) {
      if (!name) continue;
      const told = percentile(items.map((item) => item.told), 0.95);
      assert.ok(told <= 1, `${name}: at p95 the page was told of ${told} pictures before the card was there`);
      const exact = items.filter((item) => item.exact).map((item) => item.late);
      if (exact.length > 0) assert.ok(percentile(exact, 0.95) <= 1, `${name}: cards are ${percentile(exact, 0.95)} frames late at p95`);
    }
  }
}

/** A line of the table. */
function line(name, items) {
  const three = (numbers) => [0.5, 0.95, 1].map((share) => String(percentile(numbers, share)).padStart(4)).join('');
  const exact = items.filter((item) => item.exact);
  const number = (n) => String(n).padStart(5);
  const late = (list) => three(list.map((item) => item.late));
  return `${name.padEnd(58)} ${number(items.length)} |${late(items)}        |${number(exact.length)}${late(exact)}       |${three(items.map((item) => item.told))}`;
}
