// Counts over time as stacked areas: drawn as SVG, read with the pointer, the arrow keys or as a table.

import { dot, element, svg } from './dom.js'
import { clockTime } from './format.js'

// In rem: around the areas, for the labels.
const MARGIN = { top: 0.6, right: 0.4, bottom: 1.7, left: 2.2 }
// A longer gap between two points means that nothing was seen in between, and the area is cut.
const GAP_STEPS = 3

/**
 * @typedef {import('./history.js').Point} Point
 * @typedef {{ points: Point[], labels: string[], colors: Map<string, string>, from_ms: number, to_ms: number, step_ms: number }} Series
 */

export class Chart {
  #place
  #plot = svg('svg', { 'aria-hidden': 'true' })
  #tip = element('div', { class: 'tip figures', role: 'status' })
  #cursor = svg('line', { class: 'cursor' })
  /** @type {Series | null} */
  #series = null
  /** @type {typeof MARGIN} in pixels */
  #margin = MARGIN
  /** @type {number | null} the moment that is read */
  #read_ms = null

  /** @param {HTMLElement} place */
  constructor(place) {
    this.#place = place
    this.#tip.hidden = true
    place.append(this.#plot, this.#tip)
    place.addEventListener('pointermove', (event) => this.#point(event))
    place.addEventListener('pointerleave', () => this.#read(null))
    place.addEventListener('blur', () => this.#read(null))
    place.addEventListener('keydown', (event) => this.#key(event))
    new ResizeObserver(() => this.#draw()).observe(place)
  }

  /** @param {Series} series */
  show(series) {
    this.#series = series
    this.#draw()
  }

  #draw() {
    const series = this.#series
    const { width, height } = this.#size()
    if (!series || width < 80) return
    const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize)
    const { top: above, right, bottom, left } = MARGIN
    this.#margin = { top: above * rem, right: right * rem, bottom: bottom * rem, left: left * rem }
    this.#plot.setAttribute('viewBox', `0 0 ${width} ${height}`)
    const top = niceTop(Math.max(1, ...series.points.map((point) => total(point, series.labels))))
    const y = (/** @type {number} */ value) => height - this.#margin.bottom - (value / top) * (height - this.#margin.top - this.#margin.bottom)
    const parts = [...this.#levels(top, y, width), ...this.#times(series, width, height)]
    parts.push(...areas(series, (at_ms) => this.#x(at_ms), y), this.#cursor)
    this.#plot.replaceChildren(...parts)
    this.#cursor.setAttribute('y1', String(this.#margin.top))
    this.#cursor.setAttribute('y2', String(height - this.#margin.bottom))
    this.#read(this.#read_ms)
  }

  #size() {
    return { width: this.#place.clientWidth, height: this.#place.clientHeight }
  }

  /** @param {number} at_ms */
  #x(at_ms) {
    const { from_ms, to_ms } = /** @type {Series} */ (this.#series)
    const room = this.#size().width - this.#margin.left - this.#margin.right
    return this.#margin.left + ((at_ms - from_ms) / (to_ms - from_ms)) * room
  }

  /** @param {number} top @param {(value: number) => number} y @param {number} width */
  #levels(top, y, width) {
    const step = top <= 5 ? 1 : top / 5
    const made = []
    for (let value = 0; value <= top + 0.001; value += step) {
      const at = y(value)
      made.push(svg('line', { class: value === 0 ? 'base' : 'level', x1: this.#margin.left, x2: width - this.#margin.right, y1: at, y2: at }))
      made.push(svg('text', { class: 'tick', x: this.#margin.left * 0.78, y: at, 'text-anchor': 'end', 'dominant-baseline': 'middle', text: value }))
    }
    return made
  }

  /** @param {Series} series @param {number} width @param {number} height */
  #times({ from_ms, to_ms }, width, height) {
    const wanted = Math.max(2, Math.floor(width / (3.2 * this.#margin.left)))
    const steps_ms = [10_000, 15_000, 30_000, 60_000, 120_000, 300_000]
    const step_ms = steps_ms.find((step) => (to_ms - from_ms) / step <= wanted) ?? 600_000
    const made = []
    for (let at_ms = Math.ceil(from_ms / step_ms) * step_ms; at_ms < to_ms; at_ms += step_ms) {
      const x = this.#x(at_ms)
      if (x < this.#margin.left * 1.7 || x > width - this.#margin.left) continue
      const text = clockTime(at_ms)
      made.push(svg('text', { class: 'tick', x, y: height - this.#margin.bottom * 0.3, 'text-anchor': 'middle', text: step_ms < 60_000 ? text : text.slice(0, 5) }))
    }
    return made
  }

  /** @param {PointerEvent} event */
  #point(event) {
    if (!this.#series) return
    const { from_ms, to_ms } = this.#series
    const box = this.#place.getBoundingClientRect()
    const share = (event.clientX - box.left - this.#margin.left) / (box.width - this.#margin.left - this.#margin.right)
    this.#tip.setAttribute('aria-live', 'off')
    this.#read(from_ms + Math.min(1, Math.max(0, share)) * (to_ms - from_ms))
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const points = this.#series?.points ?? []
    if (points.length === 0) return
    const now = this.#read_ms === null ? points.length : nearest(points, this.#read_ms)
    const goal = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: points.length - 1 }[event.key]
    if (event.key === 'Escape') this.#read(null)
    if (goal === undefined) return
    event.preventDefault()
    this.#tip.setAttribute('aria-live', 'polite')
    this.#read(points[Math.min(points.length - 1, Math.max(0, goal))].t_ms)
  }

  /** @param {number | null} at_ms */
  #read(at_ms) {
    this.#read_ms = at_ms
    const series = this.#series
    const hidden = at_ms === null || !series || series.points.length === 0
    this.#tip.hidden = hidden
    this.#cursor.classList.toggle('on', !hidden)
    if (hidden) return
    const point = series.points[nearest(series.points, at_ms)]
    const x = this.#x(point.t_ms)
    this.#cursor.setAttribute('x1', String(x))
    this.#cursor.setAttribute('x2', String(x))
    const rows = series.labels
      .filter((label) => (point.counts[label] ?? 0) > 0)
      .map((label) => row(series.colors.get(label) ?? '#888888', label, point.counts[label]))
    this.#tip.replaceChildren(element('strong', { text: clockTime(point.t_ms) }), ...(rows.length > 0 ? rows : ['nothing found']))
    const right = x > this.#size().width / 2
    this.#tip.style.left = right ? '' : `${x + 12}px`
    this.#tip.style.right = right ? `${this.#size().width - x + 12}px` : ''
  }
}

/** @param {string} color @param {string} label @param {number} count */
function row(color, label, count) {
  return element('p', {}, dot(color), element('span', { text: label }), element('b', { text: count.toFixed(1) }))
}

/** @param {Point} point @param {string[]} labels */
function total({ counts }, labels) {
  return labels.reduce((sum, label) => sum + (counts[label] ?? 0), 0)
}

/** The end of the axis: 1 to 5, or a multiple of five. @param {number} highest */
function niceTop(highest) {
  if (highest <= 5) return Math.ceil(highest)
  const unit = highest <= 50 ? 5 : 50
  return Math.ceil(highest / unit) * unit
}

/** @param {Point[]} points @param {number} at_ms */
function nearest(points, at_ms) {
  let best = 0
  points.forEach(({ t_ms }, index) => {
    if (Math.abs(t_ms - at_ms) < Math.abs(points[best].t_ms - at_ms)) best = index
  })
  return best
}

/** The points in runs without a gap. @param {Series} series @returns {Point[][]} */
function runs({ points, step_ms }) {
  /** @type {Point[][]} */
  const found = []
  let before_ms = -Infinity
  for (const point of points) {
    if (point.t_ms - before_ms > GAP_STEPS * step_ms) found.push([])
    found[found.length - 1].push(point)
    before_ms = point.t_ms
  }
  return found
}

/**
 * A filled area per class and run, each on top of those before it.
 *
 * @param {Series} series
 * @param {(at_ms: number) => number} x
 * @param {(value: number) => number} y
 */
function areas(series, x, y) {
  const made = []
  for (const run of runs(series)) {
    const floor = run.map(() => 0)
    for (const label of series.labels) {
      const lower = run.map((point, index) => `${x(point.t_ms).toFixed(1)} ${y(floor[index]).toFixed(1)}`)
      run.forEach((point, index) => (floor[index] += point.counts[label] ?? 0))
      const upper = run.map((point, index) => `${x(point.t_ms).toFixed(1)} ${y(floor[index]).toFixed(1)}`)
      const area = svg('path', { class: 'area', d: `M${upper.join('L')}L${lower.reverse().join('L')}Z` })
      const edge = svg('path', { class: 'top', d: `M${upper.join('L')}` })
      for (const part of [area, edge]) part.style.setProperty('--dot', series.colors.get(label) ?? '#888888')
      made.push(area, edge)
    }
  }
  return made
}
