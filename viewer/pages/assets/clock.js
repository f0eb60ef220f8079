// The server's clock as seen from here, from the echo with the shortest way there and back.

const KEPT = 12

/** This machine's clock: it never jumps, and counts in Unix milliseconds. */
export const localNow = () => performance.timeOrigin + performance.now()

export class ServerClock {
  /** @type {{ roundTrip_ms: number, offset_ms: number }[]} */
  #samples = []

  /** Forgets what was measured: another server may answer after a reconnect. */
  reset() {
    this.#samples = []
  }

  /**
   * Takes an echo.
   *
   * @param {number} sent_ms when the ping left, on this machine's clock
   * @param {number} received_ms when the pong came, on this machine's clock
   * @param {number} server_ms what the server's clock said in between
   */
  add(sent_ms, received_ms, server_ms) {
    const roundTrip_ms = received_ms - sent_ms
    if (!(roundTrip_ms >= 0) || !Number.isFinite(server_ms)) return
    this.#samples.push({ roundTrip_ms, offset_ms: server_ms - (sent_ms + received_ms) / 2 })
    if (this.#samples.length > KEPT) this.#samples.shift()
  }

  /** The shortest way there and back so far, which bounds the error: it is at most half of this. */
  get roundTrip_ms() {
    return this.#best()?.roundTrip_ms ?? null
  }

  /** Now on the server's clock, or null before the first echo. */
  now() {
    const best = this.#best()
    return best ? localNow() + best.offset_ms : null
  }

  #best() {
    let best = this.#samples[0]
    for (const sample of this.#samples) if (sample.roundTrip_ms < best.roundTrip_ms) best = sample
    return best
  }
}
