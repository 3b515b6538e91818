/** How long an answer may take; ms. */
const patience = 10_000;

/** Waits between tries; ms. The first, and the longest. */
const first = 250;
const longest = 5000;

/** Fetches a text of at most so many characters. It fails when there is none, or none in time. */
export async function read(
  fetch: typeof globalThis.fetch,
  address: string,
  cache: RequestCache,
  largest: number,
  signal: AbortSignal,
): Promise<string> {
  const limit = new AbortController();
  const stop = () => limit.abort();
  const timer = setTimeout(stop, patience);
  signal.addEventListener('abort', stop);
  try {
    const response = await fetch(address, { credentials: 'omit', cache, signal: limit.signal });
    if (!response.ok) throw new Error(`${address}: HTTP ${response.status}`);
    if (Number(response.headers.get('Content-Length')) > largest) throw new Error(`${address}: too large`);
    const text = await response.text();
    if (text.length > largest) throw new Error(`${address}: too large`);
    return text;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

/**
 * Waits before a further try: longer with each, spread by a fifth either way so that viewers who missed the same thing do not
 * all come back in the same moment. Never returns once signal is aborted.
 */
export function waitBeforeRetry(tries: number, signal: AbortSignal): Promise<void> {
  const wait = Math.min(longest, first * 1.7 ** (tries - 1)) * (0.8 + 0.4 * Math.random());
  return new Promise((resolve) => {
    if (signal.aborted) return;
    const timer = setTimeout(resolve, wait);
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  });
}
