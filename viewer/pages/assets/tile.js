// One tile of the wall: a source's newest picture, how fresh it is, and what is in it.

import { sourceApi } from './api.js'
import { Counts, inWords } from './counts.js'
import { element, setText } from './dom.js'
import { localNow } from './clock.js'
import { quietAfter, staleWords } from './fresh.js'
import { clockTime, duration, median, milliseconds, perSecond } from './format.js'
import { Picture } from './picture.js'

const LATENCIES_KEPT = 15
const COUNTS_EVERY_MS = 250
const DESCRIBED_EVERY_MS = 10_000

let serial = 0

/** @typedef {'waiting' | 'live' | 'quiet' | 'stale' | 'lost'} TileState */

export class Tile {
  /** @type {import('./live.js').Summary} */
  summary
  /** @type {TileState} */
  state = 'waiting'
  #clock
  #picture
  #canvas = element('canvas', { role: 'img', width: 640, height: 480 })
  #frame = element('div', { class: 'frame' })
  #badge = element('p', { class: 'badge' })
  #speed = element('p', { class: 'speed' })
  #fps = element('span')
  #latency = element('b')
  #counts
  /** @type {number[]} */
  #latencies_ms = []
  #drawn_ms = 0
  #shown_ms = 0
  #counted_ms = 0
  #described_ms = -Infinity

  /**
   * @param {import('./live.js').Summary} summary
   * @param {import('./clock.js').ServerClock} clock
   */
  constructor(summary, clock) {
    this.summary = summary
    this.#clock = clock
    serial += 1
    // A source's name may hold spaces, which an id may not.
    const id = `tile-${serial}`
    const list = element('ul', { class: 'counts', 'aria-label': 'In the picture' })
    this.#counts = new Counts(list)
    this.#badge.id = `${id}-state`
    this.#frame.append(this.#canvas, this.#badge)
    this.#canvas.setAttribute('aria-label', `${summary.id}: waiting for the first picture`)
    const latency = element('span', { title: 'From capture to this screen' }, 'latency ', this.#latency)
    this.#speed.append(this.#fps, latency)
    const line = element('div', { class: 'line' }, element('h2', { id, text: summary.id }), this.#speed)
    this.link = element(
      'a',
      { class: 'tile', href: `/sources/${encodeURIComponent(summary.id)}`, 'aria-labelledby': `${id} ${id}-state` },
      this.#frame,
      element('div', { class: 'caption' }, line, list),
    )
    this.item = element('li', {}, this.link)
    this.#picture = new Picture(this.#canvas, (header, drawn_ms) => this.#drawn(header, drawn_ms))
    this.#counts.show(summary.counts)
    this.update(summary)
  }

  /** @param {import('./live.js').Summary} summary */
  update(summary) {
    this.summary = summary
    setText(this.#fps, perSecond(summary.fps))
  }

  /** @param {import('./live.js').LiveFrame} frame */
  show(frame) {
    this.#picture.show(frame)
  }

  /**
   * Says how fresh the picture is. Called every second, and whenever something changed.
   *
   * @param {boolean} connected
   */
  refresh(connected) {
    const before = this.state
    this.state = this.#stateNow(connected)
    if (this.state === 'stale' && before !== 'stale' && this.#shown_ms === 0) {
      this.#picture.showLast(sourceApi(this.summary.id, '/snapshot.jpg'))
    }
    this.link.dataset.state = this.state
    setText(this.#badge, this.#words())
    const live = this.state === 'live'
    setText(this.#latency, live ? milliseconds(median(this.#latencies_ms)) : '–')
    this.#speed.hidden = !live
  }

  /** @param {boolean} connected @returns {TileState} */
  #stateNow(connected) {
    if (!connected) return 'lost'
    if (this.summary.stale) return 'stale'
    if (this.#shown_ms === 0) return 'waiting'
    return localNow() - this.#drawn_ms > quietAfter(this.summary) ? 'quiet' : 'live'
  }

  #words() {
    switch (this.state) {
      case 'lost':
        return this.#shown_ms ? `not connected, picture of ${clockTime(this.#shown_ms)}` : 'not connected'
      case 'stale':
        return staleWords(this.summary, this.#clock.now())
      case 'waiting':
        return 'waiting for a picture'
      case 'quiet':
        return `no new picture for ${duration(localNow() - this.#drawn_ms)}`
      default:
        return 'live'
    }
  }

  /**
   * @param {import('./live.js').Header} header
   * @param {number} drawn_ms
   */
  #drawn(header, drawn_ms) {
    this.#drawn_ms = drawn_ms
    this.#shown_ms = header.captured_ms
    const now_ms = this.#clock.now()
    // A source that has stopped sends its last frame again to whoever comes: that is no latency.
    if (now_ms !== null && !this.summary.stale) {
      this.#latencies_ms.push(now_ms - header.captured_ms)
      if (this.#latencies_ms.length > LATENCIES_KEPT) this.#latencies_ms.shift()
    }
    if (drawn_ms - this.#counted_ms > COUNTS_EVERY_MS) {
      if (header.counts.length === 0 && header.classes.length > 0) this.#counts.showClass(header.classes[0])
      else this.#counts.show(header.counts)
      this.#counted_ms = drawn_ms
    }
    if (drawn_ms - this.#described_ms > DESCRIBED_EVERY_MS) {
      this.#canvas.setAttribute('aria-label', `${header.source} at ${clockTime(header.captured_ms)}: ${describe(header)}`)
      this.#described_ms = drawn_ms
    }
    if (this.state === 'waiting' || this.state === 'quiet') this.refresh(true)
  }
}

/** @param {import('./live.js').Header} header */
function describe({ counts, classes }) {
  return counts.length === 0 && classes.length > 0 ? classes[0].label : inWords(counts)
}
