/** Plain JSON values; absent stands for a key that is not there. */
type Value = unknown;

function isObject(value: Value): value is Record<string, Value> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether two JSON values are the same; the order of keys does not matter. */
export function same(a: Value, b: Value): boolean {
  if (Object.is(a, b)) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  return keys(a, b).every((key) => same(a[key], b[key]));
}

function keys(...objects: Record<string, Value>[]): string[] {
  return [...new Set(objects.flatMap((object) => Object.keys(object)))];
}

/**
 * The merge patch (RFC 7396) that makes after out of before and says nothing but what differs; null when nothing does.
 * Arrays have no names for what is in them, so one that differs is in the patch as a whole.
 */
export function diff(before: object, after: object): Record<string, Value> | null {
  const [a, b] = [before as Record<string, Value>, after as Record<string, Value>];
  const patch: Record<string, Value> = {};
  for (const key of keys(a, b)) {
    const [from, to] = [a[key], b[key]];
    if (same(from, to)) continue;
    if (to === undefined) patch[key] = null;
    else patch[key] = isObject(from) && isObject(to) ? diff(from, to) : to;
  }
  return Object.keys(patch).length > 0 ? patch : null;
}

/** Something that differs, by its path in the document: "offers[0].price". undefined is what is not there. */
export interface Change {
  readonly path: string;
  readonly from: Value;
  readonly to: Value;
}

/** All that differs between two documents, value by value; lists of another length are one value. */
export function changes(before: Value, after: Value, path = ''): Change[] {
  if (same(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    return keys(before, after).flatMap((key) => changes(before[key], after[key], path === '' ? key : `${path}.${key}`));
  }
  if (matched(before, after)) {
    const now = after as Value[];
    return before.flatMap((item, i) => changes(item, now[i], `${path}[${i}]`));
  }
  return [{ path, from: before, to: after }];
}

/** Whether both are lists of objects that can be told apart by their place. */
function matched(a: Value, b: Value): a is Value[] {
  return Array.isArray(a) && Array.isArray(b) && a.length === b.length && [...a, ...b].every(isObject);
}

/**
 * What I wrote, put on top of what somebody else wrote meanwhile: base is what both began with. Where both changed the same
 * value, mine counts.
 */
export function rebase<T>(base: T, mine: T, theirs: T): T {
  return merge(base, mine, theirs) as T;
}

function merge(base: Value, mine: Value, theirs: Value): Value {
  if (same(mine, base)) return theirs;
  if (same(theirs, base)) return mine;
  if (isObject(base) && isObject(mine) && isObject(theirs)) {
    const merged: Record<string, Value> = {};
    for (const key of keys(theirs, mine)) {
      const value = merge(base[key], mine[key], theirs[key]);
      if (value !== undefined) merged[key] = value;
    }
    return merged;
  }
  if (matched(mine, theirs) && matched(mine, base)) {
    const [was, now] = [base as Value[], theirs as Value[]];
    return mine.map((item, i) => merge(was[i], item, now[i]));
  }
  return mine;
}
