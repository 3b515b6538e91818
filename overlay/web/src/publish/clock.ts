/** Clock is time as the connection knows it, so that tests can have their own. */
export interface Clock {
  /** ms since some moment; it never goes back. */
  now(): number;
  /** Calls f once after so many ms; what it returns calls that off. */
  after(ms: number, f: () => void): () => void;
}

export const browserClock: Clock = {
  now: () => performance.now(),
  after(ms, f) {
    const timer = setTimeout(f, ms);
    return () => clearTimeout(timer);
  },
};
