// The page of one source: picture, counts, chart, waterfall and results.

import assert from 'node:assert/strict'

import { moves, until } from './harness.mjs'

const STAGES = ['queue', 'decode', 'batch_wait', 'infer', 'annotate', 'encode', 'publish', 'screen']

export async function source(harness) {
  const id = await harness.liveSource()
  const page = await harness.open(`/sources/${encodeURIComponent(id)}`)

  await harness.check('a source’s page shows its picture, which moves', async () => {
    await moves(page.locator('#picture'))
    assert.equal(await page.locator('h1').textContent(), id)
    await until('it is live', async () => (await page.locator('#state').textContent()) === 'live')
  })
  await harness.check('its figures fill', async () => {
    await until('the latency is shown', async () => /^\d/.test(await page.locator('#latency').textContent()))
    assert.match(await page.locator('#fps').textContent(), /^\d+(\.\d)? fps$/)
    assert.match(await page.locator('#model').textContent(), /^\S+ v\d+$/)
    assert.match(await page.locator('#size').textContent(), /^\d+ × \d+$/)
  })
  await harness.check('the chart of counts fills, and grows', async () => {
    const area = page.locator('#chart .area').first()
    await area.waitFor({ state: 'attached' })
    const before = await area.getAttribute('d')
    await until('the chart has grown', async () => (await area.getAttribute('d')) !== before)
    assert((await page.locator('#legend li').count()) > 0)
  })
  await harness.check('the arrow keys read the chart', async () => {
    await page.locator('#chart').press('ArrowLeft')
    await page.locator('#chart .tip').waitFor()
    assert.match(await page.locator('#chart .tip strong').textContent(), /^\d\d:\d\d:\d\d$/)
  })
  await harness.check('the chart has other spans, and a table to read instead', async () => {
    await page.getByRole('radio', { name: '1 min' }).check()
    await page.getByText('As a table').click()
    await page.locator('#table tbody tr').first().waitFor()
    const heads = await page.locator('#table thead th').allTextContents()
    assert.equal(heads[0], 'Time')
    assert(heads.length > 1)
  })
  await harness.check('the waterfall has a time for every stage', async () => {
    const rows = page.locator('#waterfall li')
    assert.deepEqual(await rows.evaluateAll((items) => items.map((item) => item.dataset.stage)), STAGES)
    await until('every stage has its time', async () =>
      (await rows.locator('.value').allTextContents()).every((text) => /^\d+(\.\d)? (ms|s)$/.test(text)),
    )
    const widths = await rows.locator('.bar-fill').evaluateAll((bars) => bars.map((bar) => Number.parseFloat(bar.style.width)))
    const sum = widths.reduce((all, width) => all + width, 0)
    assert(Math.abs(sum - 100) < 0.5, `the stages fill ${sum} % of the way`)
  })
  await harness.check('recent results are listed', async () => {
    const rows = page.locator('#results tr')
    await until('five results are listed', async () => (await rows.count()) >= 5)
    const ids = await page.locator('#results code').allTextContents()
    assert.equal(new Set(ids).size, ids.length)
  })
  await harness.check('its snapshot and its stream answer', async () => {
    const snapshot = await page.request.get(await page.locator('#snapshot').getAttribute('href'))
    assert.equal(snapshot.headers()['content-type'], 'image/jpeg')
    const stop = new AbortController()
    const stream = await fetch(harness.base + (await page.locator('#stream').getAttribute('href')), { signal: stop.signal })
    assert.match(stream.headers.get('content-type'), /^multipart\/x-mixed-replace/)
    const { value } = await stream.body.getReader().read()
    assert(value.length > 0)
    stop.abort()
  })
  await harness.close(page)

  const unknown = await harness.open('/sources/no-such-source')
  await harness.check('an unknown source is told, with links to those that are', async () => {
    await unknown.locator('#unknown').waitFor()
    await unknown.locator('#others').getByRole('link', { name: id, exact: true }).click()
    await moves(unknown.locator('#picture'), 2)
  })
  await harness.close(unknown)
}
