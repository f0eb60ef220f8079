// Draws instances over a picture in Detectron2's look: the large ones first, masks through which the
// picture shows, darker outlines, labels on dark boxes.

import { percent } from './format.js'
import { channels, colorOf } from './palette.js'
import { covers, decodeMask } from './rle.js'

// The overlay has about this many pixels along its longer side, so that labels stay crisp on small pictures.
const GOAL_SIDE = 1_600
const MOST_ENLARGED = 3
const LARGEST_STEP_SIDE = 2_048
const SMALLEST_LABEL = 10.5

/**
 * @typedef {{ label: string, score: number, bbox: [number, number, number, number], area: number, category_id: number,
 *   class_color?: string, segmentation?: { size: [number, number], counts: string } }} Instance
 * @typedef {{ opacity: number, outlines: boolean, labels: boolean, visible(index: number): boolean, marked: number | null }} Look
 * @typedef {{ instance: Instance, index: number, color: string, mask: import('./rle.js').Mask | null,
 *   fill: HTMLCanvasElement | null, outline: HTMLCanvasElement | null }} Shape
 */

export class Overlay {
  #canvas
  #scale
  /** @type {Shape[]} the large ones first */
  #shapes

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {{ width: number, height: number, instances: Instance[] }} result
   */
  constructor(canvas, { width, height, instances }) {
    this.#canvas = canvas
    const side = Math.max(width, height)
    this.#scale = Math.min(MOST_ENLARGED, GOAL_SIDE / side)
    canvas.width = Math.round(width * this.#scale)
    canvas.height = Math.round(height * this.#scale)
    const step = Math.max(1, Math.floor(side / LARGEST_STEP_SIDE))
    this.#shapes = instances.map((instance, index) => shapeOf(instance, index, step, side)).sort((a, b) => b.instance.area - a.instance.area)
  }

  /** @param {Look} look */
  draw(look) {
    const pen = /** @type {CanvasRenderingContext2D} */ (this.#canvas.getContext('2d'))
    pen.setTransform(1, 0, 0, 1, 0, 0)
    pen.clearRect(0, 0, this.#canvas.width, this.#canvas.height)
    pen.scale(this.#scale, this.#scale)
    const shown = this.#shapes.filter(({ index }) => look.visible(index))
    for (const shape of shown) this.#paint(pen, shape, look)
    if (!look.labels) return
    for (const shape of shown) {
      if (look.marked === null || look.marked === shape.index) this.#label(pen, shape)
    }
  }

  /**
   * The instance at a point of the frame: the smallest where several lie on each other.
   *
   * @param {number} x
   * @param {number} y
   * @param {(index: number) => boolean} visible
   * @returns {number | null}
   */
  at(x, y, visible) {
    for (const { index, mask, instance } of [...this.#shapes].reverse()) {
      if (!visible(index)) continue
      const [left, top, width, height] = instance.bbox
      const inBox = x >= left && y >= top && x < left + width && y < top + height
      if (mask ? covers(mask, x, y) : inBox) return index
    }
    return null
  }

  /** @param {CanvasRenderingContext2D} pen @param {Shape} shape @param {Look} look */
  #paint(pen, { index, color, instance, mask, fill, outline }, look) {
    const marked = look.marked === index
    const fade = look.marked === null || marked ? 1 : 0.3
    if (!mask || !fill || !outline) {
      this.#box(pen, instance.bbox, color, fade)
      return
    }
    pen.globalAlpha = (marked ? Math.max(look.opacity, 0.65) : look.opacity) * fade
    pen.drawImage(fill, mask.x, mask.y, mask.width, mask.height)
    pen.globalAlpha = fade
    if (look.outlines || marked) pen.drawImage(outline, mask.x, mask.y, mask.width, mask.height)
    pen.globalAlpha = 1
    if (marked) this.#box(pen, instance.bbox, '#ffffff', 1)
  }

  /** @param {CanvasRenderingContext2D} pen @param {number[]} bbox @param {string} color @param {number} alpha */
  #box(pen, [x, y, width, height], color, alpha) {
    pen.globalAlpha = alpha
    pen.lineWidth = 2.5 / this.#scale
    pen.strokeStyle = color
    pen.strokeRect(x, y, width, height)
    pen.globalAlpha = 1
  }

  /** In pixels of the frame: in proportion to the picture, and never too small to be read on the screen. */
  #labelSize() {
    const proportional = Math.max(this.#canvas.width, this.#canvas.height) / 62
    const perScreenPixel = this.#canvas.width / (this.#canvas.clientWidth || this.#canvas.width)
    return Math.max(proportional, SMALLEST_LABEL * perScreenPixel) / this.#scale
  }

  /** @param {CanvasRenderingContext2D} pen @param {Shape} shape */
  #label(pen, { instance }) {
    const text = `${instance.label} ${percent(instance.score)}`
    const size = this.#labelSize()
    pen.font = `600 ${size}px Inter, ui-sans-serif, system-ui, sans-serif`
    pen.textBaseline = 'middle'
    const width = pen.measureText(text).width + size * 0.7
    const height = size * 1.4
    const room = { width: this.#canvas.width / this.#scale, height: this.#canvas.height / this.#scale }
    const x = Math.max(0, Math.min(instance.bbox[0], room.width - width))
    const y = Math.max(0, Math.min(instance.bbox[1] - height, room.height - height))
    pen.fillStyle = '#0b0e12c8'
    pen.beginPath()
    pen.roundRect(x, y, width, height, size * 0.25)
    pen.fill()
    pen.fillStyle = '#ffffff'
    pen.fillText(text, x + size * 0.35, y + height * 0.53)
  }
}

/** @param {Instance} instance @param {number} index @param {number} step @param {number} side @returns {Shape} */
function shapeOf(instance, index, step, side) {
  const color = colorOf(instance.label, instance.class_color)
  const mask = instance.segmentation ? decodeMask(instance.segmentation, step) : null
  if (!mask || mask.width === 0) return { instance, index, color, mask: null, fill: null, outline: null }
  const thickness = Math.max(1, Math.round(side / step / 450))
  const darker = /** @type {[number, number, number]} */ (channels(color).map((value) => value * 0.55))
  const columns = Math.ceil(mask.width / mask.step)
  return {
    instance,
    index,
    color,
    mask,
    fill: colored(mask.pixels, columns, channels(color)),
    outline: colored(edgeOf(mask.pixels, columns, thickness), columns, darker),
  }
}

/**
 * The set pixels that are within `thickness` of an unset one.
 *
 * @param {Uint8Array} pixels
 * @param {number} columns
 * @param {number} thickness
 */
function edgeOf(pixels, columns, thickness) {
  let inner = pixels
  for (let round = 0; round < thickness; round += 1) {
    const next = new Uint8Array(inner.length)
    for (let at = columns; at < inner.length - columns; at += 1) {
      const column = at % columns
      if (column === 0 || column === columns - 1) continue
      next[at] = inner[at] & inner[at - 1] & inner[at + 1] & inner[at - columns] & inner[at + columns]
    }
    inner = next
  }
  return pixels.map((value, at) => value & (inner[at] ^ 1))
}

/**
 * A canvas of these pixels, set ones in one colour and the rest clear.
 *
 * @param {Uint8Array} pixels
 * @param {number} columns
 * @param {[number, number, number]} color
 */
function colored(pixels, columns, [red, green, blue]) {
  const canvas = document.createElement('canvas')
  canvas.width = columns
  canvas.height = pixels.length / columns
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'))
  const image = pen.createImageData(canvas.width, canvas.height)
  pixels.forEach((value, at) => {
    if (value) image.data.set([red, green, blue, 255], at * 4)
  })
  pen.putImageData(image, 0, 0)
  return canvas
}
