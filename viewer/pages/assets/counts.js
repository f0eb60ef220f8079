// Counts per class as a row of chips that does not jump: a class that is gone for a moment stays, at zero.

import { dot, element, setText } from './dom.js'
import { percent } from './format.js'
import { colorOf } from './palette.js'

const STAYS_MS = 10_000

export class Counts {
  #list
  /** @type {Map<string, { item: HTMLElement, number: HTMLElement, seen_ms: number }>} */
  #chips = new Map()

  /** @param {HTMLElement} list a `ul` */
  constructor(list) {
    this.#list = list
  }

  /** @param {import('./live.js').Count[]} counts */
  show(counts) {
    const now_ms = performance.now()
    const present = new Map(counts.map((count) => [count.label, count]))
    for (const count of counts) {
      const chip = this.#chips.get(count.label) ?? this.#add(count)
      chip.seen_ms = now_ms
    }
    for (const [label, chip] of this.#chips) {
      const count = present.get(label)?.count ?? 0
      if (count === 0 && now_ms - chip.seen_ms > STAYS_MS) {
        chip.item.remove()
        this.#chips.delete(label)
        continue
      }
      setText(chip.number, String(count))
      chip.item.classList.toggle('none', count === 0)
    }
  }

  /**
   * Shows a classifier's first answer in place of counts.
   *
   * @param {{ label: string, score: number }} answer
   */
  showClass({ label, score }) {
    const chip = this.#chips.get(label) ?? this.#add({ label, color: null })
    for (const [other, { item }] of this.#chips) {
      if (other === label) continue
      item.remove()
      this.#chips.delete(other)
    }
    setText(chip.number, percent(score))
  }

  /** @param {{ label: string, color: string | null }} count */
  #add({ label, color }) {
    const number = element('b')
    const item = element('li', {}, dot(colorOf(label, color)), element('span', { text: label }), number)
    item.dataset.label = label
    const items = /** @type {HTMLElement[]} */ ([...this.#list.children])
    const after = items.find((other) => (other.dataset.label ?? '') > label)
    this.#list.insertBefore(item, after ?? null)
    const chip = { item, number, seen_ms: 0 }
    this.#chips.set(label, chip)
    return chip
  }
}

/**
 * Counts in words: "3 gear, 2 bolt".
 *
 * @param {{ label: string, count: number }[]} counts
 */
export function inWords(counts) {
  const seen = counts.filter(({ count }) => count > 0)
  return seen.length === 0 ? 'nothing found' : seen.map(({ label, count }) => `${count}\u00a0${label}`).join(', ')
}
