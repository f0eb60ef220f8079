// Counts of the last minutes: what the server remembers, extended by the frames that arrive.

import { colorOf } from './palette.js'

/**
 * @typedef {{ t_ms: number, frames: number, counts: Record<string, number> }} Point
 *   a bucket of time, with the mean count per class in its frames
 */

export class History {
  /** @type {Point[]} */
  points = []
  /** @type {Map<string, string>} label to colour */
  colors = new Map()
  #bucket_ms = 1_000
  #kept_ms
  /** Frames of this bucket and older ones are in what the server told. */
  #told_ms = -Infinity

  /** @param {number} kept_ms */
  constructor(kept_ms) {
    this.#kept_ms = kept_ms
  }

  /**
   * Takes the server's memory; what was gathered here since goes on top.
   *
   * @param {{ bucket_ms: number, labels: { label: string, color: string | null }[], points: Point[] }} told
   */
  load({ bucket_ms, labels, points }) {
    this.#bucket_ms = bucket_ms
    for (const { label, color } of labels) this.colors.set(label, colorOf(label, color))
    const last = points.at(-1)?.t_ms ?? -Infinity
    const newer = this.points.filter(({ t_ms }) => t_ms > last)
    this.points = [...points, ...newer]
    this.#told_ms = last
  }

  /** @param {import('./live.js').Header} header */
  add(header) {
    const t_ms = Math.floor(header.joined_ms / this.#bucket_ms) * this.#bucket_ms
    // Frames that came past their deadline do not count with the server either.
    if (t_ms <= this.#told_ms || header.late) return
    let point = this.points.at(-1)
    if (!point || point.t_ms < t_ms) {
      point = { t_ms, frames: 0, counts: {} }
      this.points.push(point)
      this.#forget(t_ms)
    }
    point.frames += 1
    const seen = new Map(header.counts.map(({ label, count }) => [label, count]))
    for (const { label, color } of header.counts) {
      if (!this.colors.has(label)) this.colors.set(label, colorOf(label, color))
      point.counts[label] ??= 0
    }
    for (const label of Object.keys(point.counts)) {
      // A running mean, in which frames without the class count as none of it.
      point.counts[label] += ((seen.get(label) ?? 0) - point.counts[label]) / point.frames
    }
  }

  /** @param {number} newest_ms */
  #forget(newest_ms) {
    while (this.points.length > 0 && this.points[0].t_ms < newest_ms - this.#kept_ms) this.points.shift()
  }

  /**
   * What lies between two times, in buckets of at least the given length.
   *
   * @param {number} from_ms
   * @param {number} step_ms
   * @returns {Point[]}
   */
  since(from_ms, step_ms) {
    /** @type {Point[]} */
    const merged = []
    for (const point of this.points) {
      if (point.t_ms < from_ms || point.frames === 0) continue
      const t_ms = Math.floor(point.t_ms / step_ms) * step_ms
      const last = merged.at(-1)
      if (last?.t_ms === t_ms) mergeInto(last, point)
      else merged.push({ ...point, t_ms, counts: { ...point.counts } })
    }
    return merged
  }

  /**
   * The classes that were seen in these points, by name.
   *
   * @param {Point[]} points
   */
  labels(points) {
    const seen = new Set()
    for (const { counts } of points) {
      for (const [label, count] of Object.entries(counts)) if (count > 0) seen.add(label)
    }
    return [...seen].sort()
  }
}

/** @param {Point} into @param {Point} point */
function mergeInto(into, point) {
  const frames = into.frames + point.frames
  for (const label of new Set([...Object.keys(into.counts), ...Object.keys(point.counts)])) {
    const sum = (into.counts[label] ?? 0) * into.frames + (point.counts[label] ?? 0) * point.frames
    into.counts[label] = sum / frames
  }
  into.frames = frames
}
