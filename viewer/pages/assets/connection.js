// The banner that says a connection is lost; calm about short losses, clear about long ones.

import { byId, setText } from './dom.js'
import { duration } from './format.js'

// Shorter losses heal before they are worth a word.
const GRACE_MS = 1_500

export class ConnectionBanner {
  connected = false
  #banner = byId('lost')
  /** @type {number | null} */
  #since_ms = null
  #everOpen = false

  /** @param {'connecting' | 'open' | 'lost'} state */
  update(state) {
    this.connected = state === 'open'
    if (state === 'open') this.#everOpen = true
    if (state === 'lost') this.#since_ms ??= performance.now()
    if (state === 'open') this.#since_ms = null
    this.refresh()
  }

  /** Called every second, so that the time goes on. */
  refresh() {
    const lost_ms = this.#since_ms === null ? 0 : performance.now() - this.#since_ms
    this.#banner.hidden = lost_ms < GRACE_MS
    if (this.#banner.hidden) return
    // The seconds are not announced: an alert speaks when its text changes, so they come in tens.
    const rounded_ms = Math.floor(lost_ms / 10_000) * 10_000
    const how = rounded_ms === 0 ? '' : ` for ${duration(rounded_ms)}`
    const what = this.#everOpen ? 'Connection lost' : 'No connection to the server'
    setText(this.#banner, `${what}${how}. Trying again by itself; pictures below are old.`)
  }
}
