// A canvas that shows the newest frame: one is decoded at a time, and only the newest waits.

import { localNow } from './clock.js'

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) pictures.get(entry.target)?.setOnScreen(entry.isIntersecting)
})
/** @type {WeakMap<Element, Picture>} */
const pictures = new WeakMap()

export class Picture {
  #canvas
  #pen
  #onDrawn
  #onScreen = true
  #busy = false
  #drawnAny = false
  /** @type {import('./live.js').LiveFrame | null} */
  #waiting = null

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {(header: import('./live.js').Header, drawn_ms: number) => void} onDrawn with the time on this machine's clock
   */
  constructor(canvas, onDrawn) {
    this.#canvas = canvas
    this.#pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { alpha: false }))
    this.#onDrawn = onDrawn
    pictures.set(canvas, this)
    seen.observe(canvas)
  }

  /** @param {boolean} onScreen */
  setOnScreen(onScreen) {
    this.#onScreen = onScreen
    if (!onScreen) this.#waiting = null
  }

  /**
   * Takes the newest frame; one that still waits is dropped.
   *
   * @param {import('./live.js').LiveFrame} frame
   */
  show(frame) {
    if (!this.#onScreen || document.hidden) return
    this.#waiting = frame
    if (!this.#busy) this.#work()
  }

  async #work() {
    this.#busy = true
    while (this.#waiting) {
      const frame = this.#waiting
      this.#waiting = null
      await this.#draw(frame).catch((error) => console.warn(`frame ${frame.header.id} cannot be drawn:`, error))
    }
    this.#busy = false
  }

  /**
   * Shows the last picture of a source that has stopped, where none was drawn while it ran.
   *
   * @param {string} url
   */
  async showLast(url) {
    const answer = await fetch(url).catch(() => null)
    if (!answer?.ok || this.#drawnAny || this.#waiting) return
    const bitmap = await createImageBitmap(await answer.blob()).catch(() => null)
    if (bitmap && !this.#drawnAny) this.#paint(bitmap)
  }

  /** @param {import('./live.js').LiveFrame} frame */
  async #draw({ header, jpeg }) {
    const bitmap = await createImageBitmap(jpeg)
    await new Promise(requestAnimationFrame)
    this.#drawnAny = true
    this.#paint(bitmap)
    this.#onDrawn(header, localNow())
  }

  /** @param {ImageBitmap} bitmap */
  #paint(bitmap) {
    if (this.#canvas.width !== bitmap.width) this.#canvas.width = bitmap.width
    if (this.#canvas.height !== bitmap.height) this.#canvas.height = bitmap.height
    this.#pen.drawImage(bitmap, 0, 0)
    bitmap.close()
  }
}
