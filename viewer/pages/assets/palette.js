// The colour of a class: what the server says, or one of its own that is the same on every page.

const FALLBACK = ['#e6194b', '#3cb44b', '#4363d8', '#f58231', '#911eb4', '#42d4f4', '#f032e6', '#9a6324', '#469990', '#808000']

/**
 * @param {string} label
 * @param {string | null | undefined} color `#rrggbb` by the server
 */
export function colorOf(label, color) {
  if (color && /^#[0-9a-f]{6}$/i.test(color)) return color
  let hash = 7
  for (const character of label) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0
  return FALLBACK[hash % FALLBACK.length]
}

/**
 * Red, green and blue of `#rrggbb`.
 *
 * @param {string} color
 * @returns {[number, number, number]}
 */
export function channels(color) {
  const number = Number.parseInt(color.slice(1), 16)
  return [(number >> 16) & 255, (number >> 8) & 255, number & 255]
}
