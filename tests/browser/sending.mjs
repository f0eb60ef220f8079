// How the page sends: a few at a time, patient with a server that is busy or slow. The server is made so
// by standing between the page and it.

import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'

import { until } from './harness.mjs'

const SENT = /\/api\/frames\?/
const MOST_AT_ONCE = 3

/** @param {string} photo the path of a picture */
export async function sending(harness, photo) {
  await harness.check('no more than three photos are sent at a time', async () => {
    const running = new Set()
    let most = 0
    await withServer(harness, photo, 7, async (route, request) => {
      running.add(request)
      most = Math.max(most, running.size)
      // So long that a fourth would come meanwhile, if the page let it.
      await pause(300)
      request.response().then(() => running.delete(request))
      await route.continue()
    })
    assert.equal(most, MOST_AT_ONCE)
  })
  await harness.check('a busy server is tried again when it says so', async () => {
    const times_ms = []
    await withServer(harness, photo, 1, async (route) => {
      times_ms.push(performance.now())
      if (times_ms.length > 1) return route.continue()
      const error = { code: 'busy', message: 'too many uploads at once', hint: 'come back in two seconds' }
      return route.fulfill({ status: 503, headers: { 'retry-after': '2' }, json: { error } })
    })
    assert.equal(times_ms.length, 2)
    assert(times_ms[1] - times_ms[0] >= 1_900, 'it came back too early')
  })
  await harness.check('a photo that is queued is waited for', async () => {
    let queued = null
    await withServer(harness, photo, 1, async (route, request) => {
      // Asked not to wait, the server answers before there is a result.
      queued = request.response()
      await route.continue({ url: request.url().replace(/wait=[^&]*&?/, '') })
    })
    assert.equal((await queued).status(), 202)
  })
}

/** Sends photos to a server that answers by way of `between`, and waits until all have their results. */
async function withServer(harness, photo, count, between) {
  const page = await harness.open('/upload')
  harness.expect(page, /status of 503/)
  await page.route(SENT, between)
  await page.locator('#files').setInputFiles(Array(count).fill(photo))
  await until('all are done', async () => (await page.locator('.entry[data-state=done]').count()) === count)
  await harness.close(page)
}
