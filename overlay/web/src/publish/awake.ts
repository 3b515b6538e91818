/** Awake keeps the screen on while a show is on; browsers let go of it when the page is hidden. */
export class Awake {
  private wanted = false;
  private lock: WakeLockSentinel | null = null;

  constructor() {
    document.addEventListener('visibilitychange', () => void this.take());
  }

  set(on: boolean): void {
    if (on === this.wanted) return;
    this.wanted = on;
    if (on) void this.take();
    else {
      void this.lock?.release();
      this.lock = null;
    }
  }

  private async take(): Promise<void> {
    if (!this.wanted || document.hidden || (this.lock && !this.lock.released)) return;
    try {
      const lock = await navigator.wakeLock?.request('screen');
      if (this.wanted) this.lock = lock ?? null;
      else void lock?.release();
    } catch {
      // A battery that is low, or a browser that knows no such lock.
    }
  }
}
