// A frame's path from the camera to this screen: a bar per stage, each beginning where the last one ended.

import { element, setText } from './dom.js'
import { median, milliseconds } from './format.js'

const KEPT = 40

/** @type {{ key: string, name: string, what: string }[]} */
const STAGES = [
  { key: 'queue', name: 'Queue', what: 'From capture to the detector’s door' },
  { key: 'decode', name: 'Decode', what: 'JPEG to pixels' },
  { key: 'batch_wait', name: 'Wait', what: 'For the batch to fill or the model to be free' },
  { key: 'infer', name: 'Model', what: 'Inside the model' },
  { key: 'annotate', name: 'Draw', what: 'Masks, outlines and labels' },
  { key: 'encode', name: 'Encode', what: 'Pixels to JPEG' },
  { key: 'publish', name: 'Publish and join', what: 'Through Kafka, until picture and result had met' },
  { key: 'screen', name: 'Network and screen', what: 'To this browser, decoded and drawn' },
]

/** @typedef {Record<string, number>} Path milliseconds per stage */

/**
 * Splits the way of one frame into its stages.
 *
 * @param {import('./live.js').Header} header
 * @param {number} drawn_ms on the server's clock
 * @returns {Path}
 */
export function pathOf(header, drawn_ms) {
  /** @type {Path} */
  const path = {}
  let told_ms = 0
  for (const { key } of STAGES.slice(0, 6)) {
    path[key] = Math.max(0, header.timings_ms[key] ?? 0)
    told_ms += path[key]
  }
  path.publish = Math.max(0, header.joined_ms - header.captured_ms - told_ms)
  path.screen = Math.max(0, drawn_ms - header.joined_ms)
  return path
}

export class Waterfall {
  /** @type {Path[]} */
  #paths = []
  #rows

  /** @param {HTMLElement} list an `ol` */
  constructor(list) {
    this.#rows = STAGES.map(({ key, name, what }) => {
      const bar = element('span', { class: 'bar-fill', hidden: true })
      const value = element('span', { class: 'value' })
      const label = element('span', { class: 'stage', text: name })
      list.append(element('li', { title: what, 'data-stage': key }, label, element('span', { class: 'track', 'aria-hidden': 'true' }, bar), value))
      return { key, bar, value }
    })
  }

  /** @param {Path} path */
  add(path) {
    this.#paths.push(path)
    if (this.#paths.length > KEPT) this.#paths.shift()
  }

  /** Draws the middle of the newest frames, so that the bars hold still enough to be read. */
  refresh() {
    if (this.#paths.length === 0) return
    const middles = STAGES.map(({ key }) => median(this.#paths.map((path) => path[key])) ?? 0)
    const all = middles.reduce((sum, value) => sum + value, 0) || 1
    let start = 0
    this.#rows.forEach(({ bar, value }, index) => {
      const share = middles[index] / all
      bar.hidden = false
      bar.style.left = `${start * 100}%`
      bar.style.width = `${share * 100}%`
      setText(value, milliseconds(middles[index]))
      start += share
    })
  }
}
