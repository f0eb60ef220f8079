// How many columns a wall needs so that its pictures are as large as the screen allows.

/**
 * @typedef {{ count: number, width: number, height: number, aspect: number, caption: number, gap: number }} Room
 *   what there is, in pixels: the tiles' number, the room, the pictures' width by height, what stands under each, and between them
 */

/**
 * The columns, and the width of a tile, with which all tiles fit the room and are largest.
 *
 * @param {Room} room
 * @returns {{ columns: number, width: number }}
 */
export function arrange({ count, width, height, aspect, caption, gap }) {
  let best = { columns: 1, width: 0 }
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns)
    const widest = (width - gap * (columns - 1)) / columns
    const highest = (height - gap * (rows - 1)) / rows - caption
    const fitting = Math.min(widest, highest * aspect)
    // As large with fewer columns is as good: the tiles then have room at their sides.
    if (Math.floor(fitting) > best.width) best = { columns, width: Math.floor(fitting) }
  }
  return best
}
