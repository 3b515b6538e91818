/** The most that an answer may take to say anything about the time; ms. */
const longest = 5000;

/**
 * ServerClock knows the node's time of day from the Date headers of its answers. They count whole seconds; each answer
 * bounds by how much this computer's clock is off, and all together bound it closely. A clock that can be right is taken to
 * be. All times in ms.
 */
export class ServerClock {
  private least = -Infinity;
  private most = Infinity;

  constructor(private readonly local: () => number = Date.now) {}

  /** The node's time of day. */
  now(): number {
    return this.local() + this.offset;
  }

  /** What has to be added to this computer's clock. */
  get offset(): number {
    return Math.max(this.least, Math.min(this.most, 0));
  }

  /** Takes note of an answer: its Date header, and when it was asked for and came, by this computer's clock. */
  heard(date: string | null, asked: number, came: number): void {
    const at = date === null ? NaN : Date.parse(date);
    if (Number.isNaN(at) || came < asked || came - asked > longest) return;
    const [least, most] = [at - came, at + 1000 - asked];
    // One of the clocks was set: what was known before is wrong.
    const fresh = least > this.most || most < this.least;
    this.least = fresh ? least : Math.max(this.least, least);
    this.most = fresh ? most : Math.min(this.most, most);
  }
}
