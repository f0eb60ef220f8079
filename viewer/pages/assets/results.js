// The newest results of a source as a table, and the counts over time as one.

import { dot, element } from './dom.js'
import { inWords } from './counts.js'
import { clockTime, milliseconds, modelName, percent } from './format.js'
import { colorOf } from './palette.js'

/**
 * @typedef {{ id: string, captured_ms: number, model: import('./live.js').Model, total_ms: number,
 *   counts: import('./live.js').Count[], classes: { label: string, score: number }[] }} Row
 */

/**
 * A row from the header of a live frame.
 *
 * @param {import('./live.js').Header} header
 * @returns {Row}
 */
export function rowOfHeader({ id, captured_ms, model, counts, classes, timings_ms }) {
  return { id, captured_ms, model, counts, classes, total_ms: timings_ms.total }
}

/**
 * A row from a result as the server remembers it.
 *
 * @param {any} result
 * @returns {Row}
 */
export function rowOfResult({ id, captured_at, model, instances = [], classes = [], timings_ms }) {
  return { id, captured_ms: Date.parse(captured_at), model, counts: countInstances(instances), classes, total_ms: timings_ms?.total }
}

/**
 * How many there are of each class, by name.
 *
 * @param {{ label: string, class_color?: string }[]} instances
 * @returns {import('./live.js').Count[]}
 */
export function countInstances(instances) {
  /** @type {Map<string, import('./live.js').Count>} */
  const counts = new Map()
  for (const { label, class_color } of instances) {
    const count = counts.get(label) ?? { label, count: 0, color: colorOf(label, class_color) }
    count.count += 1
    counts.set(label, count)
  }
  return [...counts.values()].sort((a, b) => (a.label < b.label ? -1 : 1))
}

/** @param {HTMLElement} body @param {Row[]} rows */
export function fillResults(body, rows) {
  const made = rows.map((row) => {
    const found = element('td', { class: 'found' })
    if (row.counts.length > 0) found.append(chips(row.counts))
    else found.textContent = row.classes.length > 0 ? `${row.classes[0].label} ${percent(row.classes[0].score)}` : inWords([])
    return element(
      'tr',
      {},
      element('td', { text: clockTime(row.captured_ms) }),
      found,
      element('td', { text: modelName(row.model) }),
      element('td', { text: milliseconds(row.total_ms) }),
      element('td', {}, element('code', { text: row.id })),
    )
  })
  body.replaceChildren(...made)
}

/** @param {import('./live.js').Count[]} counts */
function chips(counts) {
  const items = counts
    .filter(({ count }) => count > 0)
    .map(({ label, count, color }) => element('li', {}, dot(colorOf(label, color)), element('span', { text: label }), element('b', { text: count })))
  return element('ul', { class: 'counts' }, ...items)
}

/**
 * Counts over time, the newest first.
 *
 * @param {HTMLElement} table
 * @param {import('./history.js').Point[]} points
 * @param {string[]} labels
 */
export function fillHistoryTable(table, points, labels) {
  const heads = ['Time', ...labels].map((text) => element('th', { scope: 'col', text }))
  const rows = [...points].reverse().map((point) => {
    const cells = labels.map((label) => element('td', { text: (point.counts[label] ?? 0).toFixed(1) }))
    return element('tr', {}, element('th', { scope: 'row', text: clockTime(point.t_ms) }), ...cells)
  })
  const caption = element('caption', { class: 'unseen', text: 'Mean count per class' })
  table.replaceChildren(caption, element('thead', {}, element('tr', {}, ...heads)), element('tbody', {}, ...rows))
}
