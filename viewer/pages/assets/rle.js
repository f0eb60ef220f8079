// COCO's compressed run lengths: a string of characters to runs, and runs to pixels of a box.

const FIRST_CHARACTER = 48
const MAX_GROUPS = 7

/**
 * The lengths of alternating runs of unset and set pixels, down each column and column after column.
 *
 * @param {string} counts
 * @param {number} pixels what the runs must add up to
 * @returns {number[]}
 */
export function runsOf(counts, pixels) {
  /** @type {number[]} */
  const runs = []
  let covered = 0
  let position = 0
  while (position < counts.length) {
    let number = 0
    for (let group = 0; ; group += 1) {
      const code = counts.charCodeAt(position) - FIRST_CHARACTER
      position += 1
      if (!(code >= 0 && code < 64) || group === MAX_GROUPS) throw new Error(`mask counts are broken at position ${position}`)
      // Five bits a character; no shifts, since these can pass 32 bits.
      number += (code & 31) * 32 ** group
      if (code & 32) continue
      if (code & 16) number -= 32 ** (group + 1)
      break
    }
    const run = number + (runs.length > 2 ? runs[runs.length - 2] : 0)
    covered += run
    if (run < 0 || covered > pixels) throw new Error('mask counts hold a run that is negative or too long')
    runs.push(run)
  }
  if (covered !== pixels) throw new Error(`mask counts cover ${covered} pixels of ${pixels}`)
  return runs
}

/**
 * @typedef {{ x: number, y: number, width: number, height: number, step: number, pixels: Uint8Array }} Mask
 *   the box of the set pixels in the frame, and one byte for every `step`th of them, row by row
 */

/**
 * The mask of an instance, cropped to what is set; thinned by `step` where the picture is very large.
 *
 * @param {{ size: [number, number], counts: string }} segmentation
 * @param {number} [step]
 * @returns {Mask}
 */
export function decodeMask({ size: [height, width], counts }, step = 1) {
  const runs = runsOf(counts, width * height)
  const box = boxOf(runs, height)
  const columns = Math.ceil(box.width / step)
  const rows = Math.ceil(box.height / step)
  const pixels = new Uint8Array(columns * rows)
  eachSetSpan(runs, height, (x, from, to) => {
    if ((x - box.x) % step !== 0) return
    const column = (x - box.x) / step
    for (let row = Math.ceil((from - box.y) / step); row * step + box.y < to; row += 1) pixels[row * columns + column] = 1
  })
  return { ...box, step, pixels }
}

/** @param {number[]} runs @param {number} height */
function boxOf(runs, height) {
  let [left, top, right, bottom] = [Infinity, Infinity, 0, 0]
  eachSetSpan(runs, height, (x, from, to) => {
    left = Math.min(left, x)
    right = Math.max(right, x + 1)
    top = Math.min(top, from)
    bottom = Math.max(bottom, to)
  })
  return right === 0 ? { x: 0, y: 0, width: 0, height: 0 } : { x: left, y: top, width: right - left, height: bottom - top }
}

/**
 * Calls for every piece of a set run that lies in one column.
 *
 * @param {number[]} runs
 * @param {number} height
 * @param {(x: number, from: number, to: number) => void} call
 */
function eachSetSpan(runs, height, call) {
  let at = 0
  runs.forEach((run, index) => {
    const end = at + run
    if (index % 2 === 1) {
      for (let start = at; start < end; ) {
        const x = Math.floor(start / height)
        const stop = Math.min(end, (x + 1) * height)
        call(x, start - x * height, stop - x * height)
        start = stop
      }
    }
    at = end
  })
}

/**
 * Whether the mask covers a point of the frame.
 *
 * @param {Mask} mask
 * @param {number} x
 * @param {number} y
 */
export function covers(mask, x, y) {
  const column = Math.floor((x - mask.x) / mask.step)
  const row = Math.floor((y - mask.y) / mask.step)
  const columns = Math.ceil(mask.width / mask.step)
  if (column < 0 || row < 0 || column >= columns) return false
  return mask.pixels[row * columns + column] === 1
}
