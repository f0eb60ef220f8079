// The list of photos on the upload page: one entry a file, with its progress and what came of it.

import { Problem } from './api.js'
import { inWords } from './counts.js'
import { element, setText } from './dom.js'
import { percent, size } from './format.js'
import { countInstances } from './results.js'
import { send } from './send.js'

/**
 * A problem as a note: what is wrong and what to do next.
 *
 * @param {{ message: string, hint?: string }} problem
 */
export function problemNote({ message, hint }) {
  const note = element('div', { class: 'note bad', role: 'alert' }, element('strong', { text: sentence(message) }))
  if (hint) note.append(element('p', { text: sentence(hint) }))
  return note
}

/** With a capital and a full stop, whatever the server's manners. @param {string} text */
const sentence = (text) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`

/** What was found, in a line. @param {any} frame */
export function summaryOf({ result }) {
  if (result.instances.length > 0 || result.classes.length === 0) return inWords(countInstances(result.instances))
  const [{ label, score }] = result.classes
  return `${label} ${percent(score)}`
}

export class QueueEntry {
  /** @type {any} what the server says of it, once it does */
  frame = null
  #file
  #model
  #events
  #words = element('p', { class: 'words muted figures' })
  #bar = element('progress', { max: 1, value: 0, 'aria-label': 'Upload' })
  #extra = element('div')
  #title
  #open

  /**
   * @param {File} file
   * @param {string} model
   * @param {{ onDone(entry: QueueEntry): void, onOpen(entry: QueueEntry): void }} events
   */
  constructor(file, model, events) {
    this.#file = file
    this.#model = model
    this.#events = events
    this.name = file.name || 'pasted picture'
    this.#open = element('button', { class: 'open', type: 'button', text: this.name, 'aria-label': `Show the result of ${this.name}` })
    this.#open.hidden = true
    this.#open.addEventListener('click', () => events.onOpen(this))
    this.#title = element('strong', { text: this.name })
    const title = element('p', { class: 'title' }, this.#title, this.#open, ' ', element('span', { class: 'muted', text: size(file.size) }))
    const facts = element('div', { class: 'facts' }, title, this.#words, this.#bar)
    this.item = element('li', { class: 'entry' }, this.#thumbnail(), facts, this.#extra)
    this.run()
  }

  /** The picture small, from the file at hand; a file that is no picture has none. */
  #thumbnail() {
    const picture = element('img', { class: 'thumb', alt: '' })
    const url = URL.createObjectURL(this.#file)
    picture.addEventListener('load', () => URL.revokeObjectURL(url))
    picture.addEventListener('error', () => {
      URL.revokeObjectURL(url)
      picture.replaceWith(element('span', { class: 'thumb none', 'aria-hidden': 'true', text: '?' }))
    })
    picture.src = url
    return picture
  }

  async run() {
    this.#extra.replaceChildren()
    this.#bar.hidden = false
    this.#say('Waiting for its turn')
    this.item.dataset.state = 'sending'
    try {
      this.frame = await send(this.#file, this.#model, this.#progress())
      if (this.frame.status === 'failed') throw this.frame.error
      this.#finish()
    } catch (error) {
      this.#fail(/** @type {any} */ (error))
    }
    this.#events.onDone(this)
  }

  /** @returns {import('./send.js').Progress} */
  #progress() {
    return {
      onUploading: (share) => {
        this.#bar.value = share
        this.#say(`Uploading, ${percent(share)}`)
      },
      onWorking: () => {
        this.#bar.removeAttribute('value')
        this.#say('The model is looking at it')
      },
      onPause: (wait_ms, problem) => {
        this.#bar.removeAttribute('value')
        this.#say(`${sentence(problem.message)} Trying again in ${Math.ceil(wait_ms / 1000)} s.`)
      },
      onQueued: (frame) => {
        this.#say('Safe with the server, waiting for the model. ')
        this.#words.append(element('a', { href: frame.links.page, text: 'Its result will be here' }))
      },
    }
  }

  #finish() {
    this.item.dataset.state = 'done'
    this.#bar.hidden = true
    // The name is the button now, and the whole entry is where it can be pressed.
    this.#title.hidden = true
    this.#open.hidden = false
    this.#say(summaryOf(this.frame))
  }

  /** @param {{ message: string, hint?: string }} problem */
  #fail(problem) {
    this.item.dataset.state = 'failed'
    this.#bar.hidden = true
    this.#say('Not done')
    const retry = element('button', { class: 'button small', type: 'button', text: 'Try again' })
    retry.addEventListener('click', () => this.run())
    const worthIt = !(problem instanceof Problem) || problem.status === 0 || problem.status === 429 || problem.status >= 500
    this.#extra.replaceChildren(problemNote(problem), ...(worthIt ? [retry] : []))
  }

  /** @param {string} words */
  #say(words) {
    setText(this.#words, words)
  }

  /** @param {boolean} shown whether its result is the one in view */
  mark(shown) {
    this.item.classList.toggle('shown', shown)
    this.#open.setAttribute('aria-pressed', String(shown))
  }
}
