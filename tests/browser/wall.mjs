// The live wall: pictures that move, counts that change, and what happens when something stops.

import assert from 'node:assert/strict'

import { moves, until } from './harness.mjs'

const LATENCY = /^\d+(\.\d)? (ms|s)$/

export async function wall(harness) {
  const page = await harness.open('/')
  const tiles = page.locator('.tile')
  const latency = page.locator('.tile[data-state=live] .speed b')

  await harness.check('the wall has a tile for every source, sorted by name', async () => {
    await tiles.first().waitFor()
    const { sources } = await harness.json('/api/sources')
    await until('all tiles are there', async () => (await tiles.count()) === sources.length)
    const names = await page.locator('.tile h2').allTextContents()
    const sorted = sources.map(({ id }) => id).sort(new Intl.Collator(undefined, { numeric: true }).compare)
    assert.deepEqual(names, sorted)
  })
  await harness.check('the pictures of the wall move', async () => {
    for (const canvas of await page.locator('.tile canvas').all()) await moves(canvas)
  })
  await harness.check('the counts of the wall change', async () => {
    const seen = new Set()
    await until('the counts have changed twice', async () => seen.add((await page.locator('.tile .counts').allTextContents()).join()).size > 2)
  })
  await harness.check('a count has the colour of its class', async () => {
    const colour = await page.locator('.tile .counts .dot').first().evaluate((dot) => getComputedStyle(dot).backgroundColor)
    assert.match(colour, /^rgb\(\d+, \d+, \d+\)$/)
  })
  await harness.check('the latency from capture to screen is shown', async () => {
    await until('a latency is shown', async () => LATENCY.test(await latency.first().textContent()))
    assert.match(await page.locator('.tile .speed').first().textContent(), /fps/)
  })
  await harness.check('the chosen colours are remembered', async () => {
    const background = () => page.locator('body').evaluate((body) => getComputedStyle(body).backgroundColor)
    const light = await background()
    await page.locator('#theme').click()
    const dark = await background()
    assert.notEqual(dark, light)
    await page.reload()
    assert.equal(await background(), dark)
    await page.locator('#theme').click()
    assert.equal(await background(), light)
  })
  await harness.check('the keyboard reaches a tile, and Enter opens its source', async () => {
    // Afresh, so that the focus begins at the top.
    await page.reload()
    await tiles.first().waitFor()
    await page.keyboard.press('Tab')
    assert.equal(await focused(page), 'Skip to the content')
    for (let steps = 0; !(await page.evaluate(() => document.activeElement.matches('.tile'))); steps += 1) {
      assert(steps < 12, 'no tile after twelve steps of the tab key')
      await page.keyboard.press('Tab')
    }
    await page.keyboard.press('Enter')
    await page.waitForURL(/\/sources\/./)
  })
  await harness.close(page)
  await lostConnection(harness)
  await kiosk(harness)
  if (harness.hook) await staleSource(harness)
  else console.log('left    a source that stops: no hook was given')
}

const focused = (page) => page.evaluate(() => document.activeElement.textContent)

async function lostConnection(harness) {
  let down = false
  let current = null
  // Between the page and the server: the line that can be cut.
  const prepare = (page) =>
    page.routeWebSocket(/\/api\/live/, (socket) => {
      if (down) {
        socket.close({ code: 1012 })
        return
      }
      current = socket
      socket.connectToServer()
    })
  const page = await harness.open('/', { prepare })
  const canvas = page.locator('.tile canvas').first()
  const banner = page.locator('#lost')

  await harness.check('a lost connection is told, and the pictures are marked old', async () => {
    await moves(canvas, 2)
    assert(!(await banner.isVisible()))
    down = true
    await current.close({ code: 1012 })
    await banner.waitFor()
    await page.locator('.tile[data-state=lost]').first().waitFor()
    await harness.screenshot(page, 'wall-lost')
  })
  await harness.check('the wall connects again by itself', async () => {
    down = false
    await banner.waitFor({ state: 'hidden' })
    await moves(canvas)
  })
  await harness.close(page)
}

async function kiosk(harness) {
  const page = await harness.open('/?kiosk', { size: [1920, 1080] })
  await harness.check('the kiosk fills the screen with pictures', async () => {
    await moves(page.locator('.tile canvas').first())
    assert(!(await page.locator('header').isVisible()))
    const { width, height } = await page.locator('#wall').boundingBox()
    assert.deepEqual([width, height], [1920, 1080])
  })
  await harness.close(page)
}

async function staleSource(harness) {
  const page = await harness.open('/')
  const tile = page.locator('.tile[data-state=live]').first()
  await tile.waitFor()
  const name = await tile.locator('h2').textContent()
  const same = page.locator('.tile', { has: page.getByRole('heading', { name, exact: true }) })

  await harness.check('a source that stops is marked stale, with the time', async () => {
    harness.call('stop', name)
    await until('the tile is stale', async () => (await same.getAttribute('data-state')) === 'stale')
    assert.match(await same.locator('.badge').textContent(), /^stale since \d\d:\d\d:\d\d \(\d+ s\)$/)
    assert.equal(await page.locator('#news').textContent(), `Stale: ${name}`)
    await harness.screenshot(page, 'wall-stale')
  })
  await harness.check('a page opened after the stop shows the last picture, as stale', async () => {
    const late = await harness.open(`/sources/${encodeURIComponent(name)}`)
    await until('the state is stale', async () => /^stale since/.test(await late.locator('#state').textContent()))
    await moves(late.locator('#picture'), 1)
    await harness.close(late)
  })
  await harness.check('a source that comes back is live again', async () => {
    harness.call('start', name)
    await until('the tile is live', async () => (await same.getAttribute('data-state')) === 'live')
    await moves(same.locator('canvas'))
  })
  await harness.close(page)
}
