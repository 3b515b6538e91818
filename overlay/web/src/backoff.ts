/**
 * Backoff gives the waits between tries: from first to most, growing by half each time, spread by a fifth either way so
 * that viewers who lost the same stream do not all come back in the same moment. All times in ms.
 */
export class Backoff {
  private next: number;

  constructor(
    private readonly first: number,
    private readonly most: number,
    private readonly random: () => number = Math.random,
  ) {
    this.next = first;
  }

  /** The wait before the next try. */
  delay(): number {
    const base = this.next;
    this.next = Math.min(this.most, base * 1.5);
    return base * (0.8 + 0.4 * this.random());
  }

  /** Starts over, after a success. */
  reset(): void {
    this.next = this.first;
  }
}
