// Checks the pages of the Kadr whose address is the first argument; see `run` beside this.

import { access } from './access.mjs'
import { Harness, until } from './harness.mjs'
import { modules } from './modules.mjs'
import { shots } from './shots.mjs'
import { source } from './source.mjs'
import { upload } from './upload.mjs'
import { wall } from './wall.mjs'

const [base, folder, hook] = process.argv.slice(2)
const harness = new Harness({ base, folder, hook })

await harness.start()
await harness.check('a source is live', () =>
  until('a source is live', async () => (await harness.json('/api/sources')).sources.some(({ stale }) => !stale)),
)
await modules(harness)
await wall(harness)
await source(harness)
const result = await upload(harness)
const pages = { wall: '/', kiosk: '/?kiosk', source: await liveSource(harness), upload: '/upload', result }
await access(harness, pages)
await shots(harness, pages)
await harness.stop()
console.log('all checks passed')

async function liveSource(harness) {
  const { sources } = await harness.json('/api/sources')
  return `/sources/${encodeURIComponent(sources.find(({ stale }) => !stale).id)}`
}
