// Every page as it looks, light and dark, on a phone, a desk and a wall screen.

import { until } from './harness.mjs'

const SIZES = [
  [360, 800],
  [1280, 800],
  [3840, 2160],
]

/** What must be there before a page is worth a picture. */
const READY = {
  wall: '.tile[data-state=live]',
  kiosk: '.tile[data-state=live]',
  source: '#waterfall .bar-fill:not([hidden])',
  upload: '#model option',
  result: '#overlay',
}

export async function shots(harness, pages) {
  for (const scheme of ['light', 'dark']) {
    for (const size of SIZES) {
      const name = `${scheme}-${size.join('x')}`
      await harness.check(`screenshots, ${scheme}, ${size.join(' by ')}`, async () => {
        for (const [what, where] of Object.entries(pages)) {
          const page = await harness.open(where, { size, scheme })
          await page.locator(READY[what]).first().waitFor({ state: 'attached' })
          await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode())))
          await until('the page has settled', () => page.evaluate(() => new Promise((done) => setTimeout(() => done(true), 1_000))))
          await harness.screenshot(page, `${what}-${name}`)
          await harness.close(page)
        }
      })
    }
  }
}
