// Compares what a page painted with what the media say: with which picture a card came, changed or went.

/** A jump by more frames than this begins another run: a seek, a join, or a hole. */
const jump = 12;

/**
 * The states by frame: what a picture must be seen with. changes are {frame, shows, way} by frame; of those of one frame the
 * last counts. nothing is how a page looks before the first of them.
 */
export class Truth {
  constructor(changes, nothing = '') {
    const all = [{ frame: -Infinity, shows: nothing, way: 'none' }, ...changes];
    this.changes = all.filter(({ frame }, i) => all[i + 1]?.frame !== frame);
  }

  /** The index of the change that holds at a frame; 0 is that before all changes. */
  at(frame) {
    return this.changes.findLastIndex((change) => change.frame <= frame);
  }

  shows(frame) {
    return this.changes[this.at(frame)].shows;
  }
}

/** Splits samples where playback jumped. */
function runs(samples) {
  const all = [];
  for (const sample of samples) {
    const before = all.at(-1)?.at(-1);
    if (before && sample[1] >= before[1] && sample[1] - before[1] <= jump) all.at(-1).push(sample);
    else all.push([sample]);
  }
  return all;
}

function kindOf(before, after) {
  const slots = (text) => new Set(text.split(' ').filter(Boolean).map((word) => word.split(':')[0]));
  const [old, now] = [slots(before), slots(after)];
  if (now.size > old.size) return 'appears';
  return now.size < old.size ? 'disappears' : 'changes';
}

/**
 * Judges what one page painted: samples are [time, frame, cards, whether the browser told of a picture for it]. The results:
 *
 *	late   for each change, in frames: that of the first picture painted with the new state, less the one meant
 *	told   of how many of the pictures between the two the page was told: had it a chance to be on time?
 *	exact  whether the page was told of the very picture that was meant
 *	behind how many frames after the run's first picture it was: after the join, or the seek
 *	early  pictures that were painted with a state that was to come later
 *	wrong  pictures that were painted with another state after the right one had been there
 *	starts for each run: how many frames it took until the state was right
 *	unseen how many changes held while no picture was painted
 *	heard  pictures that the page was told of, of span in all runs
 */
export function judge(samples, truth) {
  const found = { changes: [], starts: [], early: [], wrong: [], unseen: 0, heard: 0, span: 0 };
  for (const run of runs(samples)) {
    const heard = run.filter(([, , , told]) => told).map(([, frame]) => frame);
    const between = (a, b) => new Set(heard.filter((frame) => frame >= a && frame < b)).size;
    found.heard += new Set(heard).size;
    found.span += run.at(-1)[1] - run[0][1] + 1;
    start(found, run, truth, between);
    for (let i = truth.at(run[0][1]) + 1; i < truth.changes.length; i++) {
      if (truth.changes[i].frame > run.at(-1)[1]) break;
      change(found, run, truth, i, between);
    }
    for (const [, frame, shown] of run) {
      const here = truth.at(frame);
      const of = truth.changes.findIndex(({ shows }, i) => i >= here - 3 && i <= here + 3 && shows === shown);
      if (of > here) found.early.push({ frame, shown, by: truth.changes[of].frame - frame });
    }
  }
  return found;
}

/** How long a run takes from its first picture to the right state. */
function start(found, run, truth, between) {
  const first = run[0][1];
  const right = run.find(([, frame, shown]) => shown === truth.shows(frame));
  const late = right ? right[1] - first : Infinity;
  if (right) stays(found, run, right, truth);
  if (run.at(-1)[1] - first > jump) found.starts.push({ frame: first, late, told: right ? between(first, right[1]) : Infinity });
}

function change(found, run, truth, i, between) {
  const { frame, shows, way } = truth.changes[i];
  const next = truth.changes[i + 1]?.frame ?? Infinity;
  const painted = run.find((sample) => sample[1] >= frame);
  if (painted[1] >= next) {
    found.unseen++; // no picture was painted while it held
    return;
  }
  const right = run.find((sample) => sample[1] >= frame && sample[2] === shows);
  // The run may end before there was another paint.
  if (!right && run.at(-1)[1] - frame <= 2) return;
  const seen = right?.[1] ?? Infinity;
  if (seen < next) stays(found, run, right, truth);
  found.changes.push({
    frame, shows, way, kind: kindOf(truth.changes[i - 1].shows, shows),
    late: seen - frame, told: between(frame, seen), exact: between(frame, frame + 1) === 1, behind: frame - run[0][1],
  });
}

/** Looks whether what is right stays so until the next change. */
function stays(found, run, right, truth) {
  const { frame: until } = truth.changes[truth.at(right[1]) + 1] ?? { frame: Infinity };
  for (const [, frame, shown] of run.slice(run.indexOf(right))) {
    if (frame >= until) return;
    if (shown !== right[2]) found.wrong.push({ frame, shown, instead: right[2] });
  }
}

/** The value that a share of numbers does not exceed. */
export function percentile(numbers, share) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)];
}
