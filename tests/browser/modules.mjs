// The pages' own modules, in the browser that runs them: masks, clocks, layouts and the rest that can be
// told right from wrong without looking.

import assert from 'node:assert/strict'
import fs from 'node:fs'

const MASKS = new URL('../../pipeline/tests/fixtures/masks/masks.jsonl', import.meta.url)

export async function modules(harness) {
  const page = await harness.open('/upload')
  /** Runs `work` in the page with a module of its own. */
  const withModule = (name, work, given) =>
    page.evaluate(`import('/assets/${name}.js').then((module) => (${work})(module, ${JSON.stringify(given ?? null)}))`)

  await harness.check('masks are read as pycocotools wrote them', async () => {
    const fixtures = fs.readFileSync(MASKS, 'utf8').trim().split('\n').map((line) => JSON.parse(line)).filter(({ counts }) => counts)
    assert(fixtures.length > 300)
    assert.deepEqual(await withModule('rle', wrongMasks, fixtures), [])
  })
  await harness.check('broken masks are refused', async () => {
    const broken = ['1', 'P1', '0', '~~', '5555', '', '4oooooooooooo']
    const refused = await withModule('rle', ({ runsOf }, all) => all.filter((counts) => {
      try {
        runsOf(counts, 12)
        return false
      } catch {
        return true
      }
    }), broken)
    assert.deepEqual(refused, broken)
  })
  await harness.check('the wall’s columns make the pictures as large as they can be', async () => {
    const room = { width: 1000, height: 600, aspect: 4 / 3, caption: 0, gap: 0 }
    const columns = await withModule('layout', ({ arrange }, room) => [1, 2, 3, 4, 9].map((count) => arrange({ ...room, count }).columns), room)
    assert.deepEqual(columns, [1, 2, 2, 2, 3])
  })
  await harness.check('Retry-After is read as seconds or as a date', async () => {
    const read = await withModule('send', ({ retryAfter }, soon) => ['3', '0', null, '', 'soon', soon].map(retryAfter), new Date(Date.now() + 60_000).toUTCString())
    assert.deepEqual(read.slice(0, 5), [3000, 0, null, null, null])
    assert(read[5] > 0 && read[5] <= 60_000)
  })
  await harness.check('the server’s clock is taken from the shortest way there and back', async () => {
    const [offset_ms, roundTrip_ms] = await withModule('clock', ({ ServerClock, localNow }) => {
      const clock = new ServerClock()
      clock.add(0, 100, 5_090)
      clock.add(200, 210, 5_205)
      clock.add(300, 500, 9_999)
      return [Math.round(clock.now() - localNow()), clock.roundTrip_ms]
    })
    assert.deepEqual([offset_ms, roundTrip_ms], [5_000, 10])
  })
  await harness.check('counts gathered here go on where the server’s end', async () => {
    const points = await withModule('history', continued)
    assert.deepEqual(points, [
      { t_ms: 8_000, frames: 2, counts: { gear: 3 } },
      { t_ms: 10_000, frames: 2, counts: { gear: 0.5, nut: 1 } },
    ])
  })
  await harness.close(page)
}

/** Runs in the page: which fixtures are not read back as they were written. */
function wrongMasks({ decodeMask }, fixtures) {
  const wrong = []
  for (const { name, size, counts, area, bbox, bits } of fixtures) {
    const [height, width] = size
    const mask = decodeMask({ size, counts })
    const sum = mask.pixels.reduce((all, value) => all + value, 0)
    if (sum !== area) wrong.push(`${name}: area ${sum}, not ${area}`)
    if ([mask.x, mask.y, mask.width, mask.height].join() !== bbox.join()) wrong.push(`${name}: another box`)
    for (let at = 0; bits && at < width * height; at += 1) {
      const [x, y] = [at % width, Math.floor(at / width)]
      const set = (Number.parseInt(bits[at >> 2], 16) >> (3 - (at & 3))) & 1
      const inBox = x >= mask.x && y >= mask.y && x < mask.x + mask.width && y < mask.y + mask.height
      const read = inBox ? mask.pixels[(y - mask.y) * mask.width + x - mask.x] : 0
      if (read !== set) {
        wrong.push(`${name}: another pixel at ${x}, ${y}`)
        break
      }
    }
    const thinned = decodeMask({ size, counts }, 2)
    const columns = Math.ceil(mask.width / 2)
    const same = thinned.pixels.every((value, at) => value === mask.pixels[2 * Math.floor(at / columns) * mask.width + 2 * (at % columns)])
    if (!same) wrong.push(`${name}: thinned otherwise`)
  }
  return wrong
}

/** Runs in the page: a history of two seconds told, and three frames after it. */
function continued({ History }) {
  const history = new History(60_000)
  const header = (joined_ms, counts, late = false) => ({ joined_ms, late, counts: Object.entries(counts).map(([label, count]) => ({ label, count, color: null })) })
  history.add(header(9_500, { gear: 9 }))
  history.load({ bucket_ms: 1_000, labels: [{ label: 'gear', color: '#ff0000' }], points: [
    { t_ms: 8_000, frames: 1, counts: { gear: 2 } },
    { t_ms: 9_000, frames: 1, counts: { gear: 4 } },
  ] })
  history.add(header(9_900, { gear: 7 }))
  history.add(header(10_100, { gear: 1, nut: 2 }))
  history.add(header(10_200, { nut: 0 }))
  history.add(header(10_300, { nut: 50 }, true))
  return history.since(0, 2_000)
}
