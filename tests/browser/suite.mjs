// Checks the pages of the Kadr whose address is the first argument; see `run` beside this.

import { access } from './access.mjs'
import { Harness } from './harness.mjs'
import { modules } from './modules.mjs'
import { shots } from './shots.mjs'
import { source } from './source.mjs'
import { upload } from './upload.mjs'
import { wall } from './wall.mjs'

const [base, folder, hook] = process.argv.slice(2)
const harness = new Harness({ base, folder, hook })

await harness.start()
await harness.check('a source is live', () => harness.liveSource())
await modules(harness)
await wall(harness)
await source(harness)
const result = await upload(harness)
const live = `/sources/${encodeURIComponent(await harness.liveSource())}`
const pages = { wall: '/', kiosk: '/?kiosk', source: live, upload: '/upload', result }
await access(harness, pages)
await shots(harness, pages)
await harness.stop()
console.log('all checks passed')
