// The few lines that build a page: every text is set as text, so nothing a server says becomes markup.

/**
 * Makes an element.
 *
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null | undefined>} [attributes] `text` sets the text; false, null and undefined leave an attribute out
 * @param {...(Node | string)} children
 * @returns {any} the element
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue
    if (name === 'text') made.textContent = String(value)
    else made.setAttribute(name, value === true ? '' : String(value))
  }
  made.append(...children)
  return made
}

/**
 * Makes an SVG element.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes] `text` sets the text
 * @param {...Node} children
 * @returns {SVGElement}
 */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'text') made.textContent = String(value)
    else made.setAttribute(name, String(value))
  }
  made.append(...children)
  return made
}

/**
 * The element with this id, which the page is known to have.
 *
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id)
  if (!found) throw new Error(`the page has no element #${id}`)
  return found
}

/**
 * Sets a text only where it differs, so that selections live and screen readers are left in peace.
 *
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

/**
 * A dot in the colour of a class.
 *
 * @param {string} color
 */
export function dot(color) {
  const made = element('span', { class: 'dot', 'aria-hidden': 'true' })
  made.style.setProperty('--dot', color)
  return made
}
