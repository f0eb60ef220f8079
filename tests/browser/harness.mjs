// What all checks share: a browser whose pages are watched for every fault, and a line for each check.

import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

// The driver is installed outside the repository; only `require` looks where NODE_PATH says.
const { chromium } = createRequire(import.meta.url)('playwright-core')

/** How long anything may take before a check fails. */
const PATIENCE_MS = 120_000

/** Schemes that never leave the browser. */
const INSIDE = ['blob:', 'data:', 'about:']

export class Harness {
  /** @type {Set<{ page: any, faults: string[], expected: RegExp[] }>} */
  #watched = new Set()

  constructor({ base, folder, hook }) {
    this.base = base.replace(/\/$/, '')
    this.folder = folder
    this.hook = hook
  }

  async start() {
    this.browser = await chromium.launch({ executablePath: process.env.KADR_CHROMIUM })
  }

  async stop() {
    await this.browser.close()
  }

  /** Opens a page in a profile of its own, and watches it until it is closed. */
  async open(where, { size = [1280, 800], scheme = 'light', prepare = async () => {} } = {}) {
    const context = await this.browser.newContext({
      baseURL: this.base,
      viewport: { width: size[0], height: size[1] },
      colorScheme: scheme,
      reducedMotion: 'reduce',
      acceptDownloads: true,
    })
    const page = await context.newPage()
    page.setDefaultTimeout(PATIENCE_MS)
    const watch = { page, faults: [], expected: [] }
    this.#watched.add(watch)
    this.#watch(watch)
    await prepare(page)
    await page.goto(where)
    return page
  }

  #watch({ page, faults, expected }) {
    const fault = (what) => {
      if (!expected.some((pattern) => pattern.test(what))) faults.push(what)
    }
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) fault(`console: ${message.text()}`)
    })
    page.on('pageerror', (error) => fault(`page error: ${error.stack ?? error}`))
    const origin = new URL(this.base).host
    const check = (url) => {
      if (INSIDE.includes(new URL(url).protocol)) return
      if (new URL(url).host !== origin) fault(`request off the origin: ${url}`)
    }
    page.on('request', (request) => check(request.url()))
    page.on('websocket', (socket) => check(socket.url()))
  }

  /** Faults that a check brings about on purpose: a refused upload is an error to the console, too. */
  expect(page, pattern) {
    for (const watch of this.#watched) if (watch.page === page) watch.expected.push(pattern)
  }

  async close(page) {
    await page.context().close()
    this.#forget(page)
  }

  #forget(page) {
    for (const watch of this.#watched) {
      if (watch.page !== page) continue
      this.#faultless([watch])
      this.#watched.delete(watch)
    }
  }

  #faultless(watches) {
    for (const { page, faults } of watches) {
      if (faults.length > 0) throw new Error(`${page.url()}:\n  ${faults.join('\n  ')}`)
    }
  }

  /** Runs a check: its steps, and that no page has a fault after them. */
  async check(what, steps) {
    const late = pause(3 * PATIENCE_MS, null, { ref: false }).then(() => {
      throw new Error(`not done in ${3 * PATIENCE_MS} ms`)
    })
    try {
      await Promise.race([steps(), late])
      this.#faultless(this.#watched)
    } catch (error) {
      console.log(error)
      console.log(`FAILED  ${what}`)
      await this.#keepEvidence()
      process.exit(1)
    }
    console.log(`ok      ${what}`)
  }

  /** How every open page looked when a check failed. */
  async #keepEvidence() {
    let number = 0
    for (const { page } of this.#watched) {
      number += 1
      await page.screenshot({ path: path.join(this.folder, `failed-${number}.png`) }).catch(() => {})
    }
  }

  async screenshot(page, name) {
    await page.screenshot({ path: path.join(this.folder, `${name}.png`) })
  }

  /** Calls the hook: `stop` or `start` a source. */
  call(action, source) {
    const { status, stdout, stderr } = spawnSync(this.hook, [action, source], { encoding: 'utf8', timeout: PATIENCE_MS })
    if (status !== 0) throw new Error(`${this.hook} ${action} ${source}: ${stdout}${stderr}`)
  }

  /** The name of a source that is live, once there is one: on a busy machine it may be stale for a moment. */
  liveSource() {
    return until('a source is live', async () => (await this.json('/api/sources')).sources.find(({ stale }) => !stale)?.id)
  }

  async json(where) {
    const answer = await fetch(this.base + where)
    if (!answer.ok) throw new Error(`${where} answers with ${answer.status}`)
    return answer.json()
  }
}

/** Waits until a condition holds, and gives what it gave. */
export async function until(what, condition) {
  const end_ms = performance.now() + PATIENCE_MS
  for (;;) {
    const found = await condition()
    if (found) return found
    if (performance.now() > end_ms) throw new Error(`waited in vain until ${what}`)
    await pause(100)
  }
}

/** Sums up the pixels of a canvas, so that a change of any of them is seen. */
export function pixels(locator) {
  return locator.evaluate((canvas) => {
    // A copy is read: reading the page's own canvas would take it from the accelerator.
    const pen = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true })
    pen.drawImage(canvas, 0, 0)
    const { data } = pen.getImageData(0, 0, canvas.width, canvas.height)
    let sum = 17
    for (let at = 0; at < data.length; at += 1) sum = (Math.imul(sum, 31) + data[at]) | 0
    return sum
  })
}

/** Waits until a canvas has shown this many different pictures. */
export async function moves(locator, pictures = 4) {
  const seen = new Set()
  await until(`the canvas has shown ${pictures} pictures`, async () => seen.add(await pixels(locator)).size >= pictures)
}
