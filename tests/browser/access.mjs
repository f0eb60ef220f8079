// Whether everybody can use the pages: names, labels, contrast, and nothing cut off on a phone.

import assert from 'node:assert/strict'

import { until } from './harness.mjs'

/** WCAG 2 AA: large text is 24 px, or 18.7 px and bold. */
const CONTRAST = { normal: 4.5, large: 3 }

export async function access(harness, pages) {
  for (const scheme of ['light', 'dark']) {
    for (const [what, where] of Object.entries(pages)) {
      const page = await harness.open(where, { scheme })
      await harness.check(`${what}, ${scheme}: everything has a name, and text stands out`, async () => {
        await until('the page has filled', () => page.evaluate(() => document.querySelector('canvas, option') !== null))
        await until('texts are there', () => page.evaluate(() => document.body.innerText.length > 20))
        assert.deepEqual(await page.evaluate(nameless), [])
        assert.deepEqual(await page.evaluate(faint, CONTRAST), [])
      })
      await harness.close(page)
    }
  }
  for (const [what, where] of Object.entries(pages)) {
    const page = await harness.open(where, { size: [360, 800] })
    await harness.check(`${what}: nothing is cut off on a phone`, async () => {
      await until('the page has filled', () => page.evaluate(() => document.querySelector('canvas, option') !== null))
      assert(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth))
    })
    await harness.close(page)
  }
}

/** Runs in the page: elements that a screen reader could not name, and what else it relies on. */
function nameless() {
  const found = []
  const say = (element, why) => found.push(`${why}: ${element.outerHTML.slice(0, 120)}`)
  const named = (element) =>
    element.getAttribute('aria-label')?.trim() ||
    (element.getAttribute('aria-labelledby') ?? '').split(' ').some((id) => document.getElementById(id)?.textContent.trim()) ||
    element.textContent.trim() ||
    [...element.querySelectorAll('img')].some((image) => image.alt)
  for (const image of document.images) if (!image.hasAttribute('alt')) say(image, 'no alt')
  for (const canvas of document.querySelectorAll('canvas')) {
    if (canvas.getAttribute('role') !== 'img' || !canvas.getAttribute('aria-label')) say(canvas, 'no name')
  }
  for (const control of document.querySelectorAll('a[href], button, summary')) if (!named(control)) say(control, 'no name')
  for (const input of document.querySelectorAll('input, select, textarea')) {
    if (input.labels.length === 0 && !input.getAttribute('aria-label')) say(input, 'no label')
  }
  for (const region of document.querySelectorAll('[aria-labelledby]')) {
    for (const id of region.getAttribute('aria-labelledby').split(' ')) if (!document.getElementById(id)) say(region, `no #${id}`)
  }
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) found.push(`id twice: ${id}`)
  if (!document.documentElement.lang) found.push('no language')
  if (document.querySelectorAll('main').length !== 1) found.push('not one main')
  if (document.querySelectorAll('h1').length !== 1) found.push('not one h1')
  return found
}

/** Runs in the page: visible texts whose colour is too near to what is behind them. */
function faint(least) {
  const pen = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })
  const rgba = (color) => {
    pen.clearRect(0, 0, 1, 1)
    pen.fillStyle = color
    pen.fillRect(0, 0, 1, 1)
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data
    return [r, g, b, a / 255]
  }
  const over = (top, below) => [0, 1, 2].map((at) => top[at] * top[3] + below[at] * (1 - top[3]))
  const behind = (element) => {
    if (!element) return [255, 255, 255]
    const own = rgba(getComputedStyle(element).backgroundColor)
    return own[3] === 1 ? own.slice(0, 3) : over(own, behind(element.parentElement))
  }
  const luminance = (color) => {
    const [r, g, b] = color.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const found = []
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement
    if (!texts.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue
    // For screen readers alone.
    if (element.closest('.unseen')) continue
    const style = getComputedStyle(element)
    const background = behind(element)
    const ink = over(rgba(element instanceof SVGElement ? style.fill : style.color), background)
    const [bright, dark] = [luminance(ink), luminance(background)].sort((a, b) => b - a)
    const ratio = (bright + 0.05) / (dark + 0.05)
    const size = Number.parseFloat(style.fontSize)
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700)
    if (ratio < (isLarge ? least.large : least.normal)) found.push(`${ratio.toFixed(2)}: ${texts.currentNode.data.trim().slice(0, 40)}`)
  }
  return found
}
