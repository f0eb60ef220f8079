// The upload page and its result: sent through the page's own file input, looked at without the server.

import assert from 'node:assert/strict'
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'

import { pixels, until } from './harness.mjs'
import { sending } from './sending.mjs'

const fixture = (name) => fileURLToPath(new URL(`../../detector/tests/fixtures/parts/${name}`, import.meta.url))
const PHOTO = fixture('belt-1.png')
const OTHER_PHOTO = fixture('belt-2.png')
const EMPTY_PHOTO = fixture('nothing.png')
const REFUSED = /status of 4\d\d/

/** @returns {Promise<string>} the page of a result */
export async function upload(harness) {
  const page = await harness.open('/upload')
  const entries = page.locator('.entry')
  const done = page.locator('.entry[data-state=done]')

  await harness.check('the models can be chosen from', async () => {
    const { models } = await harness.json('/api/models')
    await until('the models are listed', async () => (await page.locator('#model option').count()) >= models.length)
    assert.equal(await page.locator('#model').inputValue(), (await harness.json('/api/models')).default)
  })
  await harness.check('a photo through the page’s own file input gives a result', async () => {
    await page.locator('#files').setInputFiles(PHOTO)
    await page.locator('#overlay').waitFor()
    await page.locator('.canvas img').evaluate((image) => image.decode())
    assert.equal(await done.count(), 1)
    assert((await page.locator('.instances li').count()) > 0, 'nothing was found in the belt')
  })
  await look(harness, page)
  await take(harness, page)
  const link = new URL(page.url()).pathname
  await harness.check('the link shows the same result again', async () => {
    assert.match(link, /^\/frames\/./)
    const count = await page.locator('.instances li').count()
    await page.reload()
    await page.locator('#overlay').waitFor()
    assert.equal(await page.locator('.instances li').count(), count)
  })
  await harness.check('several photos at once are all done, one of them with nothing in it', async () => {
    await page.locator('#files').setInputFiles([PHOTO, OTHER_PHOTO, PHOTO, EMPTY_PHOTO])
    await until('all are done', async () => (await done.count()) === 4)
    await entries.filter({ hasText: 'nothing.png' }).getByRole('button', { name: 'Show' }).click()
    await page.getByText('The model found nothing in this picture.').waitFor()
  })
  await harness.check('a dropped photo is sent, too', async () => {
    const bytes = [...fs.readFileSync(PHOTO)]
    await page.evaluate((bytes) => {
      const dataTransfer = new DataTransfer()
      dataTransfer.items.add(new File([new Uint8Array(bytes)], 'dropped.png', { type: 'image/png' }))
      document.body.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
    }, bytes)
    await entries.filter({ hasText: 'dropped.png' }).and(done).waitFor()
  })
  await refused(harness, page, entries)
  await classified(harness, page)
  await harness.close(page)
  await sending(harness, PHOTO)
  return link
}

/** Switches and sliders change what is drawn, and ask the server nothing. */
async function look(harness, page) {
  const overlay = page.locator('#overlay')
  const requests = []
  const note = (request) => requests.push(request.url())
  page.on('request', note)
  const changes = async (what, action) => {
    const before = await pixels(overlay)
    await action()
    await until(`${what} changed the drawn pixels`, async () => (await pixels(overlay)) !== before)
  }
  const slide = (id, value) =>
    page.locator(id).evaluate((input, value) => {
      input.value = value
      input.dispatchEvent(new Event('input', { bubbles: true }))
    }, value)

  const first = await pixels(overlay)
  await harness.check('a class can be hidden and shown', async () => {
    const toggle = page.locator('.toggle input').first()
    await changes('hiding a class', () => toggle.uncheck())
    await changes('showing it', () => toggle.check())
    await until('all is as it was', async () => (await pixels(overlay)) === first)
  })
  await harness.check('the score threshold hides what is less certain', async () => {
    const all = await page.locator('.instances li').count()
    const scores = await page.locator('.instances b').allTextContents()
    const lowest = Math.min(...scores.map(Number.parseFloat))
    await changes('the threshold', () => slide('#threshold', Math.min(1, (lowest + 1) / 100)))
    assert((await page.locator('.instances li:visible').count()) < all)
    await changes('no threshold', () => slide('#threshold', 0))
  })
  await harness.check('opacity, outlines and labels change the picture', async () => {
    await changes('opacity', () => slide('#opacity', 0.9))
    await changes('no outlines', () => page.locator('#outlines').uncheck())
    await changes('no labels', () => page.locator('#labels').uncheck())
    await page.locator('#outlines').check()
    await page.locator('#labels').check()
    await changes('opacity', () => slide('#opacity', 0.5))
  })
  await harness.check('an instance of the list is marked in the picture, by pointer and by keyboard', async () => {
    await changes('pointing at it', () => page.locator('.instance').first().hover())
    await page.mouse.move(0, 0)
    await until('nothing is marked', async () => (await pixels(overlay)) === first)
    await changes('focus', () => page.locator('.instance').nth(1).focus())
    await page.locator('.instance').nth(1).blur()
  })
  await harness.check('none of that asked the server anything', async () => {
    assert.deepEqual(requests, [])
  })
  page.off('request', note)
}

/** What can be taken along: the annotated picture and a COCO file. */
async function take(harness, page) {
  await harness.check('the COCO file holds every instance', async () => {
    const count = await page.locator('.instances li').count()
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'COCO JSON' }).click()])
    const coco = JSON.parse(fs.readFileSync(await download.path(), 'utf8'))
    const [image] = coco.images
    assert.equal(coco.images.length, 1)
    assert.equal(coco.annotations.length, count)
    const categories = new Set(coco.categories.map(({ id }) => id))
    assert.equal(categories.size, coco.categories.length)
    for (const { image_id, category_id, bbox, area, score, segmentation } of coco.annotations) {
      assert.equal(image_id, image.id)
      assert(categories.has(category_id))
      assert(bbox.length === 4 && area > 0 && score > 0 && score <= 1)
      assert.deepEqual(segmentation.size, [image.height, image.width])
    }
  })
  await harness.check('the annotated JPEG can be had', async () => {
    const answer = await page.request.get(await page.getByRole('link', { name: 'Annotated JPEG' }).getAttribute('href'))
    assert.equal(answer.headers()['content-type'], 'image/jpeg')
  })
}

async function refused(harness, page, entries) {
  await harness.check('a file that is no picture is refused with the server’s hint', async () => {
    harness.expect(page, REFUSED)
    const notAPicture = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('not a picture at all') }
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.status() >= 400),
      page.locator('#files').setInputFiles(notAPicture),
    ])
    const { hint } = (await answer.json()).error
    const note = entries.filter({ hasText: 'notes.txt' }).locator('.note')
    await note.waitFor()
    assert((await note.textContent()).toLowerCase().includes(hint.toLowerCase().replace(/\.$/, '')), `the hint is missing: ${hint}`)
  })
  const unknown = await harness.open('/upload')
  harness.expect(unknown, REFUSED)
  await harness.check('a link to a frame that is not there says so', async () => {
    await unknown.goto('/frames/00000000-0000-7000-8000-000000000000')
    await unknown.locator('#result .note').waitFor()
  })
  await harness.close(unknown)
}

/** A classifier's answer is shown as bars, where there is a classifier. */
async function classified(harness, page) {
  const { models } = await harness.json('/api/models')
  const classifier = models.find(({ task }) => task === 'classification')
  if (!classifier) {
    console.log('left    a classifier’s bars: the server has no classifier')
    return
  }
  await harness.check('a classifier’s answer is shown as bars', async () => {
    await page.locator('#model').selectOption(classifier.name)
    await page.locator('#files').setInputFiles(OTHER_PHOTO)
    await page.locator('.entry').first().and(page.locator('[data-state=done]')).waitFor()
    await page.locator('.entry').first().getByRole('button', { name: 'Show' }).click()
    await page.locator('.bars li').first().waitFor()
    await harness.screenshot(page, 'result-classifier')
  })
}
